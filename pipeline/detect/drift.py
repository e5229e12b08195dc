"""Drift: the level of a stream has moved further than it ever does, and stays there.

Takes each reading as a few views in the sensor's unit: the reading, and the reading minus the one a
season ago. A view is cut into blocks, and every new block's level is held against the levels some
blocks before, near and far. Such a difference is the residual of the plainest forecast there is, and
its own past is its yardstick: a random walk strays, a cycle climbs, a pump switches, each as far as
it always did. A forecaster that learns a slow ramp hides it from its own residuals, but not from here.

Two stages, cheap then sure: a vector over all streams asks whose level moved beyond the limit; for
those few, river's ADWIN (Bifet & Gavalda, "Learning from time-changing data with adaptive windowing",
SDM 2007) runs afresh over the kept levels, and must find them cut in two. So the verdict is a
function of arrays, and no detector object is kept. What a drift means is for others to decide.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, I32, I64, Bool, Slots

#: Readings per block. A fast ramp leaves no time for longer ones.
BLOCK = 8
#: Of a block's sorted readings, those averaged into its level: two glitches on either side do not move it.
_MIDDLE = slice(2, 6)
#: Blocks between the levels compared. Neighbours share no factor, so no cycle hides from two in a row.
_LAGS = np.array([2, 3, 5, 9, 17, 33])
#: Blocks after which a difference is learnt: a ramp must not teach its own beginning before it is found.
_DELAY = 32
#: Blocks kept: what the oldest difference to be learnt reaches back to.
_N_KEPT = _DELAY + 33 + 1
_OFFSETS = np.concatenate(([0], _LAGS, [_DELAY], _DELAY + _LAGS))
#: The limit: this many times the largest difference so far. From white noise to a random walk, the
#: largest of a few hundred is doubled about never.
_RATIO = 2.0
#: Smallest limit, in steps of a coarse sensor: one step up is no drift.
_N_STEPS = 3.0
#: Readings in which a largest difference is forgotten to 1/e; a month of minutes.
_MEMORY = 40_000
_KEEP = np.float32(np.exp(-BLOCK / _MEMORY))
#: Differences seen before a limit is believed: this many, and this many times the lag, as near ones overlap.
_N_BELIEVED = 200
_LAGS_BELIEVED = 8
#: ADWIN: its confidence, the blocks that a new level must have lasted, those of the newest at one of which it
#: must cut, and the size of the limit in its units.
_DELTA = 0.005
_N_LASTING = 2
_N_RECENT = 8
_LIMIT_IN_ADWIN = 14.0
#: Fewest readings between two reports of a stream, and before the first: until then there is little to compare.
MIN_BETWEEN = 256
#: Dimensions of the arrays: ``Drift.empty(n_streams, views=2, **DIMENSIONS)``.
DIMENSIONS = {"block": BLOCK, "kept": _N_KEPT, "lags": len(_LAGS)}


@dataclass
class Drift(SlotArrays):
    """Recent levels of every stream and how far they usually move; V views, L lags.

    Attributes:
        block: Readings of the block under way, sensor's unit, shape (S, V, 8).
        n_in_block: Readings in it, shape (S,).
        level: Levels of the last blocks less ``anchor``, a ring, NaN where unknown, shape (S, V, 66).
        anchor: The first level, so that float32 is fine enough for the others, shape (S, V).
        n_blocks: Blocks since the levels (re)started, shape (S,).
        largest: Largest difference over each lag, fading slowly, sensor's unit, shape (S, V, L).
        n_learnt: Differences it was taken from, shape (S, V, L).
        resolution: Smallest step ever seen between two readings, sensor's unit, shape (S, V).

    Example:
        >>> drift, noise = Drift.empty(1, views=1, **DIMENSIONS), np.random.default_rng(1).normal(size=3000)
        >>> value = noise + 0.1 * np.maximum(np.arange(3000) - 2900, 0)  # a ramp begins at reading 2900
        >>> one, all_known = np.array([0]), np.array([True])
        >>> found = [drift.step(one, np.array([[x]]), all_known)[0] for x in value]
        >>> np.flatnonzero(found)
        array([2943])
    """

    block: F64 = column(np.float64, "views", "block")
    n_in_block: I32 = column(np.int32)
    level: F32 = column(np.float32, "views", "kept", fill=np.nan)
    anchor: F64 = column(np.float64, "views", fill=np.nan)
    n_blocks: I64 = column(np.int64)
    largest: F32 = column(np.float32, "views", "lags")
    n_learnt: I32 = column(np.int32, "views", "lags")
    resolution: F64 = column(np.float64, "views", fill=np.inf)

    def step(self, slots: I64, views: F64, is_known: Bool) -> Bool:
        """Take in one reading per stream and say whose level has just been found to have drifted.

        A report restarts the stream's levels, as ``forget`` does; how far they usually move stays known.

        Args:
            slots: Streams, shape (A,).
            views: The readings as each view has them, sensor's unit, NaN where a view has none, shape (A, V).
            is_known: The reading counts, shape (A,).

        Returns:
            Shape (A,). At least ``MIN_BETWEEN`` readings lie between two reports of a stream.
        """
        is_drift = np.zeros(len(slots), np.bool_)
        known = slice(None) if is_known.all() else np.flatnonzero(is_known)
        at = slots[known]
        n_before = self.n_in_block[at]
        self.block[at, :, n_before] = views[known]
        self.n_in_block[at] = n_before + 1
        is_full = n_before == BLOCK - 1
        if is_full.any():
            found = np.zeros(len(at), np.bool_)
            found[is_full] = self.close_blocks(at[is_full])
            is_drift[known] = found
        return is_drift

    def forget(self, slots: Slots) -> None:
        """Restart the levels of streams that were re-baselined: what came before is no longer compared with."""
        self.level[slots] = np.nan
        self.anchor[slots] = np.nan
        self.n_blocks[slots] = 0
        self.n_in_block[slots] = 0

    def close_blocks(self, slots: I64) -> Bool:
        """Turn full blocks into levels, compare, confirm, then learn, shape (D,)."""
        self._keep_levels(slots)
        now, then = self._differences(slots)
        limit = self._limits(slots)
        is_believed = self.n_learnt[slots] >= np.maximum(_N_BELIEVED, _LAGS_BELIEVED * _LAGS)
        is_beyond = (now > limit) & is_believed & (self.n_blocks[slots] * BLOCK >= MIN_BETWEEN)[:, None, None]
        is_drift: Bool = is_beyond.any(axis=(1, 2))
        for i in np.flatnonzero(is_drift):
            is_drift[i] = self._confirm(int(slots[i]), np.where(is_beyond[i], limit[i], np.inf).min(axis=1))
        bounded = np.where(is_believed, np.minimum(then, limit), then)
        self.largest[slots] = np.fmax(self.largest[slots] * _KEEP, bounded)
        self.n_learnt[slots] += ~np.isnan(then)
        self.forget(slots[is_drift])
        return is_drift

    def _keep_levels(self, slots: I64) -> None:
        """Append the levels of full blocks, and look for the sensor's resolution in them."""
        ordered = np.sort(self.block[slots], axis=2)  # (D, V, 8), NaN last
        level = ordered[:, :, _MIDDLE].sum(axis=2) / (_MIDDLE.stop - _MIDDLE.start)
        gaps = np.diff(ordered, axis=2)
        smallest = np.where(gaps > 0, gaps, np.inf).min(axis=2)
        self.resolution[slots] = np.minimum(self.resolution[slots], smallest)
        anchor = self.anchor[slots]
        anchor = np.where(np.isnan(anchor), level, anchor)
        self.anchor[slots] = anchor
        self.level[slots, :, self.n_blocks[slots] % _N_KEPT] = level - anchor
        self.n_blocks[slots] += 1
        self.n_in_block[slots] = 0

    def _differences(self, slots: I64) -> tuple[F32, F32]:
        """Return how far the newest level, and the one ``_DELAY`` before, lie from those a lag before, (D, V, L)."""
        at = (self.n_blocks[slots, None] - 1 - _OFFSETS) % _N_KEPT  # what is not there yet is NaN
        views = np.arange(self.level.shape[1])
        level = self.level[slots[:, None, None], views[:, None], at[:, None, :]]
        n_now = 1 + len(_LAGS)
        now, then = level[..., :n_now], level[..., n_now:]
        return np.abs(now[..., :1] - now[..., 1:]), np.abs(then[..., :1] - then[..., 1:])

    def _limits(self, slots: I64) -> F32:
        """Return the difference over each lag beyond which ADWIN is asked, shape (D, V, L)."""
        largest = self.largest[slots]
        largest[..., :-1] = np.maximum(largest[..., :-1], largest[..., 1:])  # a cycle as long as one lag hides from it
        limit: F32 = np.maximum(_RATIO * largest, _N_STEPS * self.resolution[slots][:, :, None]).astype(np.float32)
        return limit

    def _confirm(self, slot: int, limit: F32) -> bool:
        """Ask ADWIN about the views of one stream; ``limit`` is the one each went beyond, ``inf`` for none, (V,)."""
        n = self.n_blocks[slot]
        order = np.arange(max(0, n - _N_KEPT), n) % _N_KEPT  # oldest first
        views = np.flatnonzero(np.isfinite(limit))
        levels = self.level[slot][np.ix_(views, order)].astype(np.float64) / limit[views, None]
        return any(_is_cut(level[~np.isnan(level)] * _LIMIT_IN_ADWIN) for level in levels)


def _is_cut(levels: F64) -> bool:
    """Say whether ADWIN, run over the levels of one stream, cuts older ones off at one of the newest."""
    # What river.drift.ADWIN wraps, at a hundredth of its import: half a second and 80 MB for scipy and all detectors.
    from river._river_rust.drift import AdaptiveWindowing

    adwin = AdaptiveWindowing(delta=_DELTA, clock=1, min_window_length=_N_LASTING, grace_period=2 * _N_LASTING)
    return any([adwin.update(level) for level in levels.tolist()][-_N_RECENT:])
