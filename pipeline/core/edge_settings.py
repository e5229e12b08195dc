"""The settings of the daemon's edges: broker, topics, alerts, metrics, inbox; and the base of all sections."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class TopicSettings(Section):
    """One subscription and how its topics name streams."""

    topic: str = Field(
        "sensors/{rest}",
        min_length=1,
        max_length=256,
        title="Topic with {placeholders}; {rest} matches all that follows.",
        description="plant/{device}/{sensor} subscribes to plant/+/+.",
    )
    stream: str = Field(
        "{rest}",
        min_length=1,
        max_length=256,
        title="Stream name; a flat JSON object adds /key unless {key} is used.",
        description="Placeholders of the topic; every stream needs a name of its own.",
    )


class MqttSettings(Section):
    """The broker and what is read from it."""

    host: str = Field("127.0.0.1", min_length=1, title="Broker host.")
    port: Port = Field(1883, title="Broker port.")
    client_id: str = Field(
        "foretell",
        min_length=1,
        max_length=64,
        title="Client id; two daemons must not share one.",
        description="Keep it: the broker holds messages for this id while the daemon is away.",
    )
    protocol: Literal["5", "3.1.1"] = Field(
        "5",
        title="MQTT version.",
        description="5 unless the broker is older; then it limits what it sends ahead by itself.",
    )
    keepalive_s: int = Field(30, ge=5, le=3600, title="Keep-alive interval, seconds.")
    qos: Literal[0, 1] = Field(
        1,
        title="Quality of service asked for.",
        description="1 keeps what arrives while the daemon is away; 0 where loss does not matter.",
    )
    username: str = Field("", title="User name; empty for none.")
    password_file: str = Field(
        "",
        title="File that holds the password; never the password itself.",
        description="Readable by its owner alone (chmod 600).",
    )
    topics: tuple[TopicSettings, ...] = Field((TopicSettings(),), min_length=1, title="What to subscribe to.")


class AlertSettings(Section):
    """Where verdicts are published."""

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


class MetricsSettings(Section):
    """The Prometheus endpoint."""

    enabled: bool = Field(default=True, title="Serve /metrics.")
    host: Literal["127.0.0.1", "::1", "localhost"] = Field(
        "127.0.0.1", title="Loopback address to bind; others need authentication, not built yet."
    )
    port: Port = Field(9464, title="Port of /metrics.")
    max_streams: int = Field(
        500,
        ge=0,
        title="Streams that get series of their own, worst score first.",
        description="Each stream has about ten series; Prometheus pays for each.",
    )


class RuntimeSettings(Section):
    """How the daemon works through its inbox."""

    batch_s: float = Field(
        0.1,
        ge=0.01,
        le=10,
        title="Longest time a message waits for its batch, seconds.",
        description="The least delay of an alert; shorter costs CPU.",
    )
    batch_messages: int = Field(500, ge=1, title="Messages that make a batch at once.")
    inbox_messages: int = Field(
        50_000,
        ge=100,
        title="Messages waiting at most; the oldest are dropped and counted.",
        description="For bursts and pauses: a minute of messages is plenty.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", title="Least severe log line written.")
