"""From scores to alerts, at any level: the decision that NAB's figures are made with.

Comes in: scored files and an alert level. Goes out: the rows at which an alert is raised. No network is asked
again: levels are tried on scores that are already there. Refuses to know labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64, Bool

#: Readings of rest after an alert, and of silence: at least so many, or this share of the readings so far.
REST, REST_SHARE = 20, 0.04
HUSH, HUSH_SHARE = 5, 0.02
#: Readings so far count up to here: rest does not grow for ever.
MOST = 10_000


@dataclass(frozen=True, slots=True)
class Scored:
    """A file after the engine went over it: a row per reading in file order, shape (N,) each.

    Attributes:
        time: Event time, Unix seconds.
        value: Sensor's unit.
        score: -log10 of a tail probability; NaN while warming up, and for what the gate refused.
        is_accepted: The gate let it in.
        is_opening: The engine itself opened an episode here, at its own alert level.
    """

    time: F64
    value: F64
    score: F64
    is_accepted: Bool
    is_opening: Bool


#: Raise alerts on files at a level: one mask per file.
Decide = Callable[[Sequence[Scored], float], list[Bool]]


def raise_alerts(files: Sequence[Scored], level: float) -> list[Bool]:
    """Raise alerts where scores reach a level, with rest between them.

    After an alert there is silence, then for a while only a score ten times rarer than any since the alert raises
    the next one, then any at the level.

    Args:
        files: Scored files.
        level: Alert level, as the scores.

    Returns:
        The rows with an alert, one mask per file.
    """
    return [_one(file, level) for file in files]


def _one(file: Scored, level: float) -> Bool:
    """Raise the alerts of one file."""
    alerts = np.zeros(len(file.score), np.bool_)
    n_so_far = np.cumsum(file.is_accepted)
    last, peak = -np.inf, 0.0
    for row in np.flatnonzero(file.score >= level).tolist():
        t, score = int(n_so_far[row]), float(file.score[row])
        known = min(t, MOST)
        since = t - last
        if since < max(HUSH, HUSH_SHARE * known):
            peak = max(peak, score)
        elif since >= max(REST, REST_SHARE * known) or score >= peak + 1:
            alerts[row], last, peak = True, t, score
    return alerts
