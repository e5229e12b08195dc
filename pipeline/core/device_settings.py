"""The settings of devices: which streams belong together, and how close in time is together.

Each has its default, unit, range and how to choose it; ``settings`` holds the other sections.
"""

from pydantic import Field

from pipeline.core.edge_settings import Section


class DevicePattern(Section):
    """Streams that make one device, whatever their names say."""

    match: str = Field(min_length=1, max_length=256, title="Streams, as a pattern with * and ?.")
    device: str = Field(pattern=r"^[A-Za-z0-9_./-]{1,128}$", title="Name of the device they belong to.")


class DeviceSettings(Section):
    """Which streams make a device. A device's episodes make one incident."""

    levels: int = Field(
        0,
        ge=0,
        le=32,
        title="First levels of a stream's name that name its device; 0 for all but the last.",
        description="plant/pump-1/bearing/temperature is of plant/pump-1/bearing, with 2 of plant/pump-1.",
    )
    patterns: tuple[DevicePattern, ...] = Field(
        (),
        title="Devices that names do not tell; the first entry that matches a stream counts.",
        description="- {match: press-*/*, device: press-line}",
    )
    together_s: float = Field(
        300.0,
        ge=0,
        le=86_400,
        title="Streams surprising within this of each other are told as neighbours, seconds.",
        description="Eight readings of the stream at least, however rare they are.",
    )
    join_s: float = Field(
        600.0,
        ge=0,
        le=604_800,
        title="An episode that opens within this after a device's last one belongs to the same incident, seconds.",
        description="Longer where one fault comes and goes.",
    )
