"""Views: the few residuals that the detector looks at, each named, each two-sided.

Comes in: what was foretold and what came, and the newest readings. Goes out: one signed number per view, larger means
stranger, in whatever unit it has: its own history says what is usual. A fault that one view is blind to shows in
another: a good adaptive forecaster hides a slow fault from its one-step residual, but not from what it foretold for
the mean of the next 32 readings, and no forecaster hides a level from the past (DETECTION.md 2.2 and 3).
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I32, I64, Bool, Slots

#: Readings that the views of spread and mean look back over.
N_RECENT = 60
#: Smallest residual that counts, as a share of the stream's spread: the floor of every effect, in the sensor's unit.
FLOOR_OF_SPREAD = 0.02
#: Smallest residual of log-activity that counts: about a tenth more or less.
FLOOR_OF_ACTIVITY = 0.1
_MEMORY = 2000
_N_STILL = 180  # readings after the last 60 became all alike at which a stream counts as still
_ALIKE = 1e-12  # of the level: what is left of a standard deviation of like values
_CLIP = 3.0  # spreads that one reading's spread counts for at most: a glitch is in 60 of them


class View(IntEnum):
    """What was surprising; the lower-case name goes into alerts."""

    NEXT_READING = 0
    """The reading, on the scale that was foretold for it."""
    NEXT_SHORT = 1
    """The mean of the last few readings, as foretold before them."""
    NEXT_LONG = 2
    """The mean of the last half hour or so."""
    ACTIVITY = 3
    """How much the stream moves from reading to reading."""
    RESIDUAL = 4
    """The reading minus its forecast, in the sensor's unit."""
    SPREAD = 5
    """How far the last 60 readings spread, against what they usually do."""
    LEVEL = 6
    """The reading, or the mean of the last 60, against the stream's long-run level."""
    VOTE = 7
    """Residual, mean of the last 60 readings and level, each too usual to tell alone."""


#: Views that have residuals of their own: all but the vote.
N_VIEWS = len(View) - 1
#: The first of them hold a forecast against reality, each member of an ensemble its own; the others the past.
N_OF_FORECASTS = View.SPREAD
#: Targets of the forecaster in the order of their views.
_N_FORETOLD = 4


@dataclass(frozen=True, slots=True)
class Recent:
    """The newest readings of A streams, shape (A,) each, sensor's unit.

    Attributes:
        value: The newest.
        mean: Of the last 60.
        deviation: Their standard deviation.
    """

    value: F64
    mean: F64
    deviation: F64

    @classmethod
    def of(cls, values: F64, n: I64) -> "Recent":
        """Sum up the newest readings, oldest first, shape (A, 60), of which the last ``n`` are there.

        Example:
            >>> Recent.of(np.array([[0.0, 0.0, 2.0, 4.0]]), np.array([2])).mean.tolist()
            [3.0]
        """
        width = values.shape[1]
        count = np.minimum(n, width)
        if count.min(initial=width) == width:
            mean = np.add.reduce(values, axis=1) / width
            away = values - mean[:, None]
            np.multiply(away, away, out=away)
            return cls(values[:, -1], mean, np.sqrt(np.add.reduce(away, axis=1) / width))
        is_there = np.arange(width) >= width - count[:, None]
        mean = np.where(is_there, values, 0.0).sum(axis=1) / count
        variance = np.where(is_there, (values - mean[:, None]) ** 2, 0.0).sum(axis=1) / count
        return cls(values[:, -1], mean, np.sqrt(variance))

    def is_alike(self) -> Bool:
        """Say of which streams the last 60 readings are all alike, shape (A,)."""
        found: Bool = self.deviation <= _ALIKE * np.abs(self.mean)
        return found


@dataclass
class UsualSpread(SlotArrays):
    """What the last 60 readings usually do.

    Attributes:
        usual_spread: Slow mean of their standard deviation, sensor's unit, shape (S,).
        n_still: Readings since they have all been alike, int32, shape (S,).
    """

    usual_spread: F64 = column(np.float64)
    n_still: I32 = column(np.int32)

    def learn(self, ix: Slots, recent: Recent, spread: F64, n: I64) -> None:
        """Take in the newest readings; ``n`` readings were before these, shape (A,) each."""
        usual = self.usual_spread[ix]
        bound = np.where(n < N_RECENT, np.inf, _CLIP * spread)
        self.usual_spread[ix] = usual + (recent.deviation - usual).clip(-bound, bound) / np.minimum(n + 1, _MEMORY)
        self.n_still[ix] = np.where(recent.is_alike(), np.minimum(self.n_still[ix], _N_STILL) + 1, 0)

    def is_still(self, ix: Slots) -> Bool:
        """Say which streams have stood still for long: what does not move surprises nobody by it, shape (A,).

        Whether it should move is a matter of the sensor's health.
        """
        found: Bool = self.n_still[ix] >= _N_STILL
        return found


@dataclass(frozen=True, slots=True)
class Usual:
    """What is usual of A streams, shape (A,) each, sensor's unit, from readings before the newest.

    Attributes:
        level: Long-run level.
        spread: Long-run spread, never 0.
        deviation: Slow mean of the standard deviation of 60 readings.
    """

    level: F64
    spread: F64
    deviation: F64


@dataclass(frozen=True)
class Found:
    """What the views show of A readings.

    Attributes:
        of_forecasts: By members of the ensemble, signed, NaN where a forecast may not be held against, as after a gap,
            shape (A, E, 5).
        of_past: Spread and level, signed, shape (A, 2).
        sizes: Of each member's residual, and of the mean of the last 60 readings against the level, sensor's unit, > 0,
            shape (A, E + 1).
    """

    of_forecasts: F64
    of_past: F64
    sizes: F64

    def measured_in(self, unit: F64) -> "Found":
        """Return the same with what is in the sensor's unit in another, shape (A,); 0 leaves it as it is."""
        per_unit = 1.0 / np.where(unit > 0, unit, 1.0)
        of_forecasts = self.of_forecasts.copy()
        of_forecasts[..., View.RESIDUAL] *= per_unit[:, None]
        return Found(of_forecasts, self.of_past * per_unit[:, None], self.sizes * per_unit[:, None])

    @cached_property
    def next_reading(self) -> F64:
        """The reading on the scale that was foretold for it, by the members' mean, shape (A,)."""
        mean: F64 = self.of_forecasts[:, :, View.NEXT_READING].mean(axis=1)
        return mean

    @cached_property
    def sides(self) -> F64:
        """Views and their negatives side by side, NaN as -inf: never surprising, shape (A, 2 * n_views)."""
        n, n_members, n_of_forecasts = self.of_forecasts.shape
        at = n_members * n_of_forecasts
        n_views = at + self.of_past.shape[1]
        sides = np.empty((n, 2 * n_views))
        views = sides[:, :n_views]
        views[:, :at] = self.of_forecasts.reshape(n, at)
        views[:, at:] = self.of_past
        np.negative(views, out=sides[:, n_views:])
        missing = np.isnan(views)
        if missing.any():
            sides[np.concatenate((missing, missing), axis=1)] = -np.inf
        return sides


def look(came: F64, foretold: F64, scale: F64, recent: Recent, usual: Usual) -> Found:
    """Hold what came against what was foretold and what is usual.

    Args:
        came: What came of each target, shape (A, 4): the next reading, the means of the next few and many, the
            log of the activity.
        foretold: What each member foretold of it, same units, shape (A, E, 4).
        scale: Foretold scale, same units, NaN where nothing may be held against the forecast, shape (A, E, 4).
        recent: The newest readings.
        usual: What is usual.

    Returns:
        The views. Floors keep a network that has become very sure of a quiet stream from calling trifles strange.
    """
    floor = FLOOR_OF_SPREAD * usual.spread
    residual = came[:, None] - foretold
    missing = np.isnan(scale)
    if missing.any():
        residual[missing] = np.nan
    floors = np.empty((len(floor), 1, _N_FORETOLD))
    floors[...] = floor[:, None, None]
    floors[..., View.ACTIVITY] = FLOOR_OF_ACTIVITY
    of_forecasts = np.empty((*residual.shape[:2], N_OF_FORECASTS))
    np.divide(residual, scale + floors, out=of_forecasts[..., :_N_FORETOLD])
    of_next = residual[..., View.NEXT_READING]
    of_forecasts[..., View.RESIDUAL] = shrunk(of_next, floor[:, None])
    of_past = np.empty((len(floor), 2))
    of_past[:, 0] = recent.deviation - usual.deviation
    of_past[:, 1] = shrunk(recent.value - usual.level, floor)
    sizes = np.empty((len(floor), of_next.shape[1] + 1))
    np.abs(of_next, out=sizes[:, :-1])
    np.abs(recent.mean - usual.level, out=sizes[:, -1])
    np.maximum(sizes, floor[:, None], out=sizes)
    return Found(of_forecasts, of_past, sizes)


def shrunk(value: F64, floor: F64) -> F64:
    """Return values moved towards 0 by a floor, as far as 0, of shapes that go together.

    Example:
        >>> shrunk(np.array([3.0, -3.0, 0.5]), np.ones(3)).tolist()
        [2.0, -2.0, 0.0]
    """
    found: F64 = np.sign(value) * np.maximum(np.abs(value) - floor, 0.0)
    return found + 0.0
