"""A recorded stream as a series that faults can be planted in: what it is made of is estimated from itself.

Comes in: times and values of one stream. Goes out: the same as a series, with its daily cycle if it has one, its
resolution and, of a counter, what it counts. Refuses to know faults and detectors.
"""

import numpy as np

from pipeline.core.records import F64
from pipeline.evaluate.battery_signals import Series

_DAY_S = 86_400.0
_N_BINS = 96  # of a day's profile: a quarter of an hour each
_MIN_DAYS = 3.0
_MIN_EXPLAINED = 0.3  # share of the variance, of days that did not make the profile
_GRID_ERROR = 1e-3  # of a resolution: values on a grid as they are read from text
_RISING_SHARE, _RESET_SHARE = 0.25, 0.5


def recorded_series(time: F64, value: F64) -> Series:
    """Return a recorded stream as a series; its ``sd`` and ``noise`` are not known yet, and NaN.

    Late, repeated and non-finite readings are left out, and of a counter its resets.

    Args:
        time: Event times, Unix seconds, in any order, shape (N,).
        value: Values, sensor's unit, shape (N,).

    Example:
        >>> series = recorded_series(60.0 * np.arange(400), np.cumsum(np.arange(400) % 3))
        >>> series.register, series.truth[:6].tolist()
        (0.0, [0.0, 1.0, 2.0, 0.0, 1.0, 2.0])
    """
    good = np.flatnonzero(np.isfinite(time) & np.isfinite(value))
    time, first = np.unique(time[good], return_index=True)
    value = value[good][first].astype(np.float64)
    is_counter = _is_counter(value)
    truth = np.maximum(np.diff(value, prepend=value[:1]), 0.0) if is_counter else value
    return Series(
        kind="recording",
        time=time,
        truth=truth,
        cycle=_daily_cycle(time, truth),
        sd=np.nan,
        noise=np.nan,
        resolution=_resolution(value),
        deadband=0.0,
        register=float(value[0]) if is_counter else np.nan,
        missing=np.zeros(len(time), np.bool_),
    )


def _is_counter(value: F64) -> bool:
    """Say whether values only ever rise, resets apart, and do so often."""
    change = np.diff(value)
    falls = np.flatnonzero(change < 0)
    is_reset = (value[falls + 1] >= 0) & (value[falls + 1] < _RESET_SHARE * value[falls])
    return bool(is_reset.all() and len(change) and np.mean(change > 0) > _RISING_SHARE)


def _resolution(value: F64) -> float:
    """Return the grid that all values lie on, 0 where there is none that rounding would keep."""
    levels = np.unique(value)
    steps = np.diff(levels)
    if not len(steps) or len(levels) > len(value) / 2:
        return 0.0
    grid = float(steps.min())
    off = np.abs(levels / grid - np.round(levels / grid))
    return grid if bool((off < _GRID_ERROR).all()) else 0.0


def _daily_cycle(time: F64, truth: F64) -> F64:
    """Return the part of the values that the time of day explains, zeros where that is little or not known.

    A profile of every other day must explain the days between.
    """
    none = np.zeros(len(time))
    if len(time) < _N_BINS or time[-1] - time[0] < _MIN_DAYS * _DAY_S or not np.ptp(truth):
        return none
    is_even = (time // _DAY_S).astype(np.int64) % 2 == 0
    profile, other = _profile(time[is_even], truth[is_even]), ~is_even
    rest = truth[other] - truth[other].mean() - _at(profile, time[other])
    if not len(rest) or np.var(rest) > (1 - _MIN_EXPLAINED) * np.var(truth[other]):
        return none
    return _at(_profile(time, truth), time)


def _profile(time: F64, truth: F64) -> F64:
    """Return the mean of each part of the day less that of all, shape (96,); parts without readings follow others."""
    part = (time % _DAY_S / _DAY_S * _N_BINS).astype(np.int64)
    n = np.bincount(part, minlength=_N_BINS)
    known = np.flatnonzero(n)
    mean = np.bincount(part, truth - truth.mean(), minlength=_N_BINS)[known] / n[known]
    profile: F64 = np.interp(np.arange(_N_BINS), known, mean, period=_N_BINS)
    return profile


def _at(profile: F64, time: F64) -> F64:
    """Return a profile at times, between the middles of its parts."""
    place = time % _DAY_S / _DAY_S * _N_BINS - 0.5
    found: F64 = np.interp(place, np.arange(_N_BINS), profile, period=_N_BINS)
    return found
