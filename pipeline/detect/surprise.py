"""Surprise: how rare what the views show is against the stream's own past, as one score.

Each side of each view has a history of block maxima; beyond its upper fifth an exponential tail (peaks over threshold,
Davison & Smith 1990) says how rare a value is that was never seen before. The score is that of the rarest view, or of
the vote of three: residual, recent mean and level, each on a Pareto tail, which together tell what none tells alone
(DETECTION.md 2.4). It is in decades: one more is ten times rarer. The longer a stream's past, the more is needed
to stand out of it. What score raises an alert is for ``budget`` to say.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import column
from pipeline.core.records import F32, F64, I64, Bool, Slots
from pipeline.core.slots import N_AT_ONCE
from pipeline.detect import compiled
from pipeline.detect.history import LN_10, History
from pipeline.detect.views import N_OF_FORECASTS, N_VIEWS, Found, View

MAX_SCORE = 30.0
N_SHARES = 2
#: Blocks that the histories stand for at most: 20,000 readings.
N_REMEMBERED = 2048
_N_OF_PAST = N_VIEWS - N_OF_FORECASTS
_SHARES = (0.2, 0.1)  # of the blocks that make the tail: of views, of sizes
_MIN_BLOCKS = 8  # before a stream has a score
# The vote: weights of residual, recent mean and level, and what makes it comparable with a view's decades.
_VOTES = np.array([0.4, 0.4, 0.2])
_VOTE_FROM, _VOTE_SLOPE, _VOTE_AT = 1.4, 1.8, 3.3
# Decades that a tenfold past costs a view and the vote, and the pasts between which it does: there is more to compare
# with, and what the vote holds together is less independent than blocks are.
_AGE_COST, _AGE_COST_OF_VOTE, _AGE_UNIT, _YOUNG, _OLD = 0.3, 1.15, 1000, 700, 14_000
# Decades that views are given or lack beside each other, found on NAB with ten networks and tried on others: the
# activity is rarely wrong, the short mean finds what others find and much that is nothing.
_GIVEN = {
    View.NEXT_READING: -0.3,
    View.NEXT_SHORT: -1.2,
    View.NEXT_LONG: 0.4,
    View.ACTIVITY: 0.9,
    View.RESIDUAL: -0.05,
    View.SPREAD: -0.4,
    View.LEVEL: -0.05,
}
_GIVEN_TO = np.array([_GIVEN.get(view, 0.0) for view in View])
# The recent mean against the level, as large, is the same finding as the reading against it; a tenfold more is asked
# of it: NAB hardly changes (0.1), and what rises slowly in a stream with heavy tails is found.
_GIVEN_RECENT = -1.0
_AGE_COSTS = np.where(np.arange(len(View)) == View.VOTE, _AGE_COST_OF_VOTE, _AGE_COST)


@dataclass(frozen=True, slots=True)
class Statistics:
    """Where the statistics with a history lie: one side of all views, the other, then the sizes that vote.

    Each member of an ensemble has its own histories: what is averaged is their surprise, for what one network always
    gets wrong is no news from it, but would be in the mean of their residuals.

    Attributes:
        n_members: Networks of a stream.
    """

    n_members: int

    @classmethod
    def among(cls, n_tails: int) -> "Statistics":
        """Return the layout that has so many statistics."""
        return cls((n_tails - 2 * _N_OF_PAST - 1) // (2 * N_OF_FORECASTS + 1))

    @property
    def n_views(self) -> int:
        """Statistics of one side."""
        return N_OF_FORECASTS * self.n_members + _N_OF_PAST

    @property
    def n_tails(self) -> int:
        """All.

        Example:
            >>> Statistics(1).n_tails, Statistics(2).n_tails
            (16, 27)
        """
        return 2 * self.n_views + self.n_members + 1

    @property
    def sides(self) -> slice:
        """Both sides of the views."""
        return slice(0, 2 * self.n_views)

    @property
    def sizes(self) -> slice:
        """The sizes that vote: the members' residuals, and the recent mean."""
        return slice(2 * self.n_views, self.n_tails)

    def mean_of_views(self, decades: F64) -> F64:
        """Average members' decades of the views, the larger side of each, shape (A, 2 * n_views); give shape (A, 7)."""
        larger = decades.reshape(len(decades), 2, self.n_views).max(axis=1)
        at = N_OF_FORECASTS * self.n_members
        of_forecasts = larger[:, :at].reshape(len(larger), self.n_members, N_OF_FORECASTS).mean(axis=1)
        return np.concatenate((of_forecasts, larger[:, at:]), axis=1)


@dataclass
class Surprise(History):
    """Histories of all views, and the tails fitted to them; N tails, two shares.

    Attributes:
        recent_threshold, recent_excess, recent_low: Of the recent mean as a view, on the same history, shape (S,).
        threshold: Where the fitted tail begins, float32, shape (S, N).
        excess: Its scale: mean excess of a view, mean log-excess of a size, float32, shape (S, N).
        low: Lower knot of the body, float32, shape (S, N).
        threshold_score: Decades at the threshold, float32, shape (S, 2).
        low_score: Decades at the lower knot, float32, shape (S, 2).
    """

    recent_threshold: F32 = column(np.float32)
    recent_excess: F32 = column(np.float32, fill=1)
    recent_low: F32 = column(np.float32)
    threshold: F32 = column(np.float32, "tails")
    excess: F32 = column(np.float32, "tails", fill=1)
    low: F32 = column(np.float32, "tails")
    threshold_score: F32 = column(np.float32, "shares")
    low_score: F32 = column(np.float32, "shares")

    @property
    def statistics(self) -> Statistics:
        """Where the statistics lie."""
        return Statistics.among(self.block.shape[1])

    @property
    def _is_compiled(self) -> bool:
        n_tails, n_places = self.largest.shape[1:]
        return compiled.serves(n_places, Statistics.among(n_tails).n_members)

    def score(self, ix: Slots, found: Found, n: I64) -> tuple[F64, F64]:
        """Score what the views show against the past; changes nothing.

        Args:
            ix: Streams.
            found: What the views show.
            n: Readings before these, shape (A,).

        Returns:
            Score, >= 0, NaN while the history is short, shape (A,). And the decades of every view, the vote
            last, on the same scale, shape (A, 8).
        """
        if self._is_compiled:
            return compiled.score(self, self.largest, ix, (found.sides, found.sizes), n)
        views = self.statistics.mean_of_views(self._of_sides(ix, found.sides))
        sizes = self._of_sizes(ix, found.sizes)
        n_sizes = sizes.shape[1] - 1
        vote = np.add.reduce(sizes[:, :-1], axis=1) / n_sizes * _VOTES[0]  # exact: no BLAS
        vote += sizes[:, -1] * _VOTES[1]
        vote += views[:, View.LEVEL] * _VOTES[2]
        each = np.empty((len(views), len(View)))
        each[:, :N_VIEWS] = views
        each[:, View.LEVEL] = np.maximum(views[:, View.LEVEL], self._of_recent(ix, found.sizes[:, -1]) + _GIVEN_RECENT)
        each[:, View.VOTE] = _VOTE_SLOPE * (vote - _VOTE_FROM) + _VOTE_AT
        age = np.log10(n.clip(_YOUNG, _OLD) / _AGE_UNIT)
        each = np.where(each > 0.0, np.maximum(each + _GIVEN_TO, 0.0), each)
        each -= age[:, None] * _AGE_COSTS
        score = np.maximum.reduce(each, axis=1).clip(0.0, MAX_SCORE)
        return np.where(self.n_blocks[ix] >= _MIN_BLOCKS, score, np.nan), each.clip(0.0, MAX_SCORE, out=each)

    def _of_sides(self, ix: Slots, value: F64) -> F64:
        """Return the decades of both sides of the views, exponential beyond the threshold, shape (A, 2 * n_views)."""
        which = self.statistics.sides
        threshold, low, at, from_ = self._fitted(ix, which, 0)
        found = _body(value, low, threshold, from_, at)
        row, view = (value > threshold).nonzero()  # few
        excess = self.excess[ix][row, view + which.start] * LN_10
        with np.errstate(over="ignore", invalid="ignore"):
            found[row, view] = at[row, 0] + (value[row, view] - threshold[row, view]) / excess
        return found

    def _of_recent(self, ix: Slots, value: F64) -> F64:
        """Return the decades of the recent mean as a view, 0 for unknown ones, shape (A,)."""
        threshold, low, excess = (
            x[ix].astype(np.float64) for x in (self.recent_threshold, self.recent_low, self.recent_excess)
        )
        at, from_ = (x[ix, 0].astype(np.float64) for x in (self.threshold_score, self.low_score))
        with np.errstate(over="ignore", invalid="ignore"):
            beyond = at + (value - threshold) / (excess * LN_10)
        found = np.where(value > threshold, beyond, _body(value, low, threshold, from_, at))
        return np.where(np.isnan(value), 0.0, found)

    def _of_sizes(self, ix: Slots, value: F64) -> F64:
        """Return the decades of the sizes, Pareto beyond the threshold, 0 for unknown ones, shape (A, E + 1)."""
        threshold, low, at, from_ = self._fitted(ix, self.statistics.sizes, 1)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            beyond = at + np.log10(value / threshold) / self.excess[ix][:, self.statistics.sizes]
        found = np.where(value > threshold, beyond, _body(value, low, threshold, from_, at))
        return np.minimum(np.where(np.isnan(value), 0.0, found), MAX_SCORE)

    def _fitted(self, ix: Slots, which: slice, share: int) -> tuple[F64, F64, F64, F64]:
        """Return threshold and lower knot, shape (A, M), and their decades, shape (A, 1)."""
        threshold, low = (found[ix][:, which].astype(np.float64) for found in (self.threshold, self.low))
        at, from_ = (found[ix, share].astype(np.float64)[:, None] for found in (self.threshold_score, self.low_score))
        return threshold, low, at, from_

    def learn(self, ix: Slots, slots: I64, found: Found, teaches: Bool) -> None:
        """Take in what the views showed; when a block is complete the tails are fitted anew.

        Args:
            ix: Streams.
            slots: The same streams as an index array, shape (A,).
            found: What the views showed.
            teaches: The reading may teach, shape (A,).
        """
        is_counted = teaches & ~np.isnan(found.next_reading)  # not soon after a start or gap
        if self._is_compiled:
            compiled.learn(self, self.largest, ix, (found.sides, found.sizes), is_counted, N_REMEMBERED)
            return
        statistics = np.concatenate((found.sides, found.sizes), axis=1, dtype=np.float32, casting="same_kind")
        missing = np.isnan(found.sizes)
        if missing.any():
            statistics[:, self.statistics.sizes][missing] = -np.inf
        done = self.take_in(ix, slots, statistics, is_counted, N_REMEMBERED)
        ready = done[self.n_blocks[done] >= _MIN_BLOCKS]
        if len(ready):
            self._fit(ready)

    def _fit(self, slots: I64) -> None:
        for start in range(0, len(slots), N_AT_ONCE):
            self._fit_part(slots[start : start + N_AT_ONCE])

    def _fit_part(self, slots: I64) -> None:
        """Fit the tails of a few streams, whose histories fit the cache."""
        sizes = self.statistics.sizes
        for share, which in enumerate((self.statistics.sides, sizes)):
            tails = self.tails(slots, which, _SHARES[share])
            self.threshold[slots, which] = tails.threshold
            self.low[slots, which] = tails.low
            self.excess[slots, which] = tails.mean_log_excess() if which == sizes else tails.mean_excess()
            self.threshold_score[slots, share] = tails.decades(tails.n_tail)
            self.low_score[slots, share] = tails.decades(tails.n_body)
        mean = self.tails(slots, slice(sizes.stop - 1, sizes.stop), _SHARES[0])
        self.recent_threshold[slots], self.recent_low[slots] = mean.threshold[:, 0], mean.low[:, 0]
        self.recent_excess[slots] = mean.mean_excess()[:, 0]


def _body(value: F64, low: F64, threshold: F64, low_score: F64, threshold_score: F64) -> F64:
    """Return decades under the threshold: straight lines through its lower knot and 0."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        upper = low_score + (threshold_score - low_score) * (value - low) / (threshold - low)
        lower = value / low
    is_positive = low > 0
    lower = np.maximum(lower, 0.0, out=lower) if is_positive.all() else np.where(is_positive, lower.clip(0.0), 0.0)
    lower *= low_score
    found = np.where(value > low, upper, lower)
    is_knot = value == low
    if is_knot.any():
        found = np.where(is_knot, low_score, found)
    missing = np.isnan(found) | ~np.isfinite(threshold)
    if missing.any():
        found[missing] = 0.0  # of what is missing too often: nothing
    return found
