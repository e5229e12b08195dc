"""Event times as publishers write them: epochs of any unit, ISO 8601, local times without a zone.

Comes in: a value of a payload, the zone that the user gave, and the arrival. Goes out: Unix seconds, or a
``RefusalError``. Local times of the hour that a clock change repeats are taken for the one nearer to the arrival.
"""

from datetime import datetime, tzinfo

from pipeline.decode.content import NUMBER, Json
from pipeline.decode.reasons import Reason, RefusalError

MAX_TIME_CHARS = 64

#: Below this (March 1973) a number is an uptime or a clock that was never set, not a date.
EARLIEST_S = 1e8
#: From here on (the year 5138) it is no date in seconds.
LATEST_S = 1e11
#: Epoch numbers under a limit have so many units per second; seconds reach the year 5138.
_UNITS_PER_S = ((LATEST_S, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9))


class ZonelessError(Exception):
    """A local time, and nobody said where; the caller falls back to the arrival."""


def event_time(value: Json, zone: tzinfo | None, arrival_s: float) -> float:
    """Return an event time in Unix seconds.

    Args:
        value: Epoch seconds, milli-, micro- or nanoseconds, told apart by magnitude, as a number or text; or
            ISO 8601, with a zone or local.
        zone: Where local times are of; None when the user did not say.
        arrival_s: Arrival, Unix seconds: decides between the two hours of a clock change.

    Raises:
        RefusalError: It is no time, or none of an age in which there were sensors on networks.
        ZonelessError: It is a local time and ``zone`` is None.

    Example:
        >>> from datetime import UTC
        >>> event_time(1772359200123.0, None, 0.0), event_time("2026-03-01 10:00:00", UTC, 0.0)
        (1772359200.123, 1772359200.0)
    """
    if isinstance(value, float):
        return epoch(value)
    if isinstance(value, str) and len(value) <= MAX_TIME_CHARS:
        return epoch(float(value)) if NUMBER.fullmatch(value) else _iso(value, zone, arrival_s)
    raise RefusalError(Reason.BAD_TIME, "the time is neither a number nor text")


def epoch(number: float) -> float:
    """Return an epoch of any unit as Unix seconds.

    Raises:
        RefusalError: It is none.
    """
    for limit, per_s in _UNITS_PER_S:
        if EARLIEST_S <= number < limit:
            return number / per_s
    raise RefusalError(Reason.BAD_TIME, f"{number!r} is no epoch: an uptime, or a clock that was never set?")


def _iso(text: str, zone: tzinfo | None, arrival_s: float) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RefusalError(Reason.BAD_TIME, f"{text!r} is not ISO 8601") from None
    try:
        time_s = moment.timestamp() if moment.tzinfo else _local(moment, zone, arrival_s)
    except (OverflowError, ValueError):
        time_s = 0.0
    if time_s < EARLIEST_S:
        raise RefusalError(Reason.BAD_TIME, f"{text!r} is too long ago: a clock that was never set?")
    return time_s


def _local(moment: datetime, zone: tzinfo | None, arrival_s: float) -> float:
    """Return a local time in Unix seconds; of an hour that comes twice, the one nearer to the arrival."""
    if zone is None:
        raise ZonelessError
    first, second = (moment.replace(tzinfo=zone, fold=fold).timestamp() for fold in (0, 1))
    return min(first, second, key=lambda time_s: abs(time_s - arrival_s))
