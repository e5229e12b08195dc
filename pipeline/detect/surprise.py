"""Surprise: how rare a residual is against the stream's own declustered history.

A residual's history is kept as the maxima of blocks of ten readings, for both tails of every view
(DETECTION.md 2.3: declustering keeps one disturbance from counting ten times). The upper fifth of a
history gets an exponential tail (peaks over threshold, Davison & Smith 1990), so that rarities
never seen before still get a probability. Histories are rings, hence bounded; what enters is
clipped, so one glitch cannot mask later faults.
"""

import math
from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, I32, I64, Bool, Slots

BLOCK = 10
_TAIL = 0.2  # share of the history that the tail is fitted to
_MIN_TAIL = 10
_LN_10 = math.log(10)
_TAIL_SCORE = -math.log10(_TAIL)
_MEDIAN_SCORE = -math.log10(0.5)
_MIN_BLOCKS = 2 * _MIN_TAIL
_CLIP_SCORE = 5.0  # a history learns nothing beyond what it already calls this rare
_MIN_EXCESS = 0.05  # standardised residuals; keeps quantised and constant streams from infinite surprise
_BOUND_OF_MEDIAN = 6.0  # of the tail's median excess; an exponential tail goes beyond in 1 of 64
_VOTE = 0.4  # of the foretold scale; the other yardstick, the stream's spread, has the rest
_MOST_FORETOLD = 8.0  # a network that is wrongly sure can say no more than this
_CAUTION = 1.0  # standard errors of the mean excess
_REFITS_PER_DOUBLING = 16
MAX_SCORE = 30.0


@dataclass
class Surprise(SlotArrays):
    """Histories and fitted tails; Y yardsticks and V views have 2YV tails, M blocks are kept.

    Attributes:
        history: Block maxima, ring over blocks, float32, shape (S, 2YV, M).
        block: Maximum of the block under way, float32, shape (S, 2YV).
        n_in_block: Readings in the block under way, int32, shape (S,).
        n_blocks: Blocks completed, int64, shape (S,).
        next_fit: Number of blocks at which the tails are fitted again, int64, shape (S,).
        median: Of the history, float32, shape (S, 2YV).
        threshold: Where the fitted tail begins, float32, shape (S, 2YV).
        excess: Mean excess over the threshold, float32, shape (S, 2YV).
    """

    history: F32 = column(np.float32, "tails", "blocks")
    block: F32 = column(np.float32, "tails", fill=-np.inf)
    n_in_block: I32 = column(np.int32)
    n_blocks: I64 = column(np.int64)
    next_fit: I64 = column(np.int64, fill=_MIN_BLOCKS)
    median: F32 = column(np.float32, "tails")
    threshold: F32 = column(np.float32, "tails")
    excess: F32 = column(np.float32, "tails", fill=1)

    def score(self, ix: Slots, residuals: F64) -> tuple[F64, I64]:
        """Score residuals against the past; changes nothing.

        Args:
            ix: Streams.
            residuals: Residuals per yardstick and view, NaN where a view has none, shape (A, Y, V).

        Returns:
            Score per stream, shape (A,): -log10 of how often a block of ten readings holds something as
            rare, the yardsticks voting, corrected for the number of tails and views looked at; NaN while
            the history is short. And the view that is rarest, shape (A,).
        """
        tails = _both_tails(residuals)  # (A, 2YV)
        threshold, median = self.threshold[ix], self.median[ix]
        beyond = _TAIL_SCORE + (tails - threshold) / (self.excess[ix] * _LN_10)
        within = _MEDIAN_SCORE + (_TAIL_SCORE - _MEDIAN_SCORE) * (tails - median) / (threshold - median + 1e-9)
        each = np.where(tails > threshold, beyond, np.minimum(within, _TAIL_SCORE))
        n_views = residuals.shape[2]
        foretold, everyday = each.reshape(len(each), 2, 2, n_views).transpose(2, 0, 1, 3)
        vote = _VOTE * np.minimum(foretold, _MOST_FORETOLD) + (1 - _VOTE) * everyday
        agreed = vote.reshape(len(each), -1)  # (A, 2V)
        view = agreed.argmax(axis=1)
        rarest = agreed[np.arange(len(agreed)), view]
        score = np.clip(rarest - math.log10(agreed.shape[1]), 0.0, MAX_SCORE)  # Bonferroni over tails
        is_ready = (self.n_blocks[ix] >= _MIN_BLOCKS) & np.isfinite(rarest)
        return np.where(is_ready, score, np.nan).astype(np.float64), view % n_views

    def learn(self, ix: Slots, slots: I64, residuals: F64, teaches: Bool) -> None:
        """Take in residuals; completed blocks enter the history, and tails are fitted when due.

        Args:
            ix: Streams.
            slots: The same streams as an index array.
            residuals: As for ``score``.
            teaches: The reading may teach, shape (A,).
        """
        is_counted = teaches & np.isfinite(residuals).all(axis=(1, 2))
        tails = np.where(is_counted[:, None], _both_tails(residuals), -np.inf)
        self.block[ix] = np.maximum(self.block[ix], tails)
        self.n_in_block[ix] += is_counted
        done = slots[self.n_in_block[ix] >= BLOCK]
        if len(done):
            self.history[done, :, self.n_blocks[done] % self.history.shape[2]] = self._clipped(done)
            self.block[done] = -np.inf
            self.n_in_block[done] = 0
            self.n_blocks[done] += 1
            self._fit(done[self.n_blocks[done] >= self.next_fit[done]])

    def _clipped(self, slots: I64) -> F32:
        """Return completed blocks, bounded in what they can teach once there is a fitted tail to bound them by."""
        block = self.block[slots]
        bound = self.threshold[slots] + self.excess[slots] * _LN_10 * (_CLIP_SCORE - _TAIL_SCORE)
        is_fitted = self.n_blocks[slots] >= _MIN_BLOCKS
        return np.where(is_fitted[:, None], np.minimum(block, bound), block)

    def _fit(self, slots: I64) -> None:
        """Fit threshold and mean excess to the histories of the streams."""
        if not len(slots):
            return
        n_kept = np.minimum(self.n_blocks[slots], self.history.shape[2]).astype(np.int64)
        self.next_fit[slots] = self.n_blocks[slots] + np.maximum(1, n_kept // _REFITS_PER_DOUBLING)
        n_tail = np.maximum(_MIN_TAIL, np.ceil(_TAIL * n_kept).astype(np.int64))
        kept = np.where(np.arange(self.history.shape[2]) < n_kept[:, None, None], self.history[slots], np.inf)
        kept.sort(axis=2)  # (D, 2YV, M), empty places last
        median = np.take_along_axis(kept, (n_kept // 2)[:, None, None], axis=2)
        rank = np.arange(n_tail.max())
        at = np.minimum((n_kept - n_tail)[:, None] + rank, (n_kept - 1)[:, None])
        tail = np.take_along_axis(kept, at[:, None, :], axis=2)  # ascending, its last repeated
        beyond = tail - tail[..., :1]
        middle = np.take_along_axis(beyond, (n_tail // 2)[:, None, None], axis=2)
        bounded = np.minimum(beyond, _BOUND_OF_MEDIAN * middle)  # Winsor: a few glitches do not widen the tail
        excess = np.where((rank < n_tail[:, None])[:, None, :], bounded, 0).sum(axis=2) / n_tail[:, None]
        excess *= 1 + _CAUTION / np.sqrt(n_tail)[:, None]  # a mean of few is uncertain
        self.median[slots] = median[..., 0]
        self.threshold[slots] = tail[..., 0]
        self.excess[slots] = np.maximum(excess, _MIN_EXCESS)


def _both_tails(residuals: F64) -> F32:
    """Return residuals and their negatives side by side, NaN as -inf: never surprising, shape (A, 2YV)."""
    flat = residuals.reshape(len(residuals), -1).astype(np.float32)
    tails = np.concatenate((flat, -flat), axis=1)
    tails[np.isnan(tails)] = -np.inf
    return tails
