"""Payloads: bytes from anybody become readings or a named rejection, never an exception.

Comes in: topic, payload bytes and arrival time. Goes out: (stream, event time, value) of each
number, all finite, or the one reason why there is none. Everything here is hostile until parsed.
This module refuses to know brokers, the engine and what the numbers mean.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from pipeline.decode.topics import PLAIN_KEY, Route

MAX_PAYLOAD_BYTES = 65536
MAX_KEYS = 64
MAX_TIME_CHARS = 64
TIME_KEYS = ("time", "timestamp", "ts")

#: Below this (March 1973) a number is an uptime or a clock that was never set, not a date.
_EARLIEST_S = 1e8
#: Epoch numbers under a limit have so many units per second; seconds reach the year 5138.
_EPOCH_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9))

# Possessive: 64 KiB of digits must not backtrack.
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_NOT_FINITE = re.compile(r"[+-]?(?:nan|inf(?:inity)?)", re.IGNORECASE)

#: A parsed JSON value. Objects are tuples of pairs, so that repeated keys stay visible.
Json = None | bool | float | str | list["Json"] | tuple[tuple[str, "Json"], ...]


class Reason(StrEnum):
    """Why a message, or one key of it, gave no reading; the value is the metric label."""

    BAD_TOPIC = "bad_topic"
    """No route matches, or the stream's name is outside the allow-list."""
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    NOT_TEXT = "not_text"
    """Not UTF-8."""
    NOT_JSON = "not_json"
    NESTED = "nested"
    TOO_MANY_KEYS = "too_many_keys"
    DUPLICATE_KEY = "duplicate_key"
    BAD_KEY = "bad_key"
    """The key would make a stream name outside the allow-list."""
    BAD_TIME = "bad_time"
    NOT_FINITE = "not_finite"
    NO_NUMBER = "no_number"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A message that gave no reading, and the first reason found."""

    reason: Reason


@dataclass(frozen=True, slots=True)
class Decoded:
    """A message that gave at least one reading.

    Attributes:
        readings: Stream name, event time in Unix seconds, finite value in the sensor's unit.
        skipped: Keys beside them that looked like readings but were refused.
    """

    readings: list[tuple[str, float, float]]
    skipped: list[Reason] = field(default_factory=list)


class _Refusal(Exception):  # noqa: N818 - control flow inside this module, not an error of the program
    """Carries the reason out of a helper."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def decode(topic: str, payload: bytes, arrival_s: float, routes: Sequence[Route]) -> Decoded | Rejection:
    """Turn one message into readings.

    Takes a bare number, a JSON number or a flat JSON object. In an object every numeric key is a
    reading and ``time``, ``timestamp`` or ``ts`` is its event time: ISO 8601 (UTC unless it says
    otherwise) or epoch seconds, milli-, micro- or nanoseconds, told apart by magnitude. Strings,
    booleans and nulls are no readings.

    Args:
        topic: Topic as received.
        payload: Payload as received, any bytes.
        arrival_s: Arrival time, Unix seconds: the event time when the payload has none.
        routes: Tried in order; the first that matches names the streams.

    Returns:
        The readings, or the reason why there is none. Never raises.

    Example:
        >>> routes = [Route.parse("plant/{rest}", "{rest}")]
        >>> decode("plant/pump", b'{"t": 20.5, "unit": "C"}', 7.0, routes).readings
        [('pump/t', 7.0, 20.5)]
        >>> decode("plant/pump", b"NaN", 7.0, routes)
        Rejection(reason=<Reason.NOT_FINITE: 'not_finite'>)
    """
    try:
        route, fields = _find_route(topic, routes)
        content = _parse(payload)
        pairs = _pairs(content)
        time_s = _event_time(pairs, arrival_s) if isinstance(content, tuple) else arrival_s
        return _collect(pairs, route, fields, time_s)
    except _Refusal as refusal:
        return Rejection(refusal.reason)


def _find_route(topic: str, routes: Sequence[Route]) -> tuple[Route, dict[str, str]]:
    for route in routes:
        fields = route.match(topic)
        if fields is not None and route.name(fields) is not None:
            return route, fields
    raise _Refusal(Reason.BAD_TOPIC)


def _parse(payload: bytes) -> Json:
    """Return the parsed payload; a bare number may be written in ways JSON does not know."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise _Refusal(Reason.TOO_LARGE)
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        raise _Refusal(Reason.NOT_TEXT) from None
    if not text:
        raise _Refusal(Reason.EMPTY)
    if _NUMBER.fullmatch(text) or _NOT_FINITE.fullmatch(text):
        return float(text)
    try:
        # Integers become floats at once: int() refuses, or float(int) overflows on, long ones.
        parsed: Json = json.loads(text, parse_int=float, object_pairs_hook=tuple)
    except RecursionError:
        raise _Refusal(Reason.NESTED) from None
    except ValueError:
        raise _Refusal(Reason.NOT_JSON) from None
    return parsed


def _pairs(content: Json) -> tuple[tuple[str, Json], ...]:
    """Return the keys of an object; a scalar is one under the plain key."""
    if isinstance(content, list):
        raise _Refusal(Reason.NESTED)
    if not isinstance(content, tuple):
        return ((PLAIN_KEY, content),)
    if len(content) > MAX_KEYS:
        raise _Refusal(Reason.TOO_MANY_KEYS)
    if len({key for key, _ in content}) != len(content):
        raise _Refusal(Reason.DUPLICATE_KEY)
    return content


def _event_time(pairs: tuple[tuple[str, Json], ...], arrival_s: float) -> float:
    for key, value in pairs:
        if key.lower() in TIME_KEYS and value is not None:
            return _time(value)
    return arrival_s


def _time(value: Json) -> float:
    if isinstance(value, str) and len(value) <= MAX_TIME_CHARS:
        return _epoch(float(value)) if _NUMBER.fullmatch(value) else _iso(value)
    if isinstance(value, float):
        return _epoch(value)
    raise _Refusal(Reason.BAD_TIME)


def _epoch(number: float) -> float:
    for limit, units_per_s in _EPOCH_UNITS:
        if _EARLIEST_S <= number < limit:
            return number / units_per_s
    raise _Refusal(Reason.BAD_TIME)


def _iso(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Refusal(Reason.BAD_TIME) from None
    time_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if time_s < _EARLIEST_S:
        raise _Refusal(Reason.BAD_TIME)
    return time_s


def _collect(pairs: tuple[tuple[str, Json], ...], route: Route, fields: dict[str, str], time_s: float) -> Decoded:
    """Gather what is numeric; a message in which nothing is gets the reason of its first key refused."""
    found = Decoded([])
    nested = False
    for key, value in pairs:
        if isinstance(value, float) and key.lower() not in TIME_KEYS:
            name = route.name(fields, key) if key else None
            if name is None:
                found.skipped.append(Reason.BAD_KEY)
            elif not math.isfinite(value):
                found.skipped.append(Reason.NOT_FINITE)
            else:
                found.readings.append((name, time_s, value))
        nested |= isinstance(value, list | tuple)
    if not found.readings:
        raise _Refusal([*found.skipped, Reason.NESTED if nested else Reason.NO_NUMBER][0])
    return found
