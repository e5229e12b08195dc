"""The budget: the score that a stream reaches by chance as often as it may raise false alarms.

Comes in: scores, and how many blocks of readings there are to one false alarm. Goes out: the alert level. It belongs
to the decision layer: changing the budget changes levels, and nothing that the detector has learnt.

The stream's own scores have a history like every other statistic, kept once the stream has settled. Its tail is a
generalised Pareto tail (Hosking & Wallis 1987, by probability-weighted moments), its shape drawn towards 0, where it
is exponential, as far as few block maxima say little. That the scale is estimated too makes rare scores more
probable: of n exponential excesses of sum T the next exceeds x with probability (1 + x/T)^-n, exactly. Without it,
levels would be too low while a stream is young.

Blocks enter that history only when 24 more are complete: what grows slowly would else teach the level its own
beginning, and rise below it for good. Ramps of 6 sd in 200 readings were found in 10 of 16 irregular streams without
this, and in 14 with it (foretell evaluate battery).
"""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import column
from pipeline.core.records import F32, F64, I8, I64, U16, Bool, Slots
from pipeline.core.short_floats import SHORT_MINUS_INF, lengthened, shortened_up
from pipeline.detect.history import BLOCK, LN_10, History

#: Blocks that the history stands for at most: 5,000 readings.
N_REMEMBERED = 512
#: Blocks that wait until they are learnt, once the tail is fitted.
N_WAITING = 24
#: Dimensions of the arrays, beside how many maxima are kept: ``Budget.empty(n_streams, kept=128, **DIMENSIONS)``.
DIMENSIONS = {"tails": 1, "waiting": N_WAITING}
_SHARE = 0.2  # of the blocks that make the tail
_MIN_BLOCKS = 40  # before the own tail sets the level: from fewer, levels of heavy tails are far too low
# What is known of the tail beforehand: scores are decades, of an exponential tail, as far as views are independent.
# It is worth so many block maxima.
_PRIOR_SCALE, _N_PRIOR = 0.45, 10
_MAX_SHAPE = 0.5
# Episodes come in fewer blocks than scores beyond the level do, and levels err on the safe side: measured on the
# clean streams of the battery, levels for 1.5 times the budget keep the budget (foretell evaluate battery).
_SPENT = 0.17
# What a stream without a tail of its own is given: on clean streams the level for one block in 10^d was about d + 1.1.
_PRIOR, _PRIOR_CAUTION = 1.1, 1.3
_MOST_ABOVE = 2.5  # decades beyond that which the own tail may ask for: heavy tails ask for two
#: Smallest level, whatever the budget: what is less than this would happen every day.
MIN_LEVEL = 2.0
MAX_LEVEL = 30.0


@dataclass
class Budget(History):
    """History of every stream's scores, and its fitted tail.

    Attributes:
        waiting: Maxima of the newest blocks, a ring, shortened, -inf for none, shape (S, 24).
        at: Place in the ring.
        threshold: Where the tail begins, float32, shape (S,).
        scale: Of the tail, decades, float32, shape (S,).
        shape: Of the tail, float32, shape (S,).
        n_tail: Block maxima it was fitted to, and what the prior is worth; 0 for no tail yet, float32, shape (S,).
        threshold_score: Decades at the threshold, float32, shape (S,).
    """

    waiting: U16 = column(np.uint16, "waiting", fill=SHORT_MINUS_INF)
    at: I8 = column(np.int8)
    threshold: F32 = column(np.float32)
    scale: F32 = column(np.float32, fill=1)
    shape: F32 = column(np.float32)
    n_tail: F32 = column(np.float32)
    threshold_score: F32 = column(np.float32)

    def level(self, ix: Slots, decades: F64) -> F64:
        """Return the alert level.

        Args:
            ix: Streams.
            decades: log10 of the number of blocks that may hold one false alarm, shape (A,); see ``decades_of``.

        Returns:
            Level, shape (A,).
        """
        wanted = np.maximum(decades - _SPENT, 0.0)
        n_tail = np.maximum(self.n_tail[ix].astype(np.float64), 1.0)
        rarer = np.maximum(wanted - self.threshold_score[ix], 0.0) * LN_10
        excess = n_tail * np.expm1(np.minimum(rarer / n_tail, 50.0))
        shape = self.shape[ix].astype(np.float64)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            curved = np.where(np.abs(shape) < _NO_SHAPE, excess, np.expm1(np.minimum(shape * excess, 50.0)) / shape)
        own = self.threshold[ix] + self.scale[ix] * curved
        prior = wanted + _SPENT + _PRIOR
        level = np.where(self.is_fitted(ix), np.minimum(own, prior + _MOST_ABOVE), prior + _PRIOR_CAUTION)
        return level.clip(MIN_LEVEL, MAX_LEVEL)

    def odds(self, slot: int, score: float) -> float:
        """Return about how many readings of a stream hold one with such a score, by chance."""
        if not self.n_tail[slot]:
            return float(BLOCK * 10.0 ** max(score - _PRIOR, 0.0))
        n, shape = float(self.n_tail[slot]), float(self.shape[slot])
        excess = max(score - float(self.threshold[slot]), 0.0) / float(self.scale[slot])
        if abs(shape) >= _NO_SHAPE:
            excess = math.log1p(max(shape * excess, _NO_SHAPE - 1.0)) / shape
        rarer = n * math.log1p(excess / n) / LN_10
        return float(BLOCK * 10.0 ** (float(self.threshold_score[slot]) + rarer))

    def is_fitted(self, ix: Slots) -> Bool:
        """Say which streams' levels come from their own scores, shape (A,)."""
        found: Bool = self.n_tail[ix] > 0
        return found

    def learn(self, ix: Slots, slots: I64, score: F64, level: F64, is_settled: Bool) -> None:
        """Take in scores, NaN for none, and the levels in force, shape (A,) each.

        Only streams count that have settled and are in no episode. What is beyond the level counts as being at it: how
        often a stream alerts raises its level, not how much, nor how long.
        """
        is_counted = is_settled & ~np.isnan(score)
        bounded = np.where(self.is_fitted(ix), np.minimum(score, level), score)
        done, maxima = self._after_waiting(*self.completed(ix, slots, bounded.astype(np.float32)[:, None], is_counted))
        self.remember(done, maxima, N_REMEMBERED)
        ready = done[self.n_blocks[done] >= _MIN_BLOCKS]
        if len(ready):
            self._fit(ready)

    def _after_waiting(self, slots: I64, maxima: F32) -> tuple[I64, F32]:
        """Let blocks wait, shape (D, 1); return those that waited long enough, and all of streams without a tail."""
        is_young = self.n_blocks[slots] < _MIN_BLOCKS
        old, at = slots[~is_young], self.at[slots[~is_young]]
        released = maxima.copy()
        released[~is_young, 0] = lengthened(self.waiting[old, at])
        self.waiting[old, at] = shortened_up(maxima[~is_young, 0])
        self.at[old] = (at + 1) % N_WAITING
        is_there = released[:, 0] > -np.inf
        return slots[is_there], released[is_there]

    def _fit(self, slots: I64) -> None:
        tails = self.tails(slots, slice(0, 1), _SHARE)
        excess, n = tails.excess[:, 0], tails.n_tail  # (D, K) ascending, 0 outside of the tail
        rank = np.arange(excess.shape[1])[::-1]  # how many are larger
        mean = excess.sum(axis=1) / n
        weighted = (excess * rank).sum(axis=1) / (n * np.maximum(n - 1, 1))
        with np.errstate(divide="ignore", invalid="ignore"):
            shape = 2.0 - mean / (mean - 2.0 * weighted)
        shape = np.where(np.isfinite(shape), shape, 0.0) * n / (n + 2 * _N_PRIOR)
        shape = np.clip(shape, -_MAX_SHAPE, _MAX_SHAPE)
        self.threshold[slots] = tails.threshold[:, 0]
        self.shape[slots] = shape
        scale = (n * mean * (1.0 - shape) + _N_PRIOR * _PRIOR_SCALE) / (n + _N_PRIOR)
        self.scale[slots] = np.maximum(scale, _MIN_SCALE)
        self.n_tail[slots] = n + _N_PRIOR
        self.threshold_score[slots] = tails.decades(n)


_NO_SHAPE = 1e-3
_MIN_SCALE = 0.02  # decades


def decades_of(seconds_per_alarm: float, step_s: F64) -> F64:
    """Return log10 of how many blocks of readings hold one false alarm, at least 0, shape (A,).

    Args:
        seconds_per_alarm: The budget.
        step_s: Usual seconds between the readings of each stream; NaN where that is not known yet.

    Example:
        >>> decades_of(30 * 86400.0, np.array([300.0])).round(2).tolist()
        [2.94]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        blocks = seconds_per_alarm / (BLOCK * np.maximum(step_s, 1e-3))
    return np.log10(np.maximum(np.where(np.isnan(blocks), 1e6, blocks), 1.0))
