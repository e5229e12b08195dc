"""Times in which streams are silenced: once from then to then, or each week on some days at some hours.

Comes in: text of a configuration. Goes out: a ``Window`` that says whether a moment lies in it. Pure.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Window:
    """A time, or times that come again.

    Attributes:
        since_s: Not before, Unix seconds.
        until_s: Not from then on, Unix seconds.
        days: Days of the week on which it begins, Monday is 0; empty for all.
        start_min, end_min: From and to, minutes after midnight; through midnight where the end is not later.
        zone: Whose midnight, and whose days.

    Example:
        >>> nights = Window.parse(hours="22:00-06:00", days=("fri",), zone="Europe/Berlin")
        >>> [nights.covers(1772218800 + hour * 3600) for hour in (0, 3, 8, 24)]  # Friday 20:00 and later
        [False, True, True, False]
    """

    since_s: float
    until_s: float
    days: frozenset[int]
    start_min: int
    end_min: int
    zone: ZoneInfo

    @classmethod
    def parse(
        cls, since: str = "", until: str = "", days: tuple[str, ...] = (), hours: str = "", zone: str = "UTC"
    ) -> "Window":
        """Return the window that is meant.

        Args:
            since: ISO 8601 with its zone; empty for always.
            until: Likewise; empty for ever.
            days: Of ``DAYS``; empty for all.
            hours: ``22:00-06:00``; empty for the whole day.
            zone: Name of a time zone.

        Raises:
            ValueError: It is none, or one without an end.
        """
        if not (until or days or hours):
            raise ValueError("needs until, days or hours: what is never told need not be watched")
        try:
            home = ZoneInfo(zone)
        except (ValueError, OSError, LookupError):
            raise ValueError(f"{zone!r} is not a time zone; write its name, such as Europe/Berlin") from None
        since_s, until_s = _time(since, float("-inf")), _time(until, float("inf"))
        if since_s >= until_s:
            raise ValueError("since must be before until")
        if not set(days) <= set(DAYS):
            raise ValueError(f"days are: {', '.join(DAYS)}")
        found = _HOURS.fullmatch(hours or "00:00-00:00")
        if found is None:
            raise ValueError("hours must be like 22:00-06:00")
        h0, m0, h1, m1 = map(int, found.groups())
        return cls(since_s, until_s, frozenset(map(DAYS.index, days)), 60 * h0 + m0, 60 * h1 + m1, home)

    def covers(self, now_s: float) -> bool:
        """Say whether a moment (Unix seconds) lies in it."""
        if not self.since_s <= now_s < self.until_s:
            return False
        local = datetime.fromtimestamp(now_s, self.zone)
        minute = 60 * local.hour + local.minute
        is_through = self.end_min <= self.start_min
        if self.start_min <= minute and (is_through or minute < self.end_min):
            return self._is_on(local)
        return is_through and minute < self.end_min and self._is_on(local - timedelta(days=1))

    def _is_on(self, day: datetime) -> bool:
        return not self.days or day.weekday() in self.days


def _time(text: str, empty: float) -> float:
    if not text:
        return empty
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError(f"{text!r} is not a time with its zone, such as 2026-03-01T10:00:00Z")
    return at.timestamp()
