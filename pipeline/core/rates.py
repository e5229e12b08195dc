"""Rates as people write them: ``1 per 30 days``."""

import re
from functools import cache

_UNITS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0, "week": 604800.0, "month": 2592000.0}
_UNITS["year"] = 365.0 * _UNITS["day"]
_RATE = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s+per\s+(?:(\d{1,9}(?:\.\d{1,6})?)\s+)?([a-z]{3,7}?)s?")


@cache  # asked every tick
def seconds_per_event(text: str) -> float:
    """Return the seconds to one event of a rate.

    Args:
        text: ``N per [M] UNIT``: seconds, minutes, hours, days, weeks, months (of 30 days) or years.

    Raises:
        ValueError: It is no such rate, or one of nothing.

    Example:
        >>> seconds_per_event("1 per 30 days"), seconds_per_event("2 per week")
        (2592000.0, 302400.0)
    """
    found = _RATE.fullmatch(text.strip().lower())
    unit = _UNITS.get(found[3]) if found else None
    events = float(found[1]) if found else 0.0
    time = float(found[2] or 1) if found else 0.0
    if unit is None or events <= 0 or time <= 0:
        msg = "must be a rate such as '1 per 30 days' or '2 per week'"
        raise ValueError(msg)
    return time * unit / events
