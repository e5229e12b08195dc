"""The settings of the ingest log that the bridge writes."""

from pydantic import Field

from pipeline.core.edge_settings import Section


class BridgeSettings(Section):
    """How 'foretell bridge' writes the ingest log, which is in scale.folder."""

    segment_s: float = Field(
        2.0,
        ge=0.1,
        le=3600,
        title="Longest time a reading waits for its segment, seconds.",
        description="Shorter is sooner scored, and makes more and smaller files.",
    )
    segment_readings: int = Field(
        200_000,
        ge=1,
        le=10_000_000,
        title="Readings that make a segment at once.",
    )
    in_flight: int = Field(
        10_000,
        ge=100,
        le=16_000,
        title="Messages that the broker may send ahead of acknowledgements.",
        description="Half of them make a segment at once. MQTT 3.1.1 cannot tell a broker; set its own limit.",
    )
