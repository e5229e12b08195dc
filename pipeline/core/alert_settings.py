"""The settings of alerts: what is published, what is held back, and who may say something of them.

Each has its default, unit, range and how to choose it; ``settings`` holds the other sections.
"""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.core.edge_settings import Section
from pipeline.core.windows import Window


class SilenceSettings(Section):
    """Streams of which nothing is told at some times: maintenance, a shift that starts up, a weekend."""

    match: str = Field(pattern=r"^[A-Za-z0-9_./*?-]{1,256}$", title="Streams or devices, as a pattern with * and ?.")
    since: str = Field("", max_length=64, title="Not before this time, with its zone; empty for always.")
    until: str = Field("", max_length=64, title="Not from this time on, with its zone; empty for ever.")
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(
        (), title="Days of the week on which it begins; empty for all."
    )
    hours: str = Field("", max_length=16, title="From and to, 22:00-06:00; empty for the whole day.")
    timezone: str = Field("UTC", max_length=64, title="Whose days and hours.")
    why: str = Field("", max_length=200, title="What for, in a few words.")

    @property
    def window(self) -> Window:
        """The time that is meant."""
        return Window.parse(self.since, self.until, self.days, self.hours, self.timezone)

    @field_validator("since", "until", mode="before")
    @classmethod
    def _is_text(cls, given: object) -> object:
        return given.isoformat() if isinstance(given, datetime) else given  # YAML reads bare times by itself

    @model_validator(mode="after")
    def _is_a_window(self) -> Self:
        self.window  # noqa: B018 - raises for what is none
        return self


class AlertSettings(Section):
    """Where verdicts are published, what is held back, and how operators are heard."""

    topic_prefix: str = Field(
        "foretell",
        pattern=r"^[A-Za-z0-9_./-]{1,64}$",
        title="Alerts go to PREFIX/SITE/alert/STREAM, health verdicts to PREFIX/SITE/health/STREAM.",
        description="Outside every topic that is read, or alerts would be read as readings.",
    )
    publish: bool = Field(default=True, title="Publish alerts over MQTT, beside the log.")
    streams: bool = Field(
        default=True,
        title="Publish the alerts and states of streams, beside the incidents of devices.",
        description="Off where one message per device is enough.",
    )
    home_assistant: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_-]{0,64}$",
        title="First part of Home Assistant's discovery topics; empty for no discovery.",
        description="homeassistant: each stream's alert becomes a binary sensor, from its first state on.",
    )
    cooldown_s: float = Field(
        0.0,
        ge=0,
        le=604_800,
        title="After an alert of a stream was told its next ones are held back so long, seconds.",
        description="The rests of detection.* are usually enough. What is still open afterwards is told then.",
    )
    false_days: float = Field(
        7.0,
        ge=0,
        le=366,
        title="Days for which alerts no more surprising than one judged false are held back; 0 for none.",
        description="Two decades beyond the alert level at most; a later word true ends it.",
    )
    silences: tuple[SilenceSettings, ...] = Field(
        (),
        max_length=1000,
        title="Maintenance windows: alerts of these streams are held back then, and told after if they are still open.",
        description="- {match: press-*/*, days: [sat, sun], hours: 06:00-14:00, timezone: Europe/Berlin, why: wash}",
    )
    commands: bool = Field(
        default=False,
        title="Take operators' words from PREFIX/SITE/command.",
        description="On where the broker lets only operators publish there.",
    )
    token_file: str = Field(
        "auto",
        min_length=1,
        max_length=1024,
        title="File with the token that HTTP requests must show to say something of alerts; auto or none.",
        description="auto: 'token' in the state folder, made at the first start. none: nobody may.",
    )
