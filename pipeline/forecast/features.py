"""What the network sees at each reading: value and change, the calendar, the interval, the outlook, context.

All are causal: they use the reading itself and earlier ones, and scales fixed earlier.
"""

import numpy as np

from pipeline.core.records import F32, F64

#: value, change, sine and cosine of the time of day and of the week, interval over usual interval;
#: of one season before the NEXT reading: value, high and low around it, change, and whether they are known;
#: how far smoothing and autoregression foretell the next reading away from this one
N_FEATURES = 14
#: What is known of the next reading beforehand, in order.
SEASON, SEASON_HIGH, SEASON_LOW, SEASON_BEFORE, SMOOTHING, AUTOREGRESSION = range(6)
N_OUTLOOK = 6
_DAY_S = 86400.0
_WEEK_S = 7 * _DAY_S
_MONDAY_S = 4 * _DAY_S  # 1970-01-01 was a Thursday
Z_BOUND = 12.0


def squash(value: F64, location: F64, spread: F64) -> F64:
    """Return ``asinh((value - location) / spread)``: linear near the middle, logarithmic far out."""
    z: F64 = (value - location) / spread
    np.arcsinh(z, out=z)
    z.clip(-Z_BOUND, Z_BOUND, out=z)
    return z


def unsquash(z: F64, location: F64, spread: F64) -> F64:
    """Return the value, in the sensor's unit, that ``squash`` maps to ``z``."""
    found: F64 = location + spread * np.sinh(z.clip(-Z_BOUND, Z_BOUND))
    return found


def features(z: F64, change: F64, time: F64, interval_ratio: F64, outlook: F64, context: F32) -> F32:
    """Assemble the network's input.

    Args:
        z: Squashed values, any shape (...).
        change: Difference to the previous squashed value, 0 where there is none.
        time: Event times, Unix seconds.
        interval_ratio: Seconds since the previous reading over the usual interval, 1 where unknown.
        outlook: Squashed: value one season before the next reading, high and low around it, value one season
            before this reading, and what two baselines foretell; NaN where unknown, shape (..., 6).
        context: Scaled values of other streams, shape (..., K).

    Returns:
        float32, shape (..., 14 + K).

    Example:
        >>> day, unknown = np.array([21600.0]), np.full((1, 6), np.nan)
        >>> x = features(np.zeros(1), np.zeros(1), day, np.ones(1), unknown, np.ones((1, 1), np.float32))
        >>> x[0, 2:4].round(3).tolist(), x.shape
        ([1.0, 0.0], (1, 15))
    """
    out = np.empty((*z.shape, N_FEATURES + context.shape[-1]), np.float32)
    day = time * (2 * np.pi / _DAY_S)
    week = (time - _MONDAY_S) * (2 * np.pi / _WEEK_S)
    out[..., 0] = z
    out[..., 1] = change
    out[..., 2] = np.sin(day)
    out[..., 3] = np.cos(day)
    out[..., 4] = np.sin(week)
    out[..., 5] = np.cos(week)
    out[..., 6] = np.log(np.maximum(interval_ratio, 1e-3)).clip(-3, 3)
    out[..., 7:10] = outlook[..., :SEASON_BEFORE]
    out[..., 10] = outlook[..., SEASON] - outlook[..., SEASON_BEFORE]
    out[..., 12] = outlook[..., SMOOTHING] - z
    out[..., 13] = outlook[..., AUTOREGRESSION] - z
    out[..., 11] = ~np.isnan(outlook[..., SEASON])
    missing = ~np.isfinite(out[..., :N_FEATURES])
    if missing.any():
        np.nan_to_num(out[..., :N_FEATURES], copy=False, nan=0.0)
    if context.shape[-1]:
        out[..., N_FEATURES:] = context
    return out
