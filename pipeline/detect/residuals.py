"""From what was foretold and what came: residuals on two yardsticks, with effect-size floors.

A residual is surprising only if it is rare on both: against the scale that the network foretold for
this moment, and against the stream's spread. A network that is wrongly sure of a moment (a pump that
switches one reading early) makes the first huge while the second is everyday.
"""

import numpy as np

from pipeline.core.records import F64

#: The foretold scale, and the spread of the stream.
N_YARDSTICKS = 2
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
    residual = realised - location
    return np.stack((residual / floored, residual / everyday + 0 * floored), axis=1)
