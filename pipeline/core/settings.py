"""Every setting of the daemon and of replay, with its default, unit, range and how to choose it.

Comes in: the text of a YAML file. Goes out: a validated, immutable ``Settings``. Unknown keys are
refused; an error names file, line and key. This module opens no file.
"""

from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.core.errors import UsageError, printable
from pipeline.core.yaml_lines import Path, read_yaml

Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StreamSettings(Section):
    """What is kept per stream, and which readings are let in."""

    max_streams: int = Field(5000, ge=1, le=1_000_000, title="Streams beyond this are refused and counted.")
    window_len: int = Field(
        512, ge=128, le=65536, title="Readings kept per stream, for training and hidden-state rebuilds."
    )
    future_s: float = Field(60.0, ge=0, title="Event times further ahead of the clock than this are rejected, seconds.")
    gap_cadences: float = Field(
        20.0, ge=2, title="A silence longer than this many usual intervals resets the hidden state."
    )
    max_abs_value: float = Field(1e15, gt=0, le=1e15, title="Readings beyond plus or minus this are rejected.")


class ForecastSettings(Section):
    """The LSTM bank."""

    sharing: Literal["stream", "fleet"] = Field("stream", title="One network per stream, or one for all.")
    hidden: int = Field(24, ge=2, le=512, title="Hidden size H of each LSTM.")
    horizon_short: int = Field(8, ge=2, le=256, title="Readings that the short mean forecast covers.")
    horizon_long: int = Field(32, ge=2, le=256, title="Readings that the long mean and activity forecasts cover.")
    interval: float = Field(0.98, gt=0, lt=1, title="Probability of the forecast interval that is shown.")
    seed: int = Field(1, ge=0, title="Seed of initial weights and of window sampling.")

    @model_validator(mode="after")
    def _horizons_ascend(self) -> Self:
        if self.horizon_short >= self.horizon_long:
            msg = "horizon_short must be smaller than horizon_long"
            raise ValueError(msg)
        return self


class TrainingSettings(Section):
    """Fine-tuning, on windows already seen."""

    enabled: bool = Field(default=True, title="Off: networks keep their initial damped persistence.")
    every: int = Field(48, ge=8, title="Readings of a stream between two fine-tunes.")
    steps: int = Field(8, ge=1, le=256, title="Minibatches per fine-tune; twice as many while a stream is young.")
    batch: int = Field(16, ge=1, le=256, title="Windows per minibatch and network.")
    window: int = Field(48, ge=16, le=512, title="Readings per training window.")
    learning_rate: float = Field(5e-3, gt=0, lt=1, title="Adam's step size.")
    max_groups: int = Field(64, ge=1, title="Networks fine-tuned between two batches of the daemon.")


class DetectionSettings(Section):
    """Scores and episodes. Counts are readings of the stream."""

    alert_level: float = Field(4.0, gt=0, le=30, title="Score that opens an episode: -log10 of a tail probability.")
    close_level: float = Field(2.0, ge=0, le=30, title="Score under which an episode may close.")
    n_warmup: int = Field(400, ge=100, title="Readings of a stream before its first score.")
    n_quiet: int = Field(32, ge=1, title="Readings under close_level that close an episode.")
    n_cooldown: int = Field(64, ge=0, title="Readings after a close in which only a ten times rarer score opens again.")
    n_quarantine: int = Field(192, ge=1, title="Longest open episode; then the change is the new normal (drift).")
    history_blocks: int = Field(256, ge=64, le=4096, title="Block maxima kept per residual and tail.")

    @model_validator(mode="after")
    def _levels_descend(self) -> Self:
        if self.close_level >= self.alert_level:
            msg = "close_level must be smaller than alert_level"
            raise ValueError(msg)
        return self


class TopicSettings(Section):
    """One subscription and how its topics name streams."""

    topic: str = Field(
        "sensors/{rest}",
        min_length=1,
        max_length=256,
        title="Topic with {placeholders}; {rest} matches all that follows.",
    )
    stream: str = Field(
        "{rest}", min_length=1, max_length=256, title="Stream name; a flat JSON object adds /key unless {key} is used."
    )


class MqttSettings(Section):
    """The broker and what is read from it."""

    host: str = Field("127.0.0.1", min_length=1, title="Broker host.")
    port: Port = Field(1883, title="Broker port.")
    client_id: str = Field("foretell", min_length=1, max_length=64, title="Client id; two daemons must not share one.")
    protocol: Literal["5", "3.1.1"] = Field("5", title="MQTT version.")
    keepalive_s: int = Field(30, ge=5, le=3600, title="Keep-alive interval, seconds.")
    qos: Literal[0, 1] = Field(1, title="Quality of service asked for.")
    username: str = Field("", title="User name; empty for none.")
    password_file: str = Field("", title="File that holds the password; never the password itself.")
    topics: tuple[TopicSettings, ...] = Field((TopicSettings(),), min_length=1, title="What to subscribe to.")


class AlertSettings(Section):
    """Where verdicts are published."""

    topic_prefix: str = Field(
        "foretell", pattern=r"^[A-Za-z0-9_./-]{1,64}$", title="Alerts go to PREFIX/SITE/alert/STREAM."
    )
    publish: bool = Field(default=True, title="Publish alerts over MQTT, beside the log.")


class MetricsSettings(Section):
    """The Prometheus endpoint."""

    enabled: bool = Field(default=True, title="Serve /metrics.")
    host: Literal["127.0.0.1", "::1", "localhost"] = Field(
        "127.0.0.1", title="Loopback address to bind; others need authentication, not built yet."
    )
    port: Port = Field(9464, title="Port of /metrics.")
    max_streams: int = Field(500, ge=0, title="Streams that get series of their own, worst score first.")


class RuntimeSettings(Section):
    """How the daemon works through its inbox."""

    batch_s: float = Field(0.1, ge=0.01, le=10, title="Longest time a message waits for its batch, seconds.")
    batch_messages: int = Field(500, ge=1, title="Messages that make a batch at once.")
    inbox_messages: int = Field(50_000, ge=100, title="Messages waiting at most; the oldest are dropped and counted.")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", title="Least severe log line written.")


class Settings(Section):
    """All settings.

    Example:
        >>> Settings().mqtt.port
        1883
    """

    site: str = Field(
        "home", pattern=r"^[A-Za-z0-9_-]{1,64}$", title="Name of this plant or house, in topics and metrics."
    )
    streams: StreamSettings = StreamSettings()
    forecast: ForecastSettings = ForecastSettings()
    training: TrainingSettings = TrainingSettings()
    detection: DetectionSettings = DetectionSettings()
    mqtt: MqttSettings = MqttSettings()
    alerts: AlertSettings = AlertSettings()
    metrics: MetricsSettings = MetricsSettings()
    runtime: RuntimeSettings = RuntimeSettings()

    @model_validator(mode="after")
    def _window_holds_training(self) -> Self:
        need = self.training.window + self.forecast.horizon_long
        if self.streams.window_len < need:
            msg = f"streams.window_len must be at least training.window + forecast.horizon_long = {need}"
            raise ValueError(msg)
        return self


def parse_settings(text: str, source: str) -> Settings:
    """Turn the text of a YAML file into settings.

    Args:
        text: YAML text; empty means all defaults.
        source: File name for error messages.

    Returns:
        Validated settings.

    Raises:
        UsageError: Not YAML, an unknown or repeated key, a wrong type or a value out of range; the
            message names source, line and key, and what to do.

    Example:
        >>> parse_settings("mqtt: {prot: 1}", "edge.yaml")
        Traceback (most recent call last):
        pipeline.core.errors.UsageError: edge.yaml:1: mqtt.prot is not a setting; did you mean mqtt.port?
    """
    data, lines = read_yaml(text, source)
    if not isinstance(data, dict | None):
        raise UsageError(f"{source}:1", "holds no settings", "write keys; 'foretell init' prints them all")
    try:
        return Settings.model_validate(data or {})
    except ValidationError as error:
        raise _first_error(error, lines, source) from None


def _first_error(error: ValidationError, lines: dict[Path, int], source: str) -> UsageError:
    """Turn the first finding of pydantic into one line with a place and a remedy."""
    found = error.errors(include_url=False)[0]
    path = tuple(found["loc"])
    known = next(path[:n] for n in range(len(path), -1, -1) if path[:n] in lines or n == 0)
    where = f"{source}:{lines.get(known, 1)}"
    key = ".".join(map(str, path)) or "settings"
    if found["type"] == "extra_forbidden":
        return UsageError(where, f"{key} is not a setting", _suggest(path))
    shape = {"model_type": "settings of its own, or be left out", "tuple_type": "a list"}.get(found["type"])
    if shape:
        return UsageError(where, f"{key} must hold {shape}", "'foretell init' prints every setting in its place")
    value = found.get("input")
    given = "" if isinstance(value, dict | list) else f" (given: {printable(repr(value), 40)})"
    problem = f"{key}{given}: {found['msg'].removeprefix('Value error, ')}"
    return UsageError(where, problem, "change the value; 'foretell init' prints every setting with its range")


def _suggest(path: Path) -> str:
    """Name the nearest setting to an unknown key."""
    fields: dict[str, Any] = Settings.model_fields
    for part in path[:-1]:
        section = fields[part].annotation if part in fields else None
        fields = getattr(section, "model_fields", TopicSettings.model_fields)
    close = get_close_matches(str(path[-1]), fields, 1)
    if not close:
        return f"settings here are: {', '.join(fields)}"
    return f"did you mean {'.'.join(map(str, (*path[:-1], close[0])))}?"
