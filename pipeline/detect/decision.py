"""The decision: which surprising readings are an alert of their own, and which belong to one already given.

Comes in: scores, alert levels and times. Goes out: alerts. Nothing that the detector has learnt is touched, so scores
that were kept can be decided on anew under another budget (``alerts_of``).

After an alert a stream rests: for a share of the time it has been watched, within bounds counted in its usual
intervals. In the first part of the rest nothing but the peak is kept; in the last third a reading must be a hundred
times rarer than the peak. Then any reading at the level is an alert again (in DETECTION.md 2.5 a half, ten times,
counted in readings; on NAB these find as much, and less that is nothing).
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I64, Bool, Slots
from pipeline.core.settings import DetectionSettings

_RARER = 2.0  # decades beyond the peak that end a rest early
_SILENT = 0.7  # of the rest in which nothing ends it, ...
_SILENT_AT_LEAST = 0.25  # ... of the shortest rest this much


@dataclass
class Decision(SlotArrays):
    """What was last alerted on.

    Attributes:
        watched_s: Event time of the first reading, Unix seconds, NaN for none, shape (S,).
        alerted_s: Event time of the last alert, Unix seconds, NaN for none, shape (S,).
        peak: Largest margin of score over level at that alert and in the silence after it, decades, shape (S,).
    """

    watched_s: F64 = column(np.float64, fill=np.nan)
    alerted_s: F64 = column(np.float64, fill=np.nan)
    peak: F64 = column(np.float64)

    def step(self, ix: Slots, seen: "Scores", settings: DetectionSettings) -> Bool:
        """Decide on one reading per stream.

        Args:
            ix: Streams.
            seen: Scores, levels and times of A readings.
            settings: Rests.

        Returns:
            Which are an alert, shape (A,).
        """
        first = self.watched_s[ix]
        if np.isnan(first).any():
            self.watched_s[ix] = first = np.where(np.isnan(first), seen.time, first)
        with np.errstate(invalid="ignore"):
            is_candidate = seen.score >= seen.level
        if not is_candidate.any():
            return is_candidate
        margin = np.where(is_candidate, seen.score - seen.level, -np.inf)
        shortest, longest = settings.n_rest * seen.step_s, settings.n_rest_most * seen.step_s
        share = settings.rest_share * (seen.time - first)
        rest = np.clip(share, shortest, longest)
        silence = np.clip(_SILENT * share, _SILENT_AT_LEAST * shortest, _SILENT * longest)
        last, peak = self.alerted_s[ix], self.peak[ix]
        since = np.where(np.isnan(last), np.inf, seen.time - last)
        is_silent = since < silence
        is_alert = is_candidate & ~is_silent & ((since >= rest) | (margin >= peak + _RARER))
        self.peak[ix] = np.where(is_alert | (is_silent & (margin > peak)), margin, peak)
        self.alerted_s[ix] = np.where(is_alert, seen.time, last)
        return is_alert


@dataclass(frozen=True, slots=True)
class Scores:
    """One reading per stream, shape (A,) each.

    Attributes:
        time: Event time, Unix seconds.
        score: Score, NaN for none.
        level: Alert level.
        step_s: Usual seconds between readings; 0 where that is not known yet.
    """

    time: F64
    score: F64
    level: F64
    step_s: F64


def alerts_of(stream: I64, scores: Scores, settings: DetectionSettings) -> Bool:
    """Decide on scores that were kept, each stream's in order of time.

    Args:
        stream: Stream of each reading, numbered from 0, shape (N,).
        scores: Of the readings, shape (N,) each.
        settings: Rests.

    Returns:
        Which are an alert, shape (N,).
    """
    order = np.argsort(stream, kind="stable")
    ordered = stream[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1))
    number = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    decision = Decision.empty(int(stream.max(initial=-1)) + 1)
    found = np.zeros(len(stream), np.bool_)
    ticks = (
        np.split(order[np.argsort(number, kind="stable")], np.cumsum(np.bincount(number))[:-1]) if len(order) else []
    )
    for rows in ticks:
        part = Scores(scores.time[rows], scores.score[rows], scores.level[rows], scores.step_s[rows])
        found[rows] = decision.step(stream[rows], part, settings)
    return found
