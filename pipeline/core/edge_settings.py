"""The settings of the daemon's edges: broker, topics, metrics, inbox; and the base of all sections."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.core.addresses import is_loopback

Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class MappingSettings(Section):
    """Where things stand in JSON that no profile knows; paths are keys and positions: data.samples[0].temp."""

    items: str = Field(
        "",
        max_length=256,
        title="List of records, each read by itself; empty when the payload is one record or a list of them.",
        description="data.samples[*]",
    )
    device: str = Field("", max_length=256, title="Identity beyond the topic; empty for none.", description="serial")
    key: str = Field("", max_length=256, title="Name of what is measured; empty when the path of the value tells it.")
    values: tuple[str, ...] = Field(
        (),
        max_length=64,
        title="Values, in a record; an object gives all its numbers.",
        description="[measure.temp, measure.bar]",
    )
    time: str = Field("", max_length=256, title="Event time; empty for the arrival.", description="measure.at")
    unit: str = Field("", max_length=256, title="Unit; empty for none.")


class TopicSettings(Section):
    """One subscription, who publishes there, and how its topics name streams."""

    topic: str = Field(
        "sensors/{rest}",
        min_length=1,
        max_length=256,
        title="Topic with {placeholders}; {rest} matches all that follows.",
        description="plant/{device}/{sensor} subscribes to plant/+/+.",
    )
    stream: str = Field(
        "",
        max_length=256,
        title="Stream name, of the topic's {placeholders} and {key}; empty: publisher's family and topic name it.",
        description="Every stream needs a name of its own. What a payload holds more than one of adds /key.",
    )
    profile: str = Field(
        "auto",
        pattern=r"^[a-z0-9_]{1,32}$",
        title="Family of the publishers; auto to recognise it, mapping for paths of your own.",
        description="Named where families look alike: zigbee2mqtt, tasmota, sparkplug.",
    )
    timezone: str = Field(
        "",
        max_length=64,
        title="Zone of times that are written without one; empty: the arrival counts instead.",
        description="Europe/Berlin; Tasmota and rtl_433 write local times.",
    )
    mapping: MappingSettings = Field(MappingSettings(), title="What profile: mapping reads.")


class MqttTlsSettings(Section):
    """Encryption of the broker connection; files are read again on each connect."""

    enabled: bool = Field(default=False, title="TLS 1.2 or newer; the broker's certificate and host name are checked.")
    ca_file: str = Field(
        "",
        title="Certificates (PEM) that may have signed the broker's; empty for the machine's own list.",
        description="Name your own authority: then no other can pose as the broker.",
    )
    cert_file: str = Field("", title="Our certificate (PEM), where the broker asks for one.")
    key_file: str = Field("", title="Its key (PEM, chmod 600); empty when cert_file holds it.")


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
    password_env: str = Field(
        "", pattern=r"^[A-Za-z_0-9]*$", title="Environment variable that holds the password, instead of a file."
    )
    password_credential: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]*$",
        title="systemd credential that holds the password, instead of a file.",
        description="LoadCredential=NAME:FILE in the unit, as in docker/foretell.service.",
    )
    allow_plaintext: bool = Field(
        default=False,
        title="Speak to a broker on another machine without TLS.",
        description="Anybody on the way reads the password, and can forge readings.",
    )
    tls: MqttTlsSettings = MqttTlsSettings()
    ask_publishers: bool = Field(
        default=True,
        title="Ask publishers for what is missing: births of Sparkplug nodes, values of a Victron installation.",
        description="Off where this client may only read.",
    )
    topics: tuple[TopicSettings, ...] = Field((TopicSettings(),), min_length=1, title="What to subscribe to.")

    @model_validator(mode="after")
    def _is_encrypted_or_here(self) -> Self:
        if not (self.tls.enabled or self.allow_plaintext or is_loopback(self.host)):
            msg = (
                f"mqtt.host {self.host} is another machine, and the connection is not encrypted: "
                "set mqtt.tls.enabled: true, or mqtt.allow_plaintext: true in a network that you trust"
            )
            raise ValueError(msg)
        if sum(map(bool, (self.password_file, self.password_env, self.password_credential))) > 1:
            msg = "name one of password_file, password_env and password_credential"
            raise ValueError(msg)
        return self


class MetricsSettings(Section):
    """The Prometheus endpoint."""

    enabled: bool = Field(default=True, title="Serve /metrics.")
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        title="Address to bind.",
        description="Another than this machine's own needs TLS and authentication by web_config_file.",
    )
    port: Port = Field(9464, title="Port of /metrics.")
    max_streams: int = Field(
        500,
        ge=0,
        title="Streams that get series of their own, worst score first.",
        description="Each stream has about fifteen series; Prometheus pays for each.",
    )
    web_config_file: str = Field(
        "",
        title="TLS, passwords and client certificates, as in exporter-toolkit's web-config.yml; empty for none.",
        description="docs/install.md shows one; it is read again when it changes.",
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
        title="Messages waiting at most; the oldest of quality of service 0 are dropped and counted.",
        description="For bursts and pauses: a minute of messages is plenty. Others wait in the broker.",
    )
    memory_mb: int = Field(
        0,
        ge=0,
        le=1_000_000,
        title="Memory of the daemon and its child, MB; 0 for three quarters of what the machine has.",
        description="Beyond it series of single streams are given up, then training, then new streams.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", title="Least severe log line written.")
