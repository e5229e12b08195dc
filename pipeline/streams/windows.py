"""The last readings of every stream, in rings, and the order in which the network reads them."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, I64, U16, Bool, Slots
from pipeline.core.short_floats import SHORT_NAN, lengthened, shortened

_SLACK, _ROUNDING = 1.2e-7, 4.0  # of float32, of float64


@dataclass
class Windows(SlotArrays):
    """Rings of accepted readings; ``S`` slots, ``W`` = window length.

    Attributes:
        n: Readings accepted so far, int64, shape (S,); reading i lies at ring position i % W.
        newest: Event time of the newest, Unix seconds, -inf for none, shape (S,).
        since: Seconds since the reading before, NaN for a first one, float32, shape (S, W). Event times follow from
            them and the newest, to a fraction of an interval; kept whole they would take twice as much.
        value: Values, sensor's unit, float64, shape (S, W).
        is_taught: The reading may teach: no episode was open, bool, shape (S, W).
        outlook: What was known of the next reading at each, minus the reading itself, in ``unit``, NaN where
            unknown, shortened, shape (S, W, O); first what was one season before the next reading.
        unit: The first spread that a stream had, sensor's unit, 0 before, shape (S,): numbers that are rounded are kept
            in it, so that they are rounded alike whatever the sensor's unit is.
        context: Scaled values of other streams at each reading, float32, shape (S, W, K).
    """

    n: I64 = column(np.int64)
    newest: F64 = column(np.float64, fill=-np.inf)
    since: F32 = column(np.float32, "window", fill=np.nan)
    value: F64 = column(np.float64, "window")
    is_taught: Bool = column(np.bool_, "window", fill=1)
    outlook: U16 = column(np.uint16, "window", "outlook", fill=SHORT_NAN)
    unit: F64 = column(np.float64)
    context: F32 = column(np.float32, "window", "context")

    def push(self, ix: Slots, slots: I64, time: F64, value: F64) -> None:
        """Append one reading to each stream; ``ix`` and ``slots`` address the same streams."""
        width, n = self.value.shape[1], self.n[ix]
        at = slots * width + n % width
        self.since.reshape(-1)[at] = np.where(n > 0, time - self.newest[ix], np.nan)
        self.value.reshape(-1)[at] = value
        self.is_taught.reshape(-1)[at] = True
        self.newest[ix] = time
        self.n[ix] += 1

    def note(self, slots: I64, outlook: F64, context: F32) -> None:
        """Keep what else the network sees at the newest reading of each stream.

        Args:
            slots: Streams, shape (A,).
            outlook: What is known of the next reading, sensor's unit, shape (A, O).
            context: Scaled values of other streams, shape (A, K).
        """
        width = self.value.shape[1]
        at = slots * width + (self.n[slots] - 1) % width
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            per_unit = np.where(self.unit[slots] > 0, 1.0 / self.unit[slots], np.nan)
            known = ((outlook - self.value.reshape(-1)[at][:, None]) * per_unit[:, None]).astype(np.float32)
        self.outlook.reshape(-1, self.outlook.shape[2])[at] = shortened(known)
        if context.shape[1]:
            self.context.reshape(-1, context.shape[1])[at] = context

    def season_before(self, slots: I64) -> F64:
        """Return what was one season before the newest readings, as foreseen at the ones before, NaN where unknown."""
        width = self.value.shape[1]
        at = slots * width + (self.n[slots] - 2) % width
        away = lengthened(self.outlook.reshape(-1)[at * self.outlook.shape[2]]) * self.unit[slots]
        found: F64 = self.value.reshape(-1)[at] + away
        return found

    def foreseen(self, slots: I64) -> F64:
        """Return what is known of the next readings, minus the newest ones, as it is kept, shape (A, O)."""
        width = self.value.shape[1]
        at = slots * width + (self.n[slots] - 1) % width
        found: F64 = lengthened(self.outlook.reshape(-1, self.outlook.shape[2])[at]) * self.unit[slots, None]
        return found

    def mark_untaught(self, slots: I64) -> None:
        """Keep the newest reading of the streams out of training."""
        self.is_taught[slots, (self.n[slots] - 1) % self.value.shape[1]] = False

    def last(self, slots: I64, length: int) -> "Stretch":
        """Return the newest ``length`` readings of each stream, oldest first, right-aligned.

        Args:
            slots: Streams, shape (D,).
            length: Readings wanted, at most W.

        Returns:
            Arrays of shape (D, length); ``is_valid`` is False where a stream has fewer.
        """
        at, is_valid = self._places(slots, length)
        rows = slots[:, None]
        time = times_before(self.newest[slots], self.since[rows, at])
        time[~is_valid] = np.nan
        return Stretch(time, self.value[rows, at], self.is_taught[rows, at], is_valid)

    def noted(self, slots: I64, length: int) -> tuple[F64, F32]:
        """Return what was noted at the newest ``length`` readings of each stream, oldest first.

        Returns:
            What was known of the next readings, minus the readings, NaN where unknown, sensor's unit, shape
            (D, length, O). Scaled values of other streams, shape (D, length, K).
        """
        at, _ = self._places(slots, length)
        rows = slots[:, None]
        return lengthened(self.outlook[rows, at]) * self.unit[rows, None], self.context[rows, at]

    def _places(self, slots: I64, length: int) -> tuple[I64, Bool]:
        """Return where the newest readings lie in the rings, oldest first, and whether they are there, (D, length)."""
        number = self.n[slots][:, None] - length + np.arange(length)
        return number % self.value.shape[1], number >= 0

    def holds(self, slots: I64, time: F64) -> Bool:
        """Say whether streams hold readings of given event times, as nearly as it knows them, shape (D,)."""
        found = np.zeros(len(slots), np.bool_)
        order = np.argsort(slots, kind="stable")
        which, starts = np.unique(slots[order], return_index=True)
        for slot, own in zip(which.tolist(), np.split(order, starts[1:]), strict=True):
            found[own] = self._holds(slot, time[own])
        return found

    def _holds(self, slot: int, time: F64) -> Bool:
        """Say whether a stream holds readings of given event times, shape (D,)."""
        newest = self.newest[[slot]]
        at, _ = self._places(np.array([slot]), min(int(self.n[slot]), self.value.shape[1]))
        held = times_before(newest, self.since[slot, at])[0]
        after = np.searchsorted(held, time).clip(0, len(held) - 1)
        away = np.minimum(np.abs(held[after] - time), np.abs(held[np.maximum(after - 1, 0)] - time))
        found: Bool = away <= _SLACK * (newest - time) + _ROUNDING * np.spacing(np.abs(newest))
        return found

    def retime(self, slot: int, time: F64) -> None:
        """Give the newest readings of a stream other event times, oldest first, ascending."""
        at = (self.n[slot] - len(time) + np.arange(len(time))) % self.value.shape[1]
        self.since[slot, at] = np.diff(time, prepend=np.nan)
        self.newest[slot] = time[-1]

    def rewrite(self, slots: I64, value: F64) -> None:
        """Replace whole windows by ``value``, shape (D, W), oldest first; what was known beforehand no longer is."""
        width = self.value.shape[1]
        self.value[slots[:, None], (self.n[slots][:, None] + np.arange(width)) % width] = value
        self.outlook[slots] = SHORT_NAN


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive readings of several streams, oldest first, shape (D, L, ...) each."""

    time: F64
    value: F64
    is_taught: Bool
    is_valid: Bool


def times_before(newest: F64, since: F32) -> F64:
    """Return event times of consecutive readings, oldest first.

    Args:
        newest: Event times of the last of them, shape (D,).
        since: Seconds since the reading before each, shape (D, L).

    Example:
        >>> times_before(np.array([90.0]), np.array([[7, 10, 20]], np.float32)).tolist()
        [[60.0, 70.0, 90.0]]
    """
    later = np.zeros(since.shape)
    np.cumsum(since[:, :0:-1], axis=1, dtype=np.float64, out=later[:, -2::-1])
    found: F64 = newest[:, None] - later
    return found


def recent_values(windows: Windows, slots: I64, length: int) -> F64:
    """Return the newest ``length`` values of each stream, oldest first, shape (A, length).

    Streams with fewer readings get zeros in front; the caller knows how many are valid.
    """
    held = windows.value
    width = held.shape[1]
    start = (windows.n[slots] - length) % width
    is_around = start > width - length  # the stretch goes on at the ring's beginning
    whole = (len(held), width - length + 1, length)
    stretches: F64 = np.ndarray(whole, held.dtype, held, strides=(*held.strides, held.itemsize))  # each, not copied
    found: F64 = stretches[slots, np.where(is_around, 0, start)]
    if is_around.any():
        rows = np.flatnonzero(is_around)
        found[rows] = held[slots[rows, None], (start[rows, None] + np.arange(length)) % width]
    return found
