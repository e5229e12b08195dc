"""From what was foretold and what came: standardised residuals with effect-size floors."""

from pipeline.core.records import F64

#: Smallest residual that counts, as a share of the stream's spread.
FLOOR_OF_SPREAD = 0.02
#: Smallest residual of log-activity that counts: about a tenth more or less.
FLOOR_OF_ACTIVITY = 0.1


def standardised(realised: F64, location: F64, scale: F64, spread: F64, activity: int) -> F64:
    """Return ``(realised - location) / (scale + floor)`` per target.

    The floor keeps a network that has become very sure of a quiet stream from calling trifles
    surprising (DETECTION.md 2.2).

    Args:
        realised: What has come, shape (A, C).
        location: What was foretold, same units, shape (A, C).
        scale: Foretold scale, same units, shape (A, C).
        spread: Spread of the stream, sensor's unit, shape (A,).
        activity: Index of the target that is in log units.

    Returns:
        Signed, dimensionless, shape (A, C).
    """
    floored = scale + FLOOR_OF_SPREAD * spread[:, None]
    floored[:, activity] = scale[:, activity] + FLOOR_OF_ACTIVITY
    return (realised - location) / floored
