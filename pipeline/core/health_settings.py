"""The settings of health verdicts: what a sensor or its clock may do before something is said of it.

Each has its default, unit, range and how to choose it; ``settings`` holds the other sections.
"""

from typing import Self

from pydantic import Field, model_validator

from pipeline.core.edge_settings import Section


class RangeSettings(Section):
    """Limits that a sensor's readings cannot leave while it works."""

    match: str = Field(
        min_length=1,
        max_length=256,
        title="Streams this is for, as a pattern with * and ?.",
        description="plant/*/temperature is every temperature of the plant.",
    )
    low: float | None = Field(None, title="Lowest reading, sensor's unit; left out for none.")
    high: float | None = Field(None, title="Highest reading, sensor's unit; left out for none.")

    @model_validator(mode="after")
    def _limits_ascend(self) -> Self:
        if self.low is None and self.high is None:
            msg = "a range needs low, high or both"
            raise ValueError(msg)
        if self.low is not None and self.high is not None and self.low >= self.high:
            msg = "low must be smaller than high"
            raise ValueError(msg)
        return self


class HealthSettings(Section):
    """Verdicts about sensors and their clocks, apart from alerts. Counts are readings of the stream."""

    enabled: bool = Field(
        default=True,
        title="Judge sensors and clocks: stuck, too quiet, noisy, out of range, other resolution, reset, clock skew.",
        description="See docs/health.md for what each means and how often it is wrong.",
    )
    false_verdict_days: float = Field(
        300.0,
        gt=0,
        le=100_000,
        title="Days of one stream in which one false verdict of being stuck, or silent, is allowed.",
        description="Ten streams at 300: one in 30 days. More is surer and later.",
    )
    silent_s: float = Field(
        30.0,
        ge=1,
        le=86_400,
        title="Shortest pause of a stream that may count as silence, seconds.",
        description="Longer where networks stall. Beyond it each stream's own pauses decide.",
    )
    n_warmup: int = Field(
        1440,
        ge=256,
        le=1_000_000,
        title="Readings from which too quiet, noisy, out of range and resolution are learnt before they are judged.",
        description="A day of readings where the day matters.",
    )
    n_accepted: int = Field(
        2880,
        ge=256,
        le=1_000_000,
        title="Readings after which another noise, range or resolution is the new normal.",
        description="Longer where nobody looks for days.",
    )
    range_margin: float = Field(
        2.0,
        gt=0,
        le=1000,
        title="How far outside all readings so far is out of range, in the width of their range.",
        description="Less finds wilder readings sooner, and takes more processes for broken sensors.",
    )
    ranges: tuple[RangeSettings, ...] = Field(
        (),
        title="Limits of sensors; the first entry that matches a stream counts, and its range is not learnt.",
        description="- {match: plant/*/temperature, low: -40, high: 120}",
    )
    n_relocated: int = Field(
        32,
        ge=8,
        le=10_000,
        title="Late readings in a row, in order, after which a stream's new time line is followed.",
        description="More where devices send what they stored after newer readings.",
    )
