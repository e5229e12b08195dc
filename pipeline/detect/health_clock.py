"""Clock skew: a stream's event times come from a clock that jumped, or that is wrong.

Three signs, none of which needs a true arrival time: many readings in a row that are all older than the newest,
in order, so that the stream has another time line now; many in a row from the future; and a step ahead by whole
hours to within a tenth of an interval, as of a summer time or a time zone. What is done about another time line
is for others. Cleared when readings have come on time for a while.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I32, I64, Bool, Slots
from pipeline.detect.health import NO_CHANGE, NO_SLOTS, Change

#: Readings in a row from the future that raise the verdict.
_N_FUTURE = 8
#: Readings on time that clear it.
_N_CALM = 64
_HOUR_S, _N_HOURS = 3600.0, 14
#: A step by whole hours is told from a silence only where intervals are short and nearly all alike.
_LONGEST_S, _NEAR, _SHARE = 300.0, 0.1, 0.9
#: Intervals that say how alike they are.
N_INTERVALS = 32
_MOST = 1_000_000  # counted


@dataclass
class Clock(SlotArrays):
    """What is known of the clock behind each stream's event times.

    Attributes:
        n_late: Refused readings in a row that were late, each later than the one before, shape (S,).
        first_late_s: Event time of the first of them, Unix seconds.
        late_s: Event time of the newest of them.
        n_future: Refused readings in a row that were from the future.
        n_calm: Readings on time since the verdict was raised.
        jump_s: Seconds by which the clock last jumped, above 0 ahead.
    """

    n_late: I32 = column(np.int32)
    first_late_s: F64 = column(np.float64)
    late_s: F64 = column(np.float64)
    n_future: I32 = column(np.int32)
    n_calm: I32 = column(np.int32)
    jump_s: F64 = column(np.float64)

    def step(self, ix: Slots, slots: I64, is_held: Bool) -> I64:
        """Take in one accepted reading per stream; return where the verdict is cleared."""
        self.n_late[ix] = 0
        self.n_future[ix] = 0
        if not is_held.any():
            return NO_SLOTS
        calm = np.where(is_held, self.n_calm[ix] + 1, 0)
        self.n_calm[ix] = calm
        cleared: I64 = slots[is_held & (calm >= _N_CALM)]
        return cleared

    def hours(self, slots: I64, time: F64, interval: F64, step_s: F64, before: F64) -> Change:
        """Look for steps ahead by whole hours.

        Args:
            slots: Streams after a silence, shape (D,).
            time: Event times, Unix seconds, shape (D,).
            interval: Seconds since the reading before, shape (D,).
            step_s: Usual interval, seconds, shape (D,).
            before: Intervals before the silence, seconds, NaN where there was none, shape (D, 32).

        Returns:
            Where the verdict is raised.
        """
        extra = interval - step_s
        n_hours = np.round(extra / _HOUR_S)
        near = _NEAR * step_s
        with np.errstate(invalid="ignore"):
            is_alike = (np.abs(before - step_s[:, None]) <= near[:, None]).mean(axis=1) >= _SHARE
            is_whole = (np.abs(extra - n_hours * _HOUR_S) <= near) & (n_hours >= 1) & (n_hours <= _N_HOURS)
            found = is_alike & is_whole & (step_s <= _LONGEST_S)
        self._jump(slots[found], extra[found])
        return Change(slots[found], time[found], NO_SLOTS) if found.any() else NO_CHANGE

    def refuse(self, slots: I64, time: F64, is_late: Bool, told_s: F64) -> I64:
        """Take in one refused reading per stream.

        Args:
            slots: Streams, shape (D,).
            time: Event times of the readings, Unix seconds, shape (D,).
            is_late: Refused as late; the others as from the future, shape (D,).
            told_s: Of late ones the newest event time accepted, of the others the current time, shape (D,).

        Returns:
            Streams whose clock has just been found to be ahead. Which went back ``n_late`` tells: how many it
            takes is for the caller to say.
        """
        n_late = self.n_late[slots]
        is_next = is_late & (n_late > 0) & (time > self.late_s[slots])
        is_first = is_late & ~is_next
        self.first_late_s[slots[is_first]] = time[is_first]
        self.late_s[slots[is_late]] = time[is_late]
        self.n_late[slots] = np.where(is_next, np.minimum(n_late, _MOST) + 1, is_late)
        n_future = np.where(is_late, 0, np.minimum(self.n_future[slots], _MOST) + 1)
        self.n_future[slots] = n_future
        is_ahead = n_future == _N_FUTURE
        is_jump = is_first | is_ahead
        self._jump(slots[is_jump], (time - told_s)[is_jump])
        ahead: I64 = slots[is_ahead]
        return ahead

    def _jump(self, slots: I64, jump_s: F64) -> None:
        self.jump_s[slots] = jump_s
        self.n_calm[slots] = 0

    def why(self, slot: int) -> str:
        """Say why a clock was just called wrong."""
        if self.n_future[slot]:
            return (
                f"{self.n_future[slot]} readings in a row from the future: its clock is {self._jump_text(slot)} ahead"
            )
        if self.n_late[slot]:
            return (
                f"{self.n_late[slot]} readings in a row from the past: its clock went back by {self._jump_text(slot)}"
            )
        return f"its clock jumped ahead by {self._jump_text(slot)}, to the second: another time zone or summer time?"

    def end(self, _slot: int) -> str:
        """Say why the verdict was just cleared."""
        return f"{_N_CALM} readings on time"

    def _jump_text(self, slot: int) -> str:
        return duration(abs(float(self.jump_s[slot])))


def duration(seconds: float) -> str:
    """Return a duration in words, in the largest unit of which there is at least one.

    Example:
        >>> duration(3600.0), duration(90.0), duration(200_000.0)
        ('1 h', '1.5 min', '2.3 days')
    """
    for length, unit in ((86_400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= length:
            return f"{seconds / length:.2g} {unit}" if seconds < 100 * length else f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.2g} s"
