"""What Spark writes of each reading: the columns of a scores file, its position in the log, and the alert it raised.

Comes in: readings that were scored. Goes out: columns; missing numbers are NaN, and missing words None. Pure.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.core.alert_records import Alert
from pipeline.core.records import EpisodeEvent, Event, Health
from pipeline.core.settings import Settings
from pipeline.detect.devices import device_of
from pipeline.detect.explain import Spans, explanation, summary
from pipeline.sinks.alerts import alert_json
from pipeline.sinks.scores import episode_texts

if TYPE_CHECKING:  # the driver, which needs only the schema, needs no torch
    from pipeline.scaleout.shard import Scored

SCHEMA = (
    "stream string, seq long, timestamp timestamp, value double, forecast double, lower double, upper double, "
    "residual double, score double, level double, episode string, event string, health string, outcome byte, "
    "alert string"
)


def columns(scored: "Scored", settings: Settings) -> dict[str, Any]:
    """Return one row per reading, in the order of the log, as the columns of ``SCHEMA``; times are in UTC.

    ``outcome`` is what the gate made of it (``Outcome``), ``alert`` the JSON of the episode that it opened or closed:
    without neighbours and incident, which would need the other shards.
    """
    readings, steps = scored.logged.readings, scored.steps
    names = np.array([*readings.names, None], object)[:-1]
    with np.errstate(invalid="ignore"):  # inf - inf
        residual = readings.value - steps.forecast
    counts = np.rint(readings.time * 1e6).astype(np.int64)
    return {
        "stream": names[readings.stream],
        "seq": scored.logged.seq,
        "timestamp": counts.astype("datetime64[us]"),
        "value": readings.value,
        "forecast": steps.forecast,
        "lower": steps.lower,
        "upper": steps.upper,
        "residual": residual,
        "score": steps.score,
        "level": steps.level,
        "episode": _or_none(episode_texts(readings, readings.stream, steps.opened)),
        "event": _words(steps.event, {int(event): event.name.lower() for event in Event if event}),
        "health": _words(steps.health, _Healths()),
        "outcome": steps.outcome,
        "alert": _alerts(scored, settings),
    }


class _Healths(dict[int, str]):
    """Words of health bits, made when they first occur."""

    def __missing__(self, bits: int) -> str:
        return self.setdefault(bits, Health(bits).text())


def _words(codes: Any, text: dict[int, str]) -> Any:  # noqa: ANN401 - arrays of any integer, and of objects
    """Return words for codes, None for 0."""
    words = np.full(len(codes), None, object)
    for code in np.unique(codes[codes != 0]).tolist():
        words[codes == code] = text[code]
    return words


def _or_none(texts: list[str]) -> Any:  # noqa: ANN401 - an array of objects
    """Return None for empty texts."""
    words = np.array(texts, object)
    words[words == ""] = None
    return words


def _alerts(scored: "Scored", settings: Settings) -> Any:  # noqa: ANN401 - an array of objects
    """Return the alert of each reading that opened or closed an episode."""
    told = np.full(len(scored.logged), None, object)
    readings, steps = scored.logged.readings, scored.steps
    rows = {
        (readings.names[readings.stream[row]], float(readings.time[row]), int(steps.event[row])): row
        for row in np.flatnonzero(steps.event).tolist()
    }
    spans = Spans(settings.forecast.horizon_short, settings.forecast.horizon_long)
    for event in steps.events:
        told[rows[event.stream, event.at_s, int(event.event)]] = alert_json(
            _alert(event, spans, settings), settings.site
        )
    return told


def _alert(event: EpisodeEvent, spans: Spans, settings: Settings) -> Alert:
    """Put words to an episode."""
    device = device_of(event.stream, settings.devices)
    return Alert(event, device, "", (), summary(event, spans), explanation(event, spans, ()))
