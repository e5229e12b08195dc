"""Resolution: the smallest step between a stream's values has become another one, for good.

Of 64 readings, sorted, the smallest difference between two that differ is the step; where all differences are
multiples of it, the values lie on a grid, as a sensor with a resolution shows them. Steps that for 256 readings
are coarser than any before, and lie on a grid, or finer than the grid that all lay on, mean another sensor or
firmware. Cleared when the old steps are back, or when the new ones have become usual.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, I8, I32, I64, Bool
from pipeline.detect.health import NEW_NORMAL, Change, number

#: Readings that a step is taken from; also the readings between two.
EVERY = 64
#: Steps in a row that raise the verdict or clear it.
_N_IN_A_ROW = 4
#: Another step: coarser or finer by at least this factor. From Celsius to Fahrenheit it is 1.8.
_RATIO = 1.5
#: Differences that are multiples of the step: as near to a whole number as this, ...
_NEAR = 0.02
#: ... and smaller ones than this share of the readings are what rounding leaves.
_ROUNDING = 1e-9
#: Share of the steps that lie on a grid where a stream has one, and how fast it follows.
_ON_GRID, _GAIN = 0.9, 0.1


@dataclass
class Grain(SlotArrays):
    """The steps of each stream.

    Attributes:
        finest, coarsest: Smallest step on a grid, and largest of all, sensor's unit, shape (S,).
        now: Newest step.
        pending: Largest of the coarser steps in a row.
        grid: Share of the recent steps that lay on a grid.
        n: Steps learnt.
        n_other: Steps in a row that were other: above 0 coarser, below 0 finer.
        n_same: Steps in a row like those before, while the verdict holds.
        n_held: Steps since the verdict was raised.
        began_s: Event time of the first of the other steps, Unix seconds.
    """

    finest: F32 = column(np.float32, fill=np.inf)
    coarsest: F32 = column(np.float32)
    now: F32 = column(np.float32, fill=np.nan)
    pending: F32 = column(np.float32)
    grid: F32 = column(np.float32)
    n: I32 = column(np.int32)
    n_other: I8 = column(np.int8)
    n_same: I8 = column(np.int8)
    n_held: I32 = column(np.int32)
    began_s: F64 = column(np.float64)

    def step(self, slots: I64, value: F64, size: F64, time: F64, state: "Held") -> Change:
        """Take in the newest readings of some streams.

        Args:
            slots: Streams of which a step is due, shape (D,).
            value: Their newest readings, sensor's unit, shape (D, 64).
            size: Size of the readings as they came: of a counter's increments the level, shape (D,).
            time: Event times of the newest, Unix seconds, shape (D,).
            state: Whether the verdict holds, and how much has to be seen.

        Returns:
            Where the verdict is raised and where it is cleared.
        """
        step, is_grid = _steps(value, size)
        has = ~np.isnan(step)
        slots, step, is_grid, time, is_held = slots[has], step[has], is_grid[has], time[has], state.is_held[has]
        self.now[slots] = step
        is_judged = (self.n[slots] >= state.n_believed) & ~is_held
        is_coarser = is_judged & is_grid & (step > _RATIO * self.coarsest[slots])
        has_grid = self.grid[slots] > _ON_GRID
        is_finer = is_judged & has_grid & (step * _RATIO < self.finest[slots])
        before = self.n_other[slots]
        other = np.where(is_coarser, np.maximum(before, 0) + 1, np.where(is_finer, np.minimum(before, 0) - 1, 0))
        self.n_other[slots] = other
        self.began_s[slots] = np.where(np.abs(other) == 1, time, self.began_s[slots])
        is_raised = np.abs(other) >= _N_IN_A_ROW
        self._learn(slots, step, is_grid, ~is_held & (other == 0))
        self.pending[slots] = np.where(is_coarser, np.maximum(self.pending[slots], step), 0.0)
        cleared = self._clear(slots, step, is_held, state.n_accepted)
        return Change(slots[is_raised], self.began_s[slots[is_raised]], cleared)

    def forget(self, slots: I64) -> None:
        """Start anew with streams whose values changed their meaning."""
        self.reset(slots)

    def _learn(self, slots: I64, step: F64, is_grid: Bool, is_taught: Bool) -> None:
        """Learn steps, and coarser ones that did not last."""
        at, new, on_grid = slots[is_taught], step[is_taught], is_grid[is_taught]
        n = self.n[at]
        self.grid[at] += np.maximum(_GAIN, 1 / (n + 1)) * (on_grid - self.grid[at])
        self.finest[at] = np.where(on_grid, np.minimum(self.finest[at], new), self.finest[at])
        self.coarsest[at] = np.maximum(self.coarsest[at], np.maximum(new, self.pending[at]))
        self.n[at] = n + 1

    def _clear(self, slots: I64, step: F64, is_held: Bool, n_accepted: int) -> I64:
        """Return whose verdict ends: the old steps are back, or the new ones have become usual."""
        low, high = self.finest[slots] / _RATIO, self.coarsest[slots] * _RATIO
        is_back = is_held & (step >= low) & (step <= high)
        same = np.where(is_back, self.n_same[slots] + 1, 0)
        held = np.where(is_held, self.n_held[slots] + 1, 0)
        self.n_same[slots] = same
        self.n_held[slots] = np.minimum(held, np.iinfo(np.int32).max)
        is_accepted = is_held & (held >= n_accepted)
        is_ended = is_held & ((same >= _N_IN_A_ROW) | is_accepted | (self.n[slots] == 0))
        self.n_same[slots[is_ended]] = 0
        self.forget(slots[is_accepted])
        ended: I64 = slots[is_ended]
        return ended

    def why(self, slot: int) -> str:
        """Say why a stream's resolution was just found to have changed."""
        now = number(float(self.now[slot]), 3)
        if self.n_other[slot] > 0:
            return f"moves in steps of {now}, where they were {number(float(self.coarsest[slot]), 3)} at most"
        return f"moves in steps of {now}, where they were {number(float(self.finest[slot]), 3)} at least"

    def end(self, slot: int) -> str:
        """Say why the verdict was just cleared."""
        if self.n[slot] == 0:
            return NEW_NORMAL
        return f"moves in steps of {number(float(self.now[slot]), 3)}, as before"


@dataclass(frozen=True, slots=True)
class Held:
    """Whether the verdict holds for the streams of a step, shape (D,), and how much has to be seen.

    Attributes:
        is_held: It holds.
        n_believed: Steps learnt before the first verdict.
        n_accepted: Steps after which another resolution is the new normal.
    """

    is_held: Bool
    n_believed: int
    n_accepted: int


def _steps(value: F64, size: F64) -> tuple[F64, Bool]:
    """Return the step of each stream, NaN where all readings are equal, and whether it makes a grid, shape (D,).

    Example:
        >>> step, is_grid = _steps(np.array([[20.1, 20.4, 20.2, 20.1], [0.0, 0.31, 1.0, 1.7]]), np.array([20.0, 1.0]))
        >>> step.round(2).tolist(), is_grid.tolist()
        ([0.1, 0.31], [True, False])
    """
    gaps = np.diff(np.sort(value, axis=1), axis=1)
    is_real = gaps > _ROUNDING * np.maximum(size, np.abs(value).max(axis=1))[:, None]
    step = np.where(is_real, gaps, np.inf).min(axis=1)
    has = np.isfinite(step)
    times = np.where(is_real, gaps, 0.0) / np.where(has, step, 1.0)[:, None]
    is_grid = (np.abs(times - np.round(times)) <= _NEAR).all(axis=1)
    return np.where(has, step, np.nan), has & is_grid
