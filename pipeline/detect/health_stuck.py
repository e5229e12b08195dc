"""Stuck: a value repeats itself far longer than this stream ever rests.

How long a stream rests is its own affair: a noisy voltage never repeats itself, a coarse thermometer does
for an hour, a pump stands still for a night. So the lengths of a stream's runs of equal readings are counted,
in bins of powers of two, and a run is held against the tail of that count, which is extended as a power law:
of all tails that fit what was seen, about the heaviest that sensors have. Raised when so long a run comes by
itself less than once in the time that the budget says; cleared when the value has moved a few times.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, I8, I64, Bool, Slots
from pipeline.detect.health import NO_SLOTS, Change, number

#: Bins of run lengths: bin k counts runs of 2**k to 2**(k + 1) - 1 readings, the last one all longer ones.
_N_BINS = 14
#: Dimensions of the arrays: ``Runs.empty(n_streams, **DIMENSIONS)``.
DIMENSIONS = {"lengths": _N_BINS}
#: Shortest run that is ever called stuck, and how often a longer one is looked at, readings.
_N_MIN, _EVERY = 12, 4
#: Readings of a stream, and runs ended, before the first verdict.
_N_WARMUP, _N_RUNS = 256, 30
#: Longest run so far: a stuck one is longer than this many times that.
_RATIO = 2.0
#: Longest runs that the tail is taken from.
_N_TAIL = 8
#: What one run that stands alone is extended by: twice as long is a quarter as frequent.
_EXPONENT = 2.0
#: A run that was called stuck is the longest so far by this many times what it took to call it so, and counts no
#: further: if it was a rest, the next like it is longer tolerated, and if it was not, the next is found in time.
_LEARNT = 4
#: Changes of the value that clear a verdict.
_N_MOVES = 3
#: How often counts fade, readings, and how many readings they remember to 1/e.
_FADE_EVERY, _MEMORY = 4096, 200_000
#: What counts fade by.
KEEP = np.float32(np.exp(-_FADE_EVERY / _MEMORY))
_WEEK_S = 7 * 86_400.0
_NO_TIMES = np.zeros(0)
_MEAN_IN_BIN = np.r_[1.0, 1.4 * 2.0 ** np.arange(1, _N_BINS)]


@dataclass
class Runs(SlotArrays):
    """The run of equal readings under way, and how long such runs are.

    Attributes:
        value: The newest reading, as it came, sensor's unit, shape (S,).
        since_s: Event time of the first reading of the run, Unix seconds.
        n: Readings in it; 0 before the first.
        n_limit: Readings at which it was called stuck; 0 where it was not.
        n_moves: Changes of the value since it was.
        longest: Most readings of a run that ended.
        count: Runs by length, fading, float32, shape (S, 14).
        first_s: Event time of the stream's first reading.
    """

    value: F64 = column(np.float64, fill=np.nan)
    since_s: F64 = column(np.float64)
    n: I64 = column(np.int64)
    n_limit: I64 = column(np.int64)
    n_moves: I8 = column(np.int8)
    longest: I64 = column(np.int64, fill=1)
    count: F32 = column(np.float32, "lengths")
    first_s: F64 = column(np.float64, fill=np.nan)

    def step(self, ix: Slots, slots: I64, time: F64, value: F64, n: I64, is_held: Bool) -> "Step":
        """Take in one reading per stream.

        Args:
            ix: Streams.
            slots: The same streams as an index array, shape (A,).
            time: Event times, Unix seconds, shape (A,).
            value: Readings as they came, sensor's unit, shape (A,).
            n: Readings before these, shape (A,).
            is_held: The verdict holds, shape (A,).

        Returns:
            Streams whose runs are long enough to be judged, and those of which the verdict is cleared.
        """
        is_same = value == self.value[ix]
        length = self.n[ix]
        self._end(slots, length, ~is_same & (length > 0))
        length = np.where(is_same, length + 1, 1)
        self.n[ix] = length
        self.value[ix] = value
        self.since_s[ix] = np.where(is_same, self.since_s[ix], time)
        is_faded = n % _FADE_EVERY == 0
        if is_faded.any():
            self.count[slots[is_faded]] *= KEEP
            is_first = n == 0
            self.first_s[slots[is_first]] = time[is_first]
        cleared = self._clear(slots, is_same, is_held) if is_held.any() else NO_SLOTS
        is_long = (length >= _N_MIN) & (n >= _N_WARMUP)
        if not is_long.any():
            return Step(NO_SLOTS, _NO_TIMES, cleared)
        is_long &= (length % _EVERY == 0) & ~is_held
        return Step(slots[is_long], time[is_long], cleared)

    def judge(self, step: "Step", about: "About") -> Change:
        """Hold long runs against the streams' own; return where the verdict is raised and where it is cleared."""
        raised = step.long[self._is_stuck(step.long, step.time, about)] if len(step.long) else NO_SLOTS
        self.n_limit[raised] = self.n[raised]
        self.n_moves[raised] = 0
        return Change(raised, self.since_s[raised], step.cleared)

    def is_resting(self, ix: Slots) -> Bool:
        """Say which streams rest as long as they seldom do: what else is measured meanwhile says little."""
        length = self.n[ix]
        return (length >= _N_MIN // 2) & (2 * length > self.longest[ix])

    def _end(self, slots: I64, length: I64, is_ended: Bool) -> None:
        """Count the runs that ended, most often of one reading."""
        is_short = is_ended & (length == 1)
        self.count[slots[is_short], 0] += 1
        is_ended = is_ended & (length > 1)
        if not is_ended.any():
            return
        at, length = slots[is_ended], length[is_ended]
        limit = self.n_limit[at]
        was_stuck = limit > 0
        self.count[at, np.minimum(np.frexp(length)[1] - 1, _N_BINS - 1)] += (~was_stuck).astype(np.float32)
        learnt = np.where(was_stuck, np.minimum(length, _LEARNT * limit), length)
        self.longest[at] = np.maximum(self.longest[at], learnt)
        self.n_limit[at] = 0

    def _clear(self, slots: I64, is_same: Bool, is_stuck: Bool) -> I64:
        """Count the moves of stuck streams, and return those that moved enough."""
        moved = slots[is_stuck & ~is_same]
        self.n_moves[moved] += 1
        return moved[self.n_moves[moved] >= _N_MOVES]

    def _is_stuck(self, slots: I64, time: F64, about: "About") -> Bool:
        """Hold runs against the tail of the stream's own, shape (D,)."""
        count = self.count[slots].astype(np.float64)
        total = count.sum(axis=1)
        length = self.n[slots]
        n_readings = count @ _MEAN_IN_BIN
        n_runs = about.n_budget * total / np.maximum(n_readings, 1.0)  # in the time that the budget says
        is_rare = _chance(count, length) * n_runs <= 1
        is_edge = (self.value[slots] <= about.low) | (self.value[slots] >= about.high)
        is_known = (total >= _N_RUNS) & (~is_edge | (time - self.first_s[slots] >= _WEEK_S))
        found: Bool = is_known & is_rare & (length > _RATIO * self.longest[slots])
        return found

    def why(self, slot: int) -> str:
        """Say why a stream was just called stuck."""
        n, longest = int(self.n[slot]), int(self.longest[slot])
        return f"has not moved from {number(self.value[slot])} for {n} readings; it never rested longer than {longest}"

    def end(self, _slot: int) -> str:
        """Say why the verdict was just cleared."""
        return "moves again"


@dataclass(frozen=True, slots=True)
class Step:
    """What the readings of a tick did to runs.

    Attributes:
        long: Streams whose runs are long enough to be judged, shape (D,).
        time: Event times of their newest readings, Unix seconds, shape (D,).
        cleared: Streams of which the verdict is cleared, shape (E,).
    """

    long: I64
    time: F64
    cleared: I64

    def __bool__(self) -> bool:
        """Say whether there is anything to judge or to clear."""
        return bool(len(self.long) or len(self.cleared))


@dataclass(frozen=True, slots=True)
class About:
    """What else is known of streams whose runs are judged, shape (D,) each.

    Attributes:
        low, high: Lowest and highest readings that are usual, sensor's unit. A stream that rests there may be off,
            or it may be night: only after a week can that be told from stuck.
        n_budget: Readings in the time in which one false verdict is allowed.
    """

    low: F64
    high: F64
    n_budget: F64


def _chance(count: F64, length: I64) -> F64:
    """Return the probability that a run is as long as these, by the tail of the runs so far, shape (D,).

    Args:
        count: Runs by length, shape (D, K).
        length: Readings, shape (D,).
    """
    at_least = np.cumsum(count[:, ::-1], axis=1)[:, ::-1]  # runs of 2**k readings or more
    total = np.maximum(at_least[:, 0], 1.0)
    steps = np.log2(length)
    row = np.arange(len(count))
    start = np.maximum((at_least >= _N_TAIL).sum(axis=1) - 1, 0)  # where the tail begins
    n_tail = np.maximum(at_least[row, start], 1.0)
    n_beyond = np.where(np.arange(count.shape[1]) > start[:, None], at_least, 0.0).sum(axis=1)
    share = (n_beyond + 1) / (n_beyond + n_tail + 2)  # that are twice as long: geometric over the bins
    fitted = n_tail / total * share ** np.maximum(steps - start, 0.0)
    top = np.maximum((at_least >= 1 / 2).sum(axis=1) - 1, 0)
    n_top = np.where(top > start, at_least[row, top], 0.0)
    alone = (n_top + 1) / total * 2.0 ** (-_EXPONENT * np.maximum(steps - np.where(top > start, top, 0), 0.0))
    found: F64 = fitted + alone
    return found
