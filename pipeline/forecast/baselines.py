"""Forecasters that need no network: exponential smoothing with trend, and the season before.

Readings and the season come in, forecasts of the next reading go out, all in the sensor's unit.
Refuses to know which of them is shown: that is the league's business.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I32, I64, Slots

_GAIN = 0.01  # a memory of about 100 readings
_CLIP = 10.0  # spreads: one glitch must not decide the comparison

# Candidates of the smoothing, side by side: three that lean to the median, one to the mean, two with trend.
_LEVEL_GAINS = np.array([0.05, 0.2, 0.5, 0.7, 0.4, 1.0])
_TREND_GAINS = np.array([0.0, 0.0, 0.0, 0.0, 0.1, 0.3])
_BOTH_GAINS = _LEVEL_GAINS * _TREND_GAINS
_DAMPINGS = np.array([0.0, 0.0, 0.0, 0.0, 1.0, 0.5])
N_SMOOTHINGS = len(_LEVEL_GAINS)
_N_BOUNDED = 3
_N_UNBOUNDED = 20  # readings before a mean absolute error is worth something as a bound
_CANDIDATE_GAIN = 0.02

_FORM_GAIN = 0.01
_OFFSET_GAIN = 0.1
N_FORMS = 3


class Forecaster(IntEnum):
    """Who makes a forecast; the lower-case name is the metric label."""

    LSTM = 0
    PERSISTENCE = 1
    SMOOTHING = 2
    SEASONAL = 3
    AUTOREGRESSION = 4
    BLEND = 5


N_FORECASTERS = len(Forecaster)


def faded(mean: F64, size: F64, n: F64 | I32, gain: float | F64) -> F64:
    """Return exponentially weighted means with new sizes in them: plain means until there are enough.

    Args:
        mean: Means so far, shape (A, K).
        size: What is new, NaN where there is nothing, shape (A, K).
        n: Sizes taken in so far, shape (A,) or (A, K).
        gain: Weight of the newest in the long run.

    Example:
        >>> faded(np.array([[1.0, 1.0]]), np.array([[2.0, np.nan]]), np.array([1], np.int32), 0.01)
        array([[1.5, 1. ]])
    """
    weight = np.maximum(1 / (n + 1), gain)
    change = size - mean
    change *= weight.reshape(len(mean), -1)
    missing = np.isnan(change)
    if missing.any():
        change[missing] = 0.0
    change += mean
    return change


@dataclass
class Smoothing(SlotArrays):
    """Holt's linear smoothing with damped trend (Gardner & McKenzie 1985), several gains side by side.

    ``f = level + damping * trend``, then ``level = f + a * e`` and ``trend = damping * trend + a * b * e``;
    the candidate with the smallest recent error speaks. Some bound e to its recent mean, and so lean to the median.

    Attributes:
        n_smoothed: Errors taken in, int32, shape (S,).
        level: NaN until a value came, sensor's unit, shape (S, K).
        trend: Per reading, sensor's unit, shape (S, K).
        candidate_error: Recent mean absolute error, sensor's unit, shape (S, K).
    """

    n_smoothed: I32 = column(np.int32)
    level: F64 = column(np.float64, "smoothings", fill=np.nan)
    trend: F64 = column(np.float64, "smoothings")
    candidate_error: F64 = column(np.float64, "smoothings")

    def learn_smoothing(self, ix: Slots, value: F64, most: F64) -> None:
        """Take in how well the candidates foretold.

        Args:
            ix: Streams.
            value: Readings, sensor's unit, shape (A,).
            most: Bound of an error, sensor's unit, shape (A,).
        """
        location = self.level[ix] + _DAMPINGS * self.trend[ix]
        is_known = ~np.isnan(location[:, 0])
        size = value[:, None] - location
        np.minimum(np.abs(size, out=size), most[:, None], out=size)
        if not is_known.all():
            size[~is_known] = np.nan
        self.candidate_error[ix] = faded(self.candidate_error[ix], size, self.n_smoothed[ix], _CANDIDATE_GAIN)
        self.n_smoothed[ix] += is_known

    def smooth(self, ix: Slots, value: F64) -> F64:
        """Move levels and trends by one reading per stream.

        Args:
            ix: Streams.
            value: Readings, sensor's unit, shape (A,).

        Returns:
            The next forecasts, shape (A,).
        """
        trend, error = self.trend[ix], self.candidate_error[ix]
        location = self.level[ix] + _DAMPINGS * trend
        is_new = np.isnan(location[:, 0])
        if is_new.any():
            location[is_new] = value[is_new, None]
        surprise = value[:, None] - location
        bound = error[:, :_N_BOUNDED]
        is_bounded = (self.n_smoothed[ix] >= _N_UNBOUNDED)[:, None] & (bound > 0)
        bound = np.where(is_bounded, bound, np.inf)
        few = surprise[:, :_N_BOUNDED]
        few.clip(-bound, bound, out=few)
        level = location + _LEVEL_GAINS * surprise
        trend = _DAMPINGS * trend + _BOTH_GAINS * surprise
        self.level[ix], self.trend[ix] = level, trend
        following = level + _DAMPINGS * trend
        chosen: F64 = following[np.arange(len(value)), error.argmin(axis=1)]
        return chosen

    def forget_levels(self, slots: I64) -> None:
        """Start anew at the next value; the errors stay."""
        self.level[slots] = np.nan
        self.trend[slots] = 0.0


@dataclass
class Seasonal(SlotArrays):
    """What came one season ago, in three forms side by side; the one recently best speaks.

    The forms: the season itself, the season shifted by its recent offset, and the last value with the
    season's own change added.

    Attributes:
        n_seasonal: Errors taken in, int32, shape (S,).
        form_location: Forecast of each form, NaN while no season is known, sensor's unit, shape (S, 3).
        form_error: Recent mean absolute error of each form, sensor's unit, shape (S, 3).
        offset: Recent mean of value over season, NaN until known, sensor's unit, shape (S,).
    """

    n_seasonal: I32 = column(np.int32)
    form_location: F64 = column(np.float64, "forms", fill=np.nan)
    form_error: F64 = column(np.float64, "forms")
    offset: F64 = column(np.float64, fill=np.nan)

    def learn_seasonal(self, ix: Slots, value: F64, most: F64) -> None:
        """Take in how well the forms foretold; arguments as ``learn_smoothing``."""
        size = value[:, None] - self.form_location[ix]
        np.minimum(np.abs(size, out=size), most[:, None], out=size)
        self.form_error[ix] = faded(self.form_error[ix], size, self.n_seasonal[ix], _FORM_GAIN)
        self.n_seasonal[ix] += ~np.isnan(size[:, 0])

    def repeat_season(self, ix: Slots, value: F64, season_now: F64, season_next: F64) -> F64:
        """Foretell from the season before.

        Args:
            ix: Streams.
            value: Readings, sensor's unit, shape (A,).
            season_now: One season before them, NaN where unknown, shape (A,).
            season_next: One season before the next readings, NaN where unknown, shape (A,).

        Returns:
            The next forecasts, NaN where no season is known, shape (A,).
        """
        above = value - season_now
        offset = self.offset[ix]
        moved = np.where(np.isnan(offset), above, offset + _OFFSET_GAIN * (above - offset))
        offset = np.where(np.isnan(above), offset, moved)
        self.offset[ix] = offset
        location = np.empty((len(value), N_FORMS))
        location[:, 0] = season_next
        np.add(season_next, offset, out=location[:, 1])
        np.add(season_next, above, out=location[:, 2])
        missing = np.isnan(location)
        if missing.any():
            location[missing.any(axis=1)] = np.nan
        self.form_location[ix] = location
        chosen: F64 = location[np.arange(len(value)), self.form_error[ix].argmin(axis=1)]
        return chosen

    def forget_season(self, slots: I64) -> None:
        """Drop the forecasts under way and the offset; the errors stay."""
        self.form_location[slots] = np.nan
        self.offset[slots] = np.nan
