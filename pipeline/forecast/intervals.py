"""Interval widths that hold what they promise, whatever the distribution of the residuals.

Residuals and scales come in, half-widths at 50, 90 and 99 % go out, in the sensor's unit. Refuses to know
who foretold and how.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, I64, Slots

#: Share of readings that shall fall inside.
LEVELS = (0.5, 0.9, 0.99)
N_LEVELS = len(LEVELS)
_ALLOWED = 1 - np.array(LEVELS, np.float32)
_START = np.log(np.array([0.7407, 2.1318, 4.6041], np.float32))  # quantiles of Student's t, 4 degrees of freedom
_STEPS = np.array([0.05, 0.1, 0.2], np.float32)
_MOST = np.float32(7.0)  # of the logarithm: a factor of 1100 either way
_LEAST = 1e-30  # its logarithm is below every bound, and float32 holds it and its inverse


@cache
def _rows(n_forecasters: int) -> tuple[F32, F32, F32]:
    """Return start, allowed share and step of every width, forecaster after forecaster, shape (F * 3,)."""
    return np.tile(_START, n_forecasters), np.tile(_ALLOWED, n_forecasters), np.tile(_STEPS, n_forecasters)


@dataclass
class Intervals(SlotArrays):
    """One multiplier of the scale per forecaster and level, tracked so that the share of misses is right.

    ``log m += step * (missed - allowed share)``: quantile tracking in the spirit of adaptive conformal inference
    (Gibbs & Candes 2021; Angelopoulos, Candes & Tibshirani 2023), in the logarithm, so that it is free of units and
    never negative. Over n readings the share of misses is within ``14 / (step * n)`` of the allowed one as long as m
    meets no bound.

    Attributes:
        widening: log m minus its start, forecaster after forecaster, float32, shape (S, F * 3).
    """

    widening: F32 = column(np.float32, "widths")

    def half_widths(self, ix: Slots, who: I64, scale: F64) -> F64:
        """Return half-widths of one forecaster per stream, growing with the level.

        Args:
            ix: Streams.
            who: Forecaster of each, shape (A,).
            scale: Its scale, sensor's unit, NaN where there is none, shape (A,).

        Returns:
            Sensor's unit, shape (A, 3).
        """
        widening = self.widening[ix].reshape(len(who), -1, N_LEVELS)[np.arange(len(who)), who]
        multipliers = np.exp((widening + _START).astype(np.float64))
        np.maximum.accumulate(multipliers, axis=1, out=multipliers)
        widths: F64 = scale[:, None] * multipliers
        return widths

    def learn_coverage(self, ix: Slots, size: F64, scale: F64) -> None:
        """Widen after a miss, narrow a little after a hit.

        Args:
            ix: Streams.
            size: Absolute residuals, sensor's unit, NaN where nothing is to be learnt, shape (A, F).
            scale: Scales that were given with the forecasts, NaN for none, shape (A, F).
        """
        with np.errstate(all="ignore"):  # 0 / 0 is a hit, x / 0 a miss
            ratio = size / scale
        far = np.log(ratio.clip(_LEAST, 1 / _LEAST, out=ratio).astype(np.float32))
        start, allowed, steps = _rows(size.shape[1])
        widening = self.widening[ix]
        move = (np.repeat(far, N_LEVELS, axis=1) > widening + start) - allowed
        move *= steps
        missing = np.isnan(size + scale)
        if missing.any():
            move *= np.repeat(~missing, N_LEVELS, axis=1)
        move += widening
        self.widening[ix] = move.clip(-_MOST, _MOST, out=move)
