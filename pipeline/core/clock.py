"""Time is handed in. The core knows a clock only as something that answers ``now``."""

from typing import Protocol


class Clock(Protocol):
    """Answers the current time."""

    def now(self) -> float:
        """Return Unix time in seconds, UTC."""
        ...


class ManualClock:
    """A clock that somebody else moves: replay moves it with event time, tests by hand.

    Example:
        >>> clock = ManualClock(10.0)
        >>> clock.advance_to(12.5)
        >>> clock.advance_to(11.0)  # never backwards
        >>> clock.now()
        12.5
    """

    def __init__(self, start_s: float = 0.0) -> None:
        """Start at ``start_s``, Unix seconds."""
        self._now_s = start_s

    def now(self) -> float:
        """Return the time last set, Unix seconds."""
        return self._now_s

    def advance_to(self, time_s: float) -> None:
        """Move forward to ``time_s``; an earlier time changes nothing."""
        self._now_s = max(self._now_s, time_s)
