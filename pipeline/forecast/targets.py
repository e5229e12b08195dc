"""What the network foretells: the next reading, two mean levels and the activity to come.

Horizon-long targets are there because slow faults are invisible to the one-step residual of a
good adaptive forecaster (DETECTION.md 3: the 32-reading residual was the biggest single gain).
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64

NEXT, SHORT, LONG, ACTIVITY = range(4)
N_TARGETS = 4
_ACTIVITY_FLOOR = 0.01


@dataclass(frozen=True, slots=True)
class Horizons:
    """How many readings each target covers.

    Attributes:
        short: Readings of the short mean.
        long: Readings of the long mean and of the activity.
    """

    short: int
    long: int

    @property
    def lengths(self) -> tuple[int, int, int, int]:
        """Readings covered by next, short mean, long mean and activity."""
        return (1, self.short, self.long, self.long)

    def names(self) -> tuple[str, str, str, str]:
        """Say in plain words what a surprising residual of each target means."""
        return (
            "the next reading was not as foretold",
            f"the level of the last {self.short} readings was not as foretold",
            f"the level of the last {self.long} readings was not as foretold",
            f"the activity of the last {self.long} readings was not as foretold",
        )


def log_activity(mean_change: F64, spread: F64) -> F64:
    """Return ``log(mean |change| + 1 % of spread)``: finite for a flat line of any spread above 0."""
    with np.errstate(divide="ignore"):
        return np.log(mean_change + _ACTIVITY_FLOOR * spread)


def realised(recent: F64, spread: F64, horizons: Horizons) -> F64:
    """Return what has become of the four targets with the newest reading.

    Args:
        recent: Newest ``long + 1`` values, oldest first, sensor's unit, shape (A, long + 1).
        spread: Spread of the stream, sensor's unit, shape (A,).
        horizons: Lengths.

    Returns:
        Next, short mean, long mean in the sensor's unit, and log-activity; shape (A, 4).
    """
    out = np.empty((len(recent), N_TARGETS))
    out[:, NEXT] = recent[:, -1]
    change = recent[:, 1:] - recent[:, :-1]
    np.add.reduce(recent[:, -horizons.short :], axis=1, out=out[:, SHORT])
    np.add.reduce(recent[:, 1:], axis=1, out=out[:, LONG])
    np.add.reduce(np.abs(change, out=change), axis=1, out=out[:, ACTIVITY])
    out[:, SHORT:] /= horizons.lengths[SHORT:]
    out[:, ACTIVITY] = log_activity(out[:, ACTIVITY], spread)
    return out
