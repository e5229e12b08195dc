"""Alerts and health verdicts as JSON: what an episode or a verdict that came or went tells the outside world.

Comes in: an ``EpisodeEvent`` or a ``HealthEvent``. Goes out: a dictionary with stable keys, or its JSON text; a missing
number is null, never NaN. Pure: this module refuses to know where alerts go.
"""

import json
import math
from datetime import UTC, datetime

from pipeline.core.records import EpisodeEvent, Event, HealthEvent

#: Version of the keys below; raised when one changes its meaning or goes away.
ALERT_VERSION = 1

JsonValue = str | float | None


def alert(event: EpisodeEvent, site: str) -> dict[str, JsonValue]:
    """Return an episode's opening or closing as plain values.

    Args:
        event: The episode; numbers are those at its peak so far.
        site: Name of the plant or house.

    Returns:
        ``event`` (open or close), ``episode``, ``stream``, ``site``, ``opened_at`` and ``at`` (ISO
        8601, UTC, event time), ``peak_score``, ``value``, ``forecast``, ``lower``, ``upper``,
        ``residual`` (sensor's unit), ``level``, ``view``, ``reason`` (null for an opening),
        ``version``.
    """
    return {
        "event": event.event.name.lower(),
        "episode": event.episode,
        "stream": event.stream,
        "site": site,
        "opened_at": iso_time(event.opened_s),
        "at": iso_time(event.at_s),
        "peak_score": _number(event.peak_score),
        "value": _number(event.value),
        "forecast": _number(event.forecast),
        "lower": _number(event.lower),
        "upper": _number(event.upper),
        "residual": _number(event.residual),
        "level": _number(event.level),
        "view": event.view,
        "reason": event.reason or None,
        "version": ALERT_VERSION,
    }


def alert_json(event: EpisodeEvent, site: str) -> str:
    """Return ``alert`` as one line of JSON."""
    return json.dumps(alert(event, site), allow_nan=False)


def state_json(event: EpisodeEvent) -> str:
    """Return the state a stream is in after ``event``, as one line of JSON.

    ``state`` is ``alert`` while the episode is open and ``ok`` once it closed.
    """
    state = "alert" if event.event is Event.OPEN else "ok"
    return json.dumps({"state": state, "episode": event.episode, "at": iso_time(event.at_s)}, allow_nan=False)


def verdict(event: HealthEvent, site: str) -> dict[str, JsonValue]:
    """Return a health verdict that was raised or cleared as plain values.

    Args:
        event: The verdict.
        site: Name of the plant or house.

    Returns:
        ``event`` (raise or clear), ``verdict`` (stuck, noisy, ...), ``stream``, ``site``, ``since`` and
        ``at`` (ISO 8601, UTC, event time), ``text`` (why, in plain words), ``version``.
    """
    return {
        "event": "raise" if event.raised else "clear",
        "verdict": str(event.verdict.name).lower(),
        "stream": event.stream,
        "site": site,
        "since": iso_time(event.since_s),
        "at": iso_time(event.at_s),
        "text": event.text,
        "version": ALERT_VERSION,
    }


def verdict_json(event: HealthEvent, site: str) -> str:
    """Return ``verdict`` as one line of JSON."""
    return json.dumps(verdict(event, site), allow_nan=False)


def iso_time(time_s: float) -> str | None:
    """Return Unix seconds as ISO 8601, UTC, milliseconds; None outside the years 1 to 9999.

    Example:
        >>> iso_time(1772359200.25)
        '2026-03-01T10:00:00.250Z'
    """
    try:
        moment = datetime.fromtimestamp(time_s, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
