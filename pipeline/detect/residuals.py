"""From what was foretold and what came: residuals on two yardsticks, with effect-size floors.

Both yardsticks have a vote: the scale that the network foretold for this moment, and the stream's
spread. A network that is wrongly sure of a moment (a pump that switches one reading early) makes a
residual huge by the first while it is everyday by the second. One view needs no network: how far the
level is from where the stream has been, which a slow ramp cannot talk out of it by being foretold.
"""

import numpy as np

from pipeline.core.records import F64

#: The foretold scale, and the spread of the stream.
N_YARDSTICKS = 2
#: Views made here, beside those of the forecasts: the level against the past.
N_LEVEL_VIEWS = 1
#: Smallest residual that counts, as a share of the stream's spread.
FLOOR_OF_SPREAD = 0.02
#: Smallest residual of log-activity that counts: about a tenth more or less.
FLOOR_OF_ACTIVITY = 0.1


def residuals(realised: F64, location: F64, scale: F64, spread: F64, activity: int) -> F64:
    """Return ``(realised - location)`` over the foretold scale, then over the spread, per target.

    A floor under the foretold scale keeps a network that has become very sure of a quiet stream from calling trifles
    surprising (DETECTION.md 2.2).

    Args:
        realised: What has come, shape (A, C).
        location: What was foretold, same units, shape (A, C).
        scale: Foretold scale, same units, shape (A, C).
        spread: Spread of the stream, sensor's unit, shape (A,).
        activity: Index of the target that is in log units.

    Returns:
        Signed, dimensionless, shape (A, 2, C): yardstick, target. Log-activity is its own second
        yardstick. NaN where the forecast or its scale is missing.
    """
    floored = scale + FLOOR_OF_SPREAD * spread[:, None]
    floored[:, activity] = scale[:, activity] + FLOOR_OF_ACTIVITY
    everyday = np.repeat(spread[:, None], scale.shape[1], axis=1)
    everyday[:, activity] = 1.0
    residual = np.where(np.isnan(scale), np.nan, realised - location)
    return np.stack((residual / floored, residual / everyday), axis=1)


def with_level(found: F64, level: F64, location: F64, spread: F64) -> F64:
    """Append the view of the level against the past: ``(level - location) / spread`` on both yardsticks.

    Args:
        found: From ``residuals``, shape (A, 2, C).
        level: Mean of the newest readings, sensor's unit, shape (A,).
        location: Running location of the stream before them, sensor's unit, shape (A,).
        spread: Spread of the stream, sensor's unit, shape (A,).

    Returns:
        Shape (A, 2, C + 1); the new view is NaN where the first one is.

    Example:
        >>> with_level(np.zeros((1, 2, 4)), np.array([26.0]), np.array([20.0]), np.array([2.0]))[0, :, 4].tolist()
        [3.0, 3.0]
    """
    shift = (level - location) / spread
    view = np.where(np.isnan(found[:, :, 0]), np.nan, shift[:, None])
    return np.concatenate((found, view[:, :, None]), axis=2)


def level_name(n_readings: int) -> str:
    """Say in plain words what a surprising level means."""
    return f"the level of the last {n_readings} readings is unlike this stream's past"
