"""Counters (kWh, litres, packets) are told from gauges by how they behave, and read as increments.

A counter's level says when the meter was installed; what happens is in its increments. Once a
stream has shown that it only ever rises, its window and everything after it work on increments. A
fall to less than half is a reset; any other fall shows that it was no counter after all.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I64, Bool, Slots
from pipeline.streams.windows import Windows

_N_EVIDENCE = 256  # readings without a fall before a stream is taken for a counter
_RISING_SHARE = 0.25  # of the readings: a constant or rarely stepping stream is none
_RESET_SHARE = 0.5


@dataclass
class Counters(SlotArrays):
    """What is known of each stream's rises and falls.

    Attributes:
        is_counter: The stream is read as increments, bool, shape (S,).
        last: Newest reading as it came, sensor's unit, shape (S,).
        n_rises: Readings above the one before.
        n_falls: Readings below the one before.
    """

    is_counter: Bool = column(np.bool_)
    last: F64 = column(np.float64)
    n_rises: I64 = column(np.int64)
    n_falls: I64 = column(np.int64)

    def split(self, ix: Slots, value: F64, share: F64) -> tuple[F64, F64]:
        """Return readings as (base, what is worked on): the last reading and the increment for counters.

        Args:
            ix: Streams.
            value: Readings, sensor's unit, shape (A,).
            share: Usual interval over the interval since the last reading where that was a gap, else 1:
                an increment over a gap counts as that of one interval.

        Returns:
            Base and worked-on value; they add up to ``value``.
        """
        is_counter = self.is_counter[ix]
        if not is_counter.any():
            return np.zeros(len(value)), value
        last = self.last[ix]
        increment = np.where(value < last, value, value - last) * share  # after a reset it counted from 0
        worked = np.where(is_counter, increment, value)
        return value - worked, worked

    def mistaken(self, ix: Slots, slots: I64, value: F64) -> I64:
        """Return the slots of supposed counters that fell, and not by a reset."""
        is_counter = self.is_counter[ix]
        if not is_counter.any():
            return slots[:0]
        last = self.last[ix]
        is_reset = (value >= 0) & (value < _RESET_SHARE * last)
        return slots[is_counter & (value < last) & ~is_reset]

    def learn(self, ix: Slots, value: F64, n: I64) -> Bool:
        """Count rises and falls; return where a stream has just shown that it is a counter.

        Args:
            ix: Streams.
            value: Readings, sensor's unit, shape (A,).
            n: Readings before these, shape (A,).
        """
        has_last = n > 0
        self.n_rises[ix] += has_last & (value > self.last[ix])
        self.n_falls[ix] += has_last & (value < self.last[ix])
        self.last[ix] = value
        is_due: Bool = (n + 1 >= _N_EVIDENCE) & ((n + 1) & n == 0)  # at powers of two
        if not is_due.any():
            return is_due
        only_rises = (self.n_falls[ix] == 0) & (self.n_rises[ix] >= _RISING_SHARE * n)
        is_shown: Bool = is_due & only_rises & ~self.is_counter[ix]
        return is_shown


def to_increments(windows: Windows, slots: I64) -> None:
    """Turn the windows of streams from readings into increments; the oldest gets its successor's."""
    value = windows.last(slots, windows.value.shape[1])
    step = np.diff(value.value, axis=1, prepend=np.nan)
    has_previous = value.is_valid & np.roll(value.is_valid, 1, axis=1)
    has_previous[:, 0] = False
    oldest = np.take_along_axis(step, has_previous.argmax(axis=1)[:, None], axis=1)
    windows.rewrite(slots, np.where(has_previous, step, oldest))


def to_readings(windows: Windows, slots: I64, last: F64) -> None:
    """Undo ``to_increments``: sum back from the newest readings ``last``, shape (D,)."""
    step = windows.last(slots, windows.value.shape[1]).value
    later = np.cumsum(step[:, ::-1], axis=1)[:, ::-1] - step  # increments after each reading
    windows.rewrite(slots, last[:, None] - later)
