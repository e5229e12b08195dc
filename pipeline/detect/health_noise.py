"""Too quiet and noisy: how much a stream flutters from reading to reading, against its own past.

Flutter is the mean absolute second difference of the newest readings without the largest few: slow movement
and steps hardly show in it, nor do glitches. Its logarithm is held against the lowest and highest of the past,
each moved outwards by a margin that grows with how far the stream's own flutter ranges. What is learnt is what
was seen some time ago, so that a fault does not teach its own beginning. Cleared when flutter is back within
what was usual before, or when it has lasted so long that it is the new normal.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, I8, I32, I64, Bool
from pipeline.detect.health import NEW_NORMAL, Change, number

#: Readings that flutter is measured over, and readings between two measurements.
WINDOW, EVERY = 66, 16
#: Second differences left out of the mean, the largest: two glitches, or a few steps.
_N_TRIMMED = 8
#: Measurements after which one is learnt.
_DELAY = 8
#: Dimensions of the arrays: ``Flutter.empty(n_streams, **DIMENSIONS)``.
DIMENSIONS = {"waiting": _DELAY}
#: Margin in powers of two: at least a factor of 1.5, and half of how far the extreme lies from the median;
#: all of that when extremes are first believed, as what is rarer has not been seen yet.
_MARGIN, _SHARE = float(np.log2(1.5)), 0.5
#: Measurements in a row that raise too quiet, that raise noisy, and that clear either.
_N_QUIET, _N_NOISY, _N_USUAL = 4, 2, 2
#: Powers of two beyond the limit from which one measurement is enough to raise noisy.
_FAR = 0.3
#: Logarithm that stands for none at all.
_NONE = -np.inf
#: Share of the recent measurements that found some, from which a stream may be called noisy, and too quiet.
_USUAL, _ALWAYS = 0.5, 0.99
_GAIN = 1 / 500
#: Extremes approach the median to 1/e in so many readings.
_MEMORY = 100_000
_FADE = EVERY / _MEMORY
_FASTEST, _SLOWEST = 0.5, 0.02


@dataclass
class Flutter(SlotArrays):
    """How much each stream flutters; logarithms to base 2 of the sensor's unit.

    Attributes:
        low: Lowest so far of those that found some, slowly forgotten, shape (S,).
        high: Highest so far, slowly forgotten.
        middle: Running median of those that found some.
        some: Share of the recent measurements that found some.
        now: Newest measurement.
        n: Measurements learnt.
        waiting: Measurements to be learnt, a ring, NaN for none, shape (S, 8).
        at: Place in the ring.
        n_beyond: Measurements in a row beyond a limit: above 0 too high, below 0 too low.
        n_within: Measurements in a row within what was usual, while a verdict holds.
        n_held: Measurements since a verdict was raised.
        began_s: Event time of the first of the measurements beyond, Unix seconds.
    """

    low: F32 = column(np.float32, fill=np.inf)
    high: F32 = column(np.float32, fill=-np.inf)
    middle: F32 = column(np.float32, fill=np.nan)
    some: F32 = column(np.float32)
    now: F32 = column(np.float32, fill=np.nan)
    n: I32 = column(np.int32)
    waiting: F32 = column(np.float32, "waiting", fill=np.nan)
    at: I8 = column(np.int8)
    n_beyond: I8 = column(np.int8)
    n_within: I8 = column(np.int8)
    n_held: I32 = column(np.int32)
    began_s: F64 = column(np.float64)

    def step(self, slots: I64, value: F64, time: F64, state: "Held") -> tuple[Change, Change]:
        """Take in a measurement of some streams.

        Args:
            slots: Streams of which one is due, shape (D,).
            value: Their newest readings, sensor's unit, oldest first, shape (D, 66).
            time: Event times of the newest, Unix seconds, shape (D,).
            state: Which verdicts hold, and how much has to be seen.

        Returns:
            Changes of ``too_quiet`` and of ``noisy``.
        """
        now = _flutter(value)
        self.now[slots] = now
        is_held = state.is_quiet | state.is_noisy
        is_known = self.n[slots] >= state.n_believed
        lower, upper = self._limits(slots, state.n_believed)
        is_high = (now > upper) & (self.some[slots] > _USUAL)
        is_low = (now < lower) & (now > _NONE) & (self.some[slots] > _ALWAYS) & ~state.is_at_edge
        is_fit = is_known & ~is_held & ~state.is_resting
        before = self.n_beyond[slots]
        beyond = np.where(is_high, np.maximum(before, 0) + 1, np.where(is_low, np.minimum(before, 0) - 1, 0))
        beyond = np.where(is_fit, beyond, 0)
        self.n_beyond[slots] = beyond
        self.began_s[slots] = np.where(np.abs(beyond) == 1, time, self.began_s[slots])
        quiet, noisy = beyond <= -_N_QUIET, (beyond >= _N_NOISY) | ((beyond > 0) & (now > upper + _FAR))
        cleared = self._clear(slots, now, is_held, state)
        is_taught = ~is_held & ~state.is_resting & (beyond == 0) & ~(state.is_at_edge & (now < lower))
        self._learn(slots[is_taught], now[is_taught], lower[is_taught], upper[is_taught], is_known[is_taught])
        self._forget_waiting(slots[quiet | noisy | is_held])
        return (
            Change(slots[quiet], self.began_s[slots[quiet]], slots[cleared & state.is_quiet]),
            Change(slots[noisy], self.began_s[slots[noisy]], slots[cleared & state.is_noisy]),
        )

    def forget(self, slots: I64) -> None:
        """Start anew with streams whose values changed their meaning."""
        self.reset(slots)

    def _limits(self, slots: I64, n_believed: int) -> tuple[F64, F64]:
        """Return the flutter below and above which streams are too quiet and noisy, shape (D,)."""
        low, high, middle = (x[slots].astype(np.float64) for x in (self.low, self.high, self.middle))
        share = _SHARE * (1 + np.sqrt(np.minimum(n_believed / np.maximum(self.n[slots], 1), 1.0)))
        has = np.isfinite(middle)
        low, high, middle = (np.where(has, x, 0.0) for x in (low, high, middle))
        lower = low - np.fmax(_MARGIN, share * (middle - low))
        upper = high + np.fmax(_MARGIN, share * (high - middle))
        return np.where(has, lower, -np.inf), np.where(has, upper, np.inf)

    def _clear(self, slots: I64, now: F64, is_held: Bool, state: "Held") -> Bool:
        """Return whose verdict ends: flutter is usual again, or has become so, or starts anew."""
        is_back = is_held & ~state.is_resting & (now >= self.low[slots]) & (now <= self.high[slots])
        within = np.where(is_back, self.n_within[slots] + 1, 0)
        self.n_within[slots] = within
        held = np.where(is_held, self.n_held[slots] + 1, 0)
        self.n_held[slots] = held
        is_accepted = is_held & (held >= state.n_accepted)
        is_ended = is_held & (is_accepted | (within >= _N_USUAL) | (self.n[slots] == 0))
        self.n_within[slots[is_ended]] = 0
        self.forget(slots[is_accepted])
        found: Bool = is_ended
        return found

    def _learn(self, slots: I64, now: F64, lower: F64, upper: F64, is_known: Bool) -> None:
        """Learn what was measured some time ago, bounded by the limits, and keep the newest for later."""
        at = self.at[slots]
        then = self.waiting[slots, at].astype(np.float64)
        self.waiting[slots, at] = now
        self.at[slots] = (at + 1) % _DELAY
        is_there = ~np.isnan(then)
        bounded = np.where(is_known & (then > _NONE), np.clip(then, lower, upper), then)
        there, then = slots[is_there], bounded[is_there]
        is_some = then > _NONE
        n = self.n[there]
        self.n[there] = n + 1
        self.some[there] += np.maximum(_GAIN, 1 / (n + 1)) * (is_some - self.some[there])
        self._learn_extremes(there[is_some], then[is_some], n[is_some])

    def _learn_extremes(self, slots: I64, then: F64, n: I32) -> None:
        """Move median, lowest and highest, none of them by measurements that found nothing."""
        middle = self.middle[slots].astype(np.float64)
        middle = np.where(np.isnan(middle), then, middle)
        gain = np.maximum(_SLOWEST, _FASTEST / (n + 1))
        self.middle[slots] = middle + np.clip(then - middle, -gain, gain)
        low, high = np.minimum(self.low[slots], middle), np.maximum(self.high[slots], middle)
        self.low[slots] = np.minimum(low + _FADE * (middle - low), then)
        self.high[slots] = np.maximum(high + _FADE * (middle - high), then)

    def _forget_waiting(self, slots: I64) -> None:
        self.waiting[slots] = np.nan

    def why_quiet(self, slot: int) -> str:
        """Say why a stream was just called too quiet."""
        now, low = self._unit(slot, self.now), self._unit(slot, self.low)
        return f"jitters by only {now} from reading to reading, where it was never less than {low}"

    def why_noisy(self, slot: int) -> str:
        """Say why a stream was just called noisy."""
        now, high = self._unit(slot, self.now), self._unit(slot, self.high)
        return f"jitters by {now} from reading to reading, where it was never more than {high}"

    def end(self, slot: int) -> str:
        """Say why a verdict was just cleared."""
        if self.n[slot] == 0:
            return NEW_NORMAL
        return f"jitters by {self._unit(slot, self.now)} from reading to reading, as usual"

    def _unit(self, slot: int, logarithm: F32) -> str:
        return number(float(np.exp2(np.float64(logarithm[slot]))), 3)


@dataclass(frozen=True, slots=True)
class Held:
    """Which verdicts hold for the streams of a measurement, shape (D,) each, and how much has to be seen.

    Attributes:
        is_quiet: ``too_quiet`` holds.
        is_noisy: ``noisy`` holds.
        is_at_edge: Many of the readings are the lowest or highest that are usual: the sensor's end, or nothing there.
        is_resting: The stream repeats one value as it seldom does; that is for ``health_stuck`` to judge.
        n_believed: Measurements learnt before the first verdict.
        n_accepted: Measurements after which what is found is the new normal.
    """

    is_quiet: Bool
    is_noisy: Bool
    is_at_edge: Bool
    is_resting: Bool
    n_believed: int
    n_accepted: int


def _flutter(value: F64) -> F64:
    """Return the logarithm of the trimmed mean absolute second difference, shape (D,).

    Example:
        >>> zigzag = np.tile([0.0, 1.0], 33)[None]
        >>> _flutter(zigzag), _flutter(zigzag * 0)
        (array([1.]), array([-inf]))
    """
    second = np.abs(value[:, 2:] - 2 * value[:, 1:-1] + value[:, :-2])
    kept = second.shape[1] - _N_TRIMMED
    mean = np.partition(second, kept - 1, axis=1)[:, :kept].mean(axis=1)
    # What rounding leaves of a straight line is none.
    is_some = mean > 1e-12 * np.abs(value).max(axis=1)
    found: F64 = np.where(is_some, np.log2(np.where(is_some, mean, 1.0)), _NONE)
    return found
