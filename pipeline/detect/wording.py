"""Numbers, times and durations in words that a person reads at a glance."""

import math
from datetime import UTC, datetime

_MINUTE_S, _HOUR_S, _DAY_S, _YEAR_S = 60.0, 3600.0, 86_400.0, 31_536_000.0
_SIGNIFICANT = 3
_PLAIN = (1e-4, 1e15)  # numbers outside of these are written with an exponent


def number(value: float, resolution: float = math.nan) -> str:
    """Return a number with as many decimals as matter beside ``resolution``, a difference that must show.

    Example:
        >>> number(21.30001, 1.5), number(1_000_003.0, 2.0), number(0.00012345)
        ('21.3', '1000003', '0.000123')
        >>> number(float("nan"))
        'unknown'
    """
    if not math.isfinite(value):
        return "unknown"
    size = abs(resolution) if math.isfinite(resolution) and resolution else abs(value)
    if not size:
        return "0"
    if not _PLAIN[0] <= max(abs(value), size) < _PLAIN[1]:
        return f"{value:.{_SIGNIFICANT}g}"
    decimals = _SIGNIFICANT - 1 - math.floor(math.log10(size))
    text = f"{value:.{min(max(decimals, 0), 12)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def duration(seconds: float) -> str:
    """Return a duration in its two largest units.

    Example:
        >>> duration(9600), duration(1500), duration(45), duration(0.25), duration(30 * 86400)
        ('2 h 40 min', '25 min', '45 s', '0.25 s', '30 days')
        >>> duration(3599.7), duration(366 * 86400), duration(1e10)
        ('1 h', '1 year 1 day', '317 years')
    """
    if not math.isfinite(seconds):
        return "an unknown time"
    if seconds < 1:
        return f"{seconds:.2g} s"
    seconds = round(seconds) if seconds < _HOUR_S else round(seconds / _MINUTE_S) * _MINUTE_S
    for size, name, smaller, smaller_name in (
        (_YEAR_S, " years", _DAY_S, " days"),
        (_DAY_S, " days", _HOUR_S, " h"),
        (_HOUR_S, " h", _MINUTE_S, " min"),
        (_MINUTE_S, " min", 1.0, " s"),
    ):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            parts = [_unit(whole, name)]
            if rest >= smaller and whole < 10:  # noqa: PLR2004 - two digits say enough
                parts.append(_unit(rest // smaller, smaller_name))
            return " ".join(parts)
    return f"{seconds:.0f} s"


def _unit(count: float, name: str) -> str:
    """Return a number of hours, days or years."""
    return f"{count:,.0f}{name.removesuffix('s') if count == 1 and name in {' days', ' years'} else name}"


def moment(time_s: float, *, near_s: float = math.nan) -> str:
    """Return an event time, UTC, to the minute where it is a whole one; without the date on the day of ``near_s``.

    Example:
        >>> moment(1772359200.0), moment(1772359245.0, near_s=1772359200.0)
        ('2026-03-01 10:00', '10:00:45')
        >>> moment(float("nan"))
        'an unknown time'
    """
    at, near = _datetime(time_s), _datetime(near_s)
    if at is None:
        return "an unknown time"
    date = "" if near is not None and near.date() == at.date() else "%Y-%m-%d "
    return at.strftime(f"{date}%H:%M:%S" if at.second else f"{date}%H:%M")


def _datetime(time_s: float) -> datetime | None:
    """Return Unix seconds as a date, to the second; None where no calendar has it."""
    try:
        return datetime.fromtimestamp(round(time_s), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def listed(words: list[str]) -> str:
    """Join words as a sentence does.

    Example:
        >>> listed(["a"]), listed(["a", "b", "c"])
        ('a', 'a, b and c')
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1] if words else "")))


def about(count: float) -> str:
    """Return a number roughly, with two digits.

    Example:
        >>> about(41234.0), about(312), about(1e6)
        ('41,000', '310', '1,000,000')
    """
    return f"{float(f'{count:.2g}'):,.0f}"
