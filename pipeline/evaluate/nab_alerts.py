"""From scores to alerts, at any level: the decision that NAB's figures are made with.

Comes in: scored files and an alert level. Goes out: the rows at which an alert is raised. No network is asked
again: levels are tried on scores that are already there. Refuses to know labels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F32, F64, I64, Bool
from pipeline.core.settings import DetectionSettings
from pipeline.detect.decision import Scores, alerts_of

#: Intervals at the start of a file of which the median is its usual interval.
N_INTERVALS = 50


@dataclass(frozen=True, slots=True)
class Scored:
    """A file after the engine went over it: a row per reading in file order, shape (N,) each.

    Attributes:
        time: Event time, Unix seconds.
        value: Sensor's unit.
        score: -log10 of a tail probability; NaN while warming up, and for what the gate refused.
        is_accepted: The gate let it in.
        is_opening: The engine itself opened an episode here, at its own alert level.
        views: Decades of every view, NaN where there is no score, shape (N, 8); None unless they were asked for.
    """

    time: F64
    value: F64
    score: F64
    is_accepted: Bool
    is_opening: Bool
    views: F32 | None = None


#: Raise alerts on files at a level: one mask per file.
Decide = Callable[[Sequence[Scored], float], list[Bool]]


def raise_alerts(files: Sequence[Scored], level: float, settings: DetectionSettings | None = None) -> list[Bool]:
    """Decide on files at a level, with the engine's own rests between alerts.

    Args:
        files: Scored files.
        level: Alert level, as the scores.
        settings: Rests; None for the defaults.

    Returns:
        The rows with an alert, one mask per file.
    """
    alerts = [np.zeros(len(file.score), np.bool_) for file in files]
    rows = [_candidates(file, level) for file in files]
    counts = [len(each) for each in rows]
    pairs = list(zip(files, rows, strict=True))
    scores = Scores(
        time=np.concatenate([file.time[each] for file, each in pairs]),
        score=np.concatenate([file.score[each] for file, each in pairs]),
        level=np.full(sum(counts), level),
        step_s=np.repeat([usual_interval(file) for file in files], counts),
    )
    decided = alerts_of(np.repeat(np.arange(len(files)), counts), scores, settings or DetectionSettings())
    for mask, each, found in zip(alerts, rows, np.split(decided, np.cumsum(counts)[:-1]), strict=True):
        mask[each] = found
    return alerts


def _candidates(file: Scored, level: float) -> I64:
    """Return the rows that could be an alert, and the first, since which the file has been watched."""
    with np.errstate(invalid="ignore"):
        is_candidate = file.score >= level
    is_candidate[np.flatnonzero(file.is_accepted)[:1]] = True
    return np.flatnonzero(is_candidate)


def usual_interval(file: Scored) -> float:
    """Return the seconds between the first readings of a file, their median; 0 for a single reading."""
    first = file.time[file.is_accepted][: N_INTERVALS + 1]
    return float(np.median(np.diff(first))) if len(first) > 1 else 0.0
