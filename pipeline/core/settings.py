"""Every setting of the daemon and of replay, with its default, unit, range and how to choose it.

Comes in: the text of a YAML file. Goes out: a validated, immutable ``Settings``. Unknown keys are
refused; an error names file, line and key. This module opens no file.
"""

from difflib import get_close_matches
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from pipeline.core.alert_settings import AlertSettings
from pipeline.core.bridge_settings import BridgeSettings
from pipeline.core.device_settings import DeviceSettings
from pipeline.core.edge_settings import (
    MetricsSettings,
    MqttSettings,
    RuntimeSettings,
    Section,
    TopicSettings,
)
from pipeline.core.errors import UsageError, printable
from pipeline.core.forecast_settings import ForecastSettings, TrainingSettings
from pipeline.core.health_settings import HealthSettings
from pipeline.core.page_settings import PageSettings
from pipeline.core.rates import seconds_per_event
from pipeline.core.scale_settings import ScaleSettings
from pipeline.core.store_settings import StoreSettings
from pipeline.core.yaml_lines import Path, read_yaml

_SHORTEST_WINDOW = 128
#: Readings kept of each stream where nothing is said, by who shares its network: what one stream lacks, others have.
_WINDOW_OF = {"stream": 4096, "auto": 4096, "group": 1024, "fleet": 256}
_HOLD_OUT_PERIOD = 128  # readings among which the gate finds some that were not taught


class StreamSettings(Section):
    """What is kept per stream, and which readings are let in."""

    max_streams: int = Field(
        5000,
        ge=1,
        le=1_000_000,
        title="Streams beyond this are refused and counted.",
        description="About 232 KB of memory each with networks of its own, 27 KB in a fleet.",
    )
    window_len: int = Field(
        0,
        ge=0,
        le=65536,
        title="Readings kept per stream, at least 128; 0: as sharing needs: 4096, of a kind 1024, in a fleet 256.",
        description="More lets networks train on an older past, and finds longer seasons, at 25 bytes each.",
    )
    future_s: float = Field(
        60.0,
        ge=0,
        title="Event times further ahead of the clock than this are rejected, seconds.",
        description="Raise it only where sensors' clocks run ahead.",
    )
    gap_cadences: float = Field(
        20.0,
        ge=2,
        title="A silence longer than this many usual intervals resets the hidden state.",
        description="Lower it where a short silence already makes the past useless.",
    )
    max_abs_value: float = Field(1e15, gt=0, le=1e15, title="Readings beyond plus or minus this are rejected.")

    @field_validator("window_len")
    @classmethod
    def _is_none_or_enough(cls, length: int) -> int:
        if 0 < length < _SHORTEST_WINDOW:
            msg = f"Input should be 0, or greater than or equal to {_SHORTEST_WINDOW}"
            raise ValueError(msg)
        return length


class DetectionSettings(Section):
    """Scores, alert levels and episodes. Counts are readings of the stream."""

    false_alarms_per_stream: str = Field(
        "1 per 30 days",
        title="False alarms that a stream may raise: a number per a time.",
        description="The alert level follows from it. More, to be told of smaller faults: 1 per 7 days.",
    )
    n_warmup: int = Field(
        128,
        ge=100,
        title="Readings of a stream before its first score.",
        description="A day of readings where the day matters.",
    )
    n_settled: int = Field(
        400,
        ge=100,
        title="Readings of a stream before its first alert; then its own scores begin to set its alert level.",
        description="Before, forecasts still improve. Fewer where readings are hours apart.",
    )
    rest_share: float = Field(
        0.055,
        ge=0,
        le=1,
        title="After an alert a stream rests for this share of the time it has been watched.",
        description="In the last third of the rest only what is far rarer, a hundred times, is an alert.",
    )
    n_rest: int = Field(25, ge=1, title="Shortest rest, in usual intervals between readings.")
    n_rest_most: int = Field(
        450,
        ge=1,
        title="Longest rest, in usual intervals.",
        description="At least n_rest; shorter to be reminded more.",
    )
    close_margin: float = Field(
        1.5,
        ge=0,
        le=30,
        title="An episode may close when the score is so far under the alert level (tenfolds).",
        description="Smaller values close sooner, and let episodes flicker.",
    )
    n_quiet: int = Field(
        32,
        ge=1,
        title="Readings that far under the alert level that close an episode.",
        description="Longer joins what belongs together into one episode.",
    )
    quarantine_level: float = Field(
        31.0,
        gt=2,
        le=31,
        title="Score from which on readings do not teach networks and scales; 31 for never.",
        description="6 where long faults must not be learnt: they stay strange, and so does what follows them.",
    )
    n_quarantine: int = Field(
        192,
        ge=16,
        title="Longest quarantine and longest episode; then the change is the new normal (drift).",
        description="Longer where faults last long and must not be learnt.",
    )
    n_kept: int = Field(
        128,
        ge=32,
        le=4096,
        title="Largest block maxima kept of every statistic.",
        description="68 bytes each: more makes rare scores surer. 128 lost nothing against all.",
    )

    @property
    def seconds_per_false_alarm(self) -> float:
        """Seconds to one false alarm of a stream."""
        return seconds_per_event(self.false_alarms_per_stream)

    @field_validator("false_alarms_per_stream")
    @classmethod
    def _is_a_rate(cls, text: str) -> str:
        seconds_per_event(text)
        return text

    @model_validator(mode="after")
    def _rests_are_ordered(self) -> Self:
        if self.n_rest_most < self.n_rest:
            msg = "n_rest_most must not be smaller than n_rest"
            raise ValueError(msg)
        return self


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
    health: HealthSettings = HealthSettings()
    devices: DeviceSettings = DeviceSettings()
    mqtt: MqttSettings = MqttSettings()
    alerts: AlertSettings = AlertSettings()
    metrics: MetricsSettings = MetricsSettings()
    page: PageSettings = PageSettings()
    store: StoreSettings = StoreSettings()
    bridge: BridgeSettings = BridgeSettings()
    runtime: RuntimeSettings = RuntimeSettings()
    scale: ScaleSettings = ScaleSettings()

    @model_validator(mode="after")
    def _window_holds_training(self) -> Self:
        training = self.training
        need = training.window + max(self.forecast.horizon_long, training.takeover + 2)
        if self.window_len < need:
            msg = f"streams.window_len must be at least {need} for training.window and forecast.horizon_long"
            raise ValueError(msg)
        return self

    @property
    def window_len(self) -> int:
        """Readings kept of each stream: ``streams.window_len``, or where that is 0 what sharing needs.

        Where nobody shares, the stream's own past is all that its network learns from. A fleet has that of all its
        streams: of each it needs a training window, readings that the gate may examine it on, and those that come
        while a lesson waits.

        Example:
            >>> Settings().window_len, Settings.model_validate({"forecast": {"sharing": "fleet"}}).window_len
            (4096, 256)
        """
        training = self.training
        waiting = max(training.every, training.takeover)
        need = _HOLD_OUT_PERIOD + training.window + self.forecast.horizon_long + waiting
        return self.streams.window_len or max(_WINDOW_OF[self.forecast.sharing], need)


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
