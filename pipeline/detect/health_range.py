"""Out of range: readings outside given limits, or so far outside all that was seen that no process explains it.

Given limits are taken at their word: one reading outside raises the verdict. Learnt ones are the lowest and
highest of the stream's past (two of any 16 readings, so that one glitch teaches nothing), moved outwards by a
margin in units of the width between them; they take three readings in a row. Cleared by readings inside, or,
where the range was learnt, when it has lasted so long that it is the new normal.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I8, I32, I64, Bool, Slots
from pipeline.detect.health import NEW_NORMAL, NO_CHANGE, Change, number

#: Readings between two lessons: of so many, the second lowest and second highest count.
EVERY = 16
#: Readings outside in a row that raise the verdict.
_N_OUTSIDE = 3
#: Readings inside in a row that clear it.
_N_INSIDE = 16
#: The range shrinks towards its middle to 1/e in so many readings.
_MEMORY = 100_000
_FADE = EVERY / _MEMORY


@dataclass
class Reach(SlotArrays):
    """Where each stream's readings lie.

    Attributes:
        is_given: Limits were given: they are not learnt, shape (S,).
        low, high: Lowest and highest so far, slowly forgotten, sensor's unit; of counters, of increments.
        floor, ceiling: Limits in force, -inf and inf for none.
        n_lessons: Times that readings which moved were learnt.
        n_outside: Readings in a row outside.
        n_inside: Readings in a row inside, while the verdict holds.
        n_held: Readings since the verdict was raised.
        began_s: Event time of the first of the readings outside, Unix seconds.
    """

    is_given: Bool = column(np.bool_)
    low: F64 = column(np.float64, fill=np.inf)
    high: F64 = column(np.float64, fill=-np.inf)
    floor: F64 = column(np.float64, fill=-np.inf)
    ceiling: F64 = column(np.float64, fill=np.inf)
    n_lessons: I32 = column(np.int32)
    n_outside: I8 = column(np.int8)
    n_inside: I8 = column(np.int8)
    n_held: I64 = column(np.int64)
    began_s: F64 = column(np.float64)

    def give(self, slot: int, low: float | None, high: float | None) -> None:
        """Set the given limits of a stream; None for none."""
        self.is_given[slot] = low is not None or high is not None
        self.floor[slot] = -np.inf if low is None else low
        self.ceiling[slot] = np.inf if high is None else high

    def step(self, slots: I64, ix: Slots, time: F64, value: F64, is_held: Bool, n_accepted: int) -> Change:
        """Take in one reading per stream.

        Args:
            slots: Streams, shape (A,).
            ix: The same streams.
            time: Event times, Unix seconds, shape (A,).
            value: Readings as they came where limits are given, else as they are worked on, shape (A,).
            is_held: The verdict holds, shape (A,).
            n_accepted: Readings after which a new range is the new normal.

        Returns:
            Where the verdict is raised and where it is cleared.
        """
        is_outside = (value < self.floor[ix]) | (value > self.ceiling[ix])
        if not (is_outside.any() or is_held.any() or self.n_outside[ix].any()):
            return NO_CHANGE
        is_given = self.is_given[ix]
        outside = np.minimum(np.where(is_outside, self.n_outside[ix] + 1, 0), _N_OUTSIDE)
        self.n_outside[ix] = outside
        self.began_s[ix] = np.where(is_outside & (outside == 1), time, self.began_s[ix])
        inside = np.where(is_held & ~is_outside, self.n_inside[ix] + 1, 0)
        self.n_inside[ix] = inside
        held = np.where(is_held, self.n_held[ix] + 1, 0)
        self.n_held[ix] = held
        is_raised = ~is_held & (outside >= np.where(is_given, 1, _N_OUTSIDE))
        is_accepted = is_held & ~is_given & (held >= n_accepted)
        is_cleared = is_held & ((inside >= _N_INSIDE) | is_accepted)
        self.forget(slots[is_accepted])
        self.n_inside[slots[is_cleared]] = 0
        return Change(slots[is_raised], self.began_s[slots[is_raised]], slots[is_cleared])

    def learn(self, slots: I64, value: F64, is_taught: Bool, n_believed: int, margin: float) -> None:
        """Learn the range from the newest readings of some streams, and set the limits.

        Args:
            slots: Streams whose lesson is due, shape (D,).
            value: Their newest readings as they are worked on, shape (D, 16).
            is_taught: They may teach, shape (D,).
            n_believed: Lessons before there are limits.
            margin: What the range is widened by on both sides, in its width.
        """
        is_taught = is_taught & (self.n_outside[slots] == 0)
        at, ordered = slots[is_taught], np.sort(value[is_taught], axis=1)
        low, high = self.low[at], self.high[at]
        fading = np.where(np.isfinite(low), _FADE * (high - low) / 2, 0.0)
        low, high = np.minimum(low + fading, ordered[:, 1]), np.maximum(high - fading, ordered[:, -2])
        self.low[at], self.high[at] = low, high
        self.n_lessons[at] += ordered[:, -2] > ordered[:, 1]  # how far it moves is not learnt while it rests
        has_limits = (self.n_lessons[at] >= n_believed) & (high > low) & ~self.is_given[at]
        at, reach = at[has_limits], margin * (high - low)[has_limits]
        self.floor[at] = low[has_limits] - reach
        self.ceiling[at] = high[has_limits] + reach

    def n_at_edge(self, slots: I64, value: F64) -> I64:
        """Return how many readings are the lowest or highest that are usual, or beyond; of ``value``, shape (D, L)."""
        is_at_edge = (value <= self.low[slots, None]) | (value >= self.high[slots, None])
        found: I64 = is_at_edge.sum(axis=1)
        return found

    def forget(self, slots: I64) -> None:
        """Start anew with streams whose values changed their meaning; given limits stay."""
        self.low[slots], self.high[slots] = np.inf, -np.inf
        self.n_lessons[slots] = self.n_outside[slots] = 0
        learnt = slots[~self.is_given[slots]]
        self.floor[learnt], self.ceiling[learnt] = -np.inf, np.inf

    def why(self, slot: int, value: float) -> str:
        """Say why a stream was just called out of range."""
        if self.is_given[slot]:
            limits = _limits(float(self.floor[slot]), float(self.ceiling[slot]))
            return f"reads {number(value)}, outside the limits given: {limits}"
        low, high = float(self.low[slot]), float(self.high[slot])
        return f"reads {number(value)}, far from all before: {number(low)} to {number(high)}"

    def end(self, slot: int, value: float) -> str:
        """Say why the verdict was just cleared."""
        if np.isfinite(self.low[slot]) or self.is_given[slot]:
            return f"reads {number(value)}, inside again"
        return NEW_NORMAL


def _limits(low: float, high: float) -> str:
    """Return limits in words.

    Example:
        >>> _limits(0.0, float("inf")), _limits(-5.0, 5.0)
        ('at least 0', '-5 to 5')
    """
    if np.isinf(low) or np.isinf(high):
        return f"at most {number(high)}" if np.isinf(low) else f"at least {number(low)}"
    return f"{number(low)} to {number(high)}"
