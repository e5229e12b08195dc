"""The settings of alerts: what is published, what is held back, and who may say something of them.

Each has its default, unit, range and how to choose it; ``settings`` holds the other sections.
"""

from pydantic import Field

from pipeline.core.edge_settings import Section


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
