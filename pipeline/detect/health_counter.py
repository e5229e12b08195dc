"""Counter reset: a counter fell to about zero, as after a power cut or when the meter was replaced.

That a stream is a counter, and that a fall was a reset, is found out elsewhere. Raised at the fall, unless such
falls are the counter's habit (energy of today, rain of this hour); cleared when it has counted on for a while.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, I64, Bool
from pipeline.detect.health import NO_CHANGE, Change, number

#: Resets, not long ago, that make a habit, and readings in which one is forgotten to 1/e.
_N_HABIT, _MEMORY = 3.0, 100_000
#: Whole days between two resets make one at once, give or take so many seconds or usual intervals.
_DAY_S, _NEAR_S, _NEAR = 86_400.0, 300.0, 2.0
#: Readings without a reset that clear the verdict.
_N_CALM = 64


@dataclass
class Resets(SlotArrays):
    """The resets of each stream.

    Attributes:
        n: Resets so far, fading, shape (S,).
        last_s: Event time of the last one, Unix seconds, NaN for none.
        number: Readings that the stream had before the last one.
    """

    n: F32 = column(np.float32)
    last_s: F64 = column(np.float64, fill=np.nan)
    number: I64 = column(np.int64)

    def step(self, slots: I64, time: F64, n: I64, is_reset: Bool, is_held: Bool, step_s: F64) -> Change:
        """Take in one reading per stream.

        Args:
            slots: Streams, shape (A,).
            time: Event times, Unix seconds, shape (A,).
            n: Readings before these, shape (A,).
            is_reset: The stream is a counter that has just fallen, shape (A,).
            is_held: The verdict holds, shape (A,).
            step_s: Usual interval, seconds, shape (A,).

        Returns:
            Where the verdict is raised and where it is cleared.
        """
        if not (is_reset.any() or is_held.any()):
            return NO_CHANGE
        at = slots[is_reset]
        self.n[at] = self.n[at] * np.exp((self.number[at] - n[is_reset]) / _MEMORY) + 1
        self.number[at] = n[is_reset]
        n_days = (time - self.last_s[slots]) / _DAY_S
        off_s = np.abs(n_days - np.round(n_days)) * _DAY_S
        is_daily = (off_s <= np.maximum(_NEAR_S, _NEAR * step_s)) & (n_days > 1 / 2)  # never while nothing is known
        self.last_s[at] = time[is_reset]
        is_raised = is_reset & ~is_held & ~is_daily & (self.n[slots] <= _N_HABIT)
        is_cleared = is_held & (n - self.number[slots] >= _N_CALM)
        return Change(slots[is_raised], time[is_raised], slots[is_cleared])

    def why(self, slot: int, last: float, value: float) -> str:
        """Say why a reset was just reported."""
        habit = "; if it does so again that is its habit" if self.n[slot] > _N_HABIT - 1 / 2 else ""
        return f"the counter fell from {number(last)} to {number(value)}{habit}"

    def end(self, _slot: int) -> str:
        """Say why the verdict was just cleared."""
        return f"has counted on for {_N_CALM} readings"
