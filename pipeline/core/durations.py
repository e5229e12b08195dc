"""Durations as people write them on a command line: ``7d``, ``12 h``."""

import re

_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(s|min|h|d|w)")


def seconds_in(text: str) -> float:
    """Return the seconds of a duration: a number and s, min, h, d or w.

    Raises:
        ValueError: It is no such duration, or none at all.

    Example:
        >>> seconds_in("7d"), seconds_in("90 min")
        (604800.0, 5400.0)
    """
    found = _DURATION.fullmatch(text.strip().lower())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if seconds <= 0:
        msg = "must be a duration such as 7d, 12h or 30min"
        raise ValueError(msg)
    return seconds
