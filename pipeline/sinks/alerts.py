"""Alerts, incidents and health verdicts as JSON: what is told the outside world.

Comes in: an ``Alert``, an ``Incident`` or a ``HealthEvent``. Goes out: a dictionary with stable keys, or its JSON
text; a missing number is null, never NaN, and sizes are bounded. Pure: this module refuses to know where alerts go.
"""

import hashlib
import json
import math
from collections.abc import Iterable
from datetime import UTC, datetime

from pipeline.core.alert_records import Alert, Incident, Member, Neighbour, StreamState
from pipeline.core.evidence import Evidence
from pipeline.core.records import HealthEvent

#: Version of the keys below; raised when one changes its meaning or goes away.
ALERT_VERSION = 2
INCIDENT_VERSION = 1
VERDICT_VERSION = 1
STATE_VERSION = 2
#: Readings of the evidence, characters of each text, and streams of an incident that a message carries at most.
MAX_EVIDENCE = 64
MAX_TEXT = 4000
MAX_MEMBERS = 16

JsonValue = str | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


def alert(told: Alert, site: str, *, has_evidence: bool = True, unit: str = "") -> dict[str, JsonValue]:
    """Return an episode's opening or closing as plain values.

    Args:
        told: The episode; numbers are those at its peak so far.
        site: Name of the plant or house.
        has_evidence: Include the last readings.
        unit: Unit of the stream's readings, as its publisher says it; empty when unknown.

    Returns:
        ``event`` (open or close), ``episode``, ``incident``, ``stream``, ``device``, ``site``; ``opened_at``,
        ``onset_at`` (null when unknown), ``at`` and ``peak_at`` (ISO 8601, UTC, event time); ``severity``,
        ``peak_score``, ``level``, ``odds`` (one in so many readings); ``value``, ``forecast``, ``lower``, ``upper``,
        ``residual`` (sensor's unit) and ``unit`` (null when unknown); ``view`` and ``views`` (name and decades, largest
        first), ``summary`` and ``text`` (plain words), ``reason`` (null for an opening), ``neighbours``, ``evidence``
        (columns ``time`` in Unix seconds, ``value``, ``forecast``, ``lower``, ``upper``), ``version``.
    """
    event = told.event
    plain: dict[str, JsonValue] = {
        "event": event.event.name.lower(),
        "episode": event.episode,
        "incident": told.incident or None,
        "stream": event.stream,
        "device": told.device or None,
        "site": site,
        "opened_at": iso_time(event.opened_s),
        "onset_at": iso_time(event.onset_s),
        "at": iso_time(event.at_s),
        "peak_at": iso_time(event.peak_s),
        "severity": event.severity,
        "peak_score": _number(event.peak_score),
        "level": _number(event.level),
        "odds": _number(event.odds),
        "value": _number(event.value),
        "forecast": _number(event.forecast),
        "lower": _number(event.lower),
        "upper": _number(event.upper),
        "residual": _number(event.residual),
        "unit": unit or None,
        "view": event.view,
        "views": [{"view": view, "decades": _number(decades)} for view, decades in event.views],
        "summary": told.summary[:MAX_TEXT],
        "text": told.text[:MAX_TEXT],
        "reason": event.reason or None,
        "neighbours": [_neighbour(each) for each in told.neighbours],
    }
    if has_evidence:
        plain["evidence"] = _evidence(event.evidence) if event.evidence is not None else None
    return plain | {"version": ALERT_VERSION}


def incident(told: Incident, site: str) -> dict[str, JsonValue]:
    """Return a device's incident as plain values.

    Returns:
        ``state`` (open or closed), ``incident``, ``device``, ``site``; ``opened_at``, ``onset_at``, ``at`` (ISO 8601,
        UTC, event time); ``severity``, ``margin`` (decades beyond the level at which the device as a whole keeps the
        budget of one stream), ``n_streams`` that alerted of ``n_sensors`` and ``n_open`` of them that still do,
        ``first`` (the stream whose change began first), ``text``, ``streams`` (largest margin first, ``MAX_MEMBERS``
        at most), ``version``.
    """
    first = min(told.members, key=lambda member: (member.onset_s, member.stream))
    return {
        "state": "open" if told.is_open else "closed",
        "incident": told.incident,
        "device": told.device,
        "site": site,
        "opened_at": iso_time(told.opened_s),
        "onset_at": iso_time(first.onset_s),
        "at": iso_time(told.at_s),
        "severity": told.severity,
        "margin": _number(told.device_margin),
        "n_streams": len(told.members),
        "n_open": _n_open(told),
        "n_sensors": told.n_sensors,
        "first": first.stream,
        "text": _incident_text(told, first),
        "streams": [_member(member) for member in told.members[:MAX_MEMBERS]],
        "version": INCIDENT_VERSION,
    }


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
        "version": VERDICT_VERSION,
    }


def alert_json(told: Alert, site: str, unit: str = "") -> str:
    """Return ``alert`` as one line of JSON."""
    return json.dumps(alert(told, site, unit=unit), allow_nan=False)


def alert_digest(told: Alert, site: str) -> str:
    """Return what tells an alert from any other, to the last bit: SHA-256 of its JSON, hexadecimal."""
    return hashlib.sha256(alert_json(told, site).encode()).hexdigest()


def incident_json(told: Incident, site: str) -> str:
    """Return ``incident`` as one line of JSON."""
    return json.dumps(incident(told, site), allow_nan=False)


def verdict_json(event: HealthEvent, site: str) -> str:
    """Return ``verdict`` as one line of JSON."""
    return json.dumps(verdict(event, site), allow_nan=False)


def state_json(now: StreamState) -> str:
    """Return what a stream's alert is now, as one line of JSON.

    ``state`` is one of ``STATES``; ``is_alert`` is true while it is open or closing and nobody said that it need not be
    minded: it is not held back, not judged false and not expected.
    """
    is_open = now.state in ("open", "closing")
    plain: dict[str, JsonValue] = {
        "state": now.state,
        "is_alert": is_open and not now.held and now.judged != "false" and now.expected_until_s is None,
        "stream": now.stream,
        "episode": now.episode or None,
        "severity": now.severity or None,
        "at": iso_time(now.at_s),
        "held": now.held or None,
        "acknowledged_by": now.acknowledged_by or None,
        "judged": now.judged or None,
        "expected_until": iso_time(now.expected_until_s) if now.expected_until_s is not None else None,
        "version": STATE_VERSION,
    }
    return json.dumps(plain, allow_nan=False)


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


def _incident_text(told: Incident, first: Member) -> str:
    """Say what is known of an incident, in one sentence or two."""
    sensors = f"{told.n_sensors} sensor{'' if told.n_sensors == 1 else 's'}"
    alerted = f"{len(told.members)} of {sensors} of {told.device} alerted since {_moment(told.opened_s)}"
    began = f"; {first.stream} began first, about {_moment(first.onset_s)}" if len(told.members) > 1 else ""
    state = f"open: {_n_open(told)} still in alert" if told.is_open else "over"
    return f"{alerted}{began}. The incident is {state}."


def _n_open(told: Incident) -> int:
    """Return how many streams of an incident have an open episode."""
    return sum(member.is_open for member in told.members)


def _moment(time_s: float) -> str:
    """Return an event time to the second, as a sentence has it."""
    iso = iso_time(time_s)
    return f"{iso[:19].replace('T', ' ')} UTC" if iso else "an unknown time"


def _neighbour(each: Neighbour) -> JsonValue:
    """Return a neighbour as plain values."""
    numbers: dict[str, JsonValue] = {"score": _number(each.score), "level": _number(each.level)}
    return {"stream": each.stream, "is_of_device": each.is_of_device, "at": iso_time(each.at_s), **numbers}


def _member(member: Member) -> JsonValue:
    """Return a stream of an incident as plain values."""
    return {
        "stream": member.stream,
        "episode": member.episode,
        "onset_at": iso_time(member.onset_s),
        "opened_at": iso_time(member.opened_s),
        "margin": _number(member.margin),
        "severity": member.severity,
        "is_open": member.is_open,
    }


def _evidence(evidence: Evidence) -> JsonValue:
    """Return the newest readings as columns; numbers have twelve digits, times are to the millisecond."""
    names = ("time", "value", "forecast", "lower", "upper")
    columns = dict(zip(names, (column[-MAX_EVIDENCE:].tolist() for column in evidence.columns()), strict=True))
    times: list[JsonValue] = [round(time_s, 3) if math.isfinite(time_s) else None for time_s in columns.pop("time")]
    return {"time": times, **{name: _short(column) for name, column in columns.items()}}


def _short(values: Iterable[float]) -> list[JsonValue]:
    """Return numbers with twelve significant digits, null for missing."""
    return [float(f"{value:.12g}") if math.isfinite(value) else None for value in values]


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
