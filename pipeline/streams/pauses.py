"""How long each stream's pauses are, and how long one may be before it is no accident.

The lengths of a stream's pauses are counted in bins of a quarter of an octave. The tail of that count, continued as a
power law, says which pause comes by itself less than once in ``false_verdict_days``: a few of its intervals
for a stream that reports regularly, much more for one that reports changes. Pure: no clock.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.health_settings import HealthSettings
from pipeline.core.records import F64, I64, U16

#: Bins of pauses: from so many seconds on, so many to an octave; the last holds what is longer (24 days).
SHORTEST_S, N_TO_OCTAVE, N_BINS = 0.125, 4, 96
#: Pauses of a stream before it is judged; irregular ones must have been watched for so long, too, seconds.
N_LEARNT, WATCHED_S = 32, 86_400.0
#: A stream's limits are drawn anew at every eighth pause, and whenever one was beyond them.
LEARN_EVERY = 8
#: Pauses counted at most; then all counts are halved, so that what was long ago is forgotten.
N_COUNTED = 2048
#: Smallest limit, in usual pauses.
N_USUAL = 4.0
#: Pauses that statistics do not allow are a habit (nights, weekends) once so many were within so long, seconds.
N_HABIT, N_RESTS, HABIT_S = 3, 4, 30 * 86_400.0
#: A habit may last so much longer than it ever did.
HABIT_FACTOR = 1.5
#: Dimensions of the arrays: ``Pauses.empty(n_streams, **DIMENSIONS)``.
DIMENSIONS = {"bins": N_BINS, "rests": N_RESTS}

_IRREGULAR = 2.5  # of the 95th centile of pauses over the median
_N_TAIL, _TAIL = 8, 0.02  # the tail is so many of the longest pauses at least, or this share
_STEEPEST = 0.125  # octaves by which a pause half as frequent is longer, at least: some readings are lost
_DAY_S = 86_400.0
_EDGES = SHORTEST_S * 2.0 ** (np.arange(N_BINS) / N_TO_OCTAVE)
_CENTRES = _EDGES * 2.0 ** (0.5 / N_TO_OCTAVE)


@dataclass
class Pauses(SlotArrays):
    """Pauses of every stream.

    Attributes:
        first: When it was first heard, seconds of listening, NaN for never, shape (S,).
        last: When it was last heard, shape (S,).
        fair: Longest pause that its statistics allow, seconds; infinite until it is known, shape (S,).
        limit: Longest pause that is no verdict, habits included, shape (S,).
        counts: Pauses by length, uint16, shape (S, bins).
        rest_s: Lengths of the newest pauses beyond ``fair``, NaN for none, shape (S, rests).
        rest_at: When they ended, seconds of listening, shape (S, rests).
    """

    first: F64 = column(np.float64, fill=np.nan)
    last: F64 = column(np.float64, fill=np.nan)
    fair: F64 = column(np.float64, fill=np.inf)
    limit: F64 = column(np.float64, fill=np.inf)
    counts: U16 = column(np.uint16, "bins")
    rest_s: F64 = column(np.float64, "rests", fill=np.nan)
    rest_at: F64 = column(np.float64, "rests", fill=np.nan)

    def hear(self, slots: I64, listened_s: float, settings: HealthSettings) -> None:
        """Note that streams were heard, each once in ``slots``, and learn from the pauses before."""
        if not len(slots):
            return
        pause = listened_s - self.last[slots]
        is_known = np.isfinite(pause)
        self.first[slots[~is_known]] = listened_s
        self.last[slots] = listened_s
        with np.errstate(invalid="ignore"):
            is_rest = pause > self.fair[slots]
        self._count(slots[is_known & ~is_rest], pause[is_known & ~is_rest])
        at = slots[is_rest]
        for kept, newest in ((self.rest_s, pause[is_rest]), (self.rest_at, listened_s)):
            kept[at] = np.roll(kept[at], 1, axis=1)
            kept[at, 0] = newest
        n = self.counts[slots].sum(axis=1, dtype=np.int64)
        self._learn(slots[is_rest | ((n >= N_LEARNT) & (n % LEARN_EVERY == 0))], listened_s, settings)

    def usual_s(self, slots: I64) -> F64:
        """Return the median of the pauses, seconds, shape (A,)."""
        return _quantile(self.counts[slots].astype(np.float64), 0.5)

    def _count(self, slots: I64, pause: F64) -> None:
        octaves = np.log2(np.maximum(pause, SHORTEST_S) / SHORTEST_S)
        self.counts[slots, np.minimum((N_TO_OCTAVE * octaves).astype(np.int64), N_BINS - 1)] += 1
        full = slots[self.counts[slots].sum(axis=1) > N_COUNTED]
        self.counts[full] >>= 1

    def _learn(self, slots: I64, listened_s: float, settings: HealthSettings) -> None:
        counts = self.counts[slots].astype(np.float64)
        is_irregular = _quantile(counts, 0.95) > _IRREGULAR * _quantile(counts, 0.5)
        is_judged = (counts.sum(axis=1) >= N_LEARNT) & (~is_irregular | (listened_s - self.first[slots] >= WATCHED_S))
        fair = np.maximum(_fair(counts, settings.false_verdict_days * _DAY_S), settings.silent_s)
        self.fair[slots] = fair = np.where(is_judged, fair, np.inf)
        with np.errstate(invalid="ignore"):
            is_recent = self.rest_at[slots] > listened_s - HABIT_S
        longest = np.where(is_recent, self.rest_s[slots], 0.0).max(axis=1)
        is_habit = is_recent.sum(axis=1) >= N_HABIT
        self.limit[slots] = np.maximum(fair, np.where(is_habit, HABIT_FACTOR * longest, 0.0))


def _quantile(counts: F64, share: float) -> F64:
    """Return the pause that a share of the pauses does not exceed, to the width of a bin, shape (A,)."""
    below = np.cumsum(counts, axis=1)
    found: F64 = _CENTRES[np.argmax(below >= share * below[:, -1:], axis=1)]
    return found


def _fair(counts: F64, once_in_s: float) -> F64:
    """Return the pause that comes by itself about once in ``once_in_s``, shape (A,)."""
    n = np.maximum(counts.sum(axis=1), 1.0)
    beyond = np.cumsum(counts[:, ::-1], axis=1)[:, ::-1]  # pauses in this bin or a later one
    n_tail = np.minimum(np.maximum(_N_TAIL, _TAIL * n), n)
    tail, halfway = _octave(counts, beyond, n_tail), _octave(counts, beyond, n_tail / 2.0)
    # Of the tail the median, not the mean: a single outage must not make a stream's limit long.
    steepness = np.maximum(halfway - tail, _STEEPEST)
    mean_s = (counts * _CENTRES).sum(axis=1) / n
    rarity = np.maximum((n_tail / n) * once_in_s / np.maximum(mean_s, SHORTEST_S), 1.0)
    found: F64 = np.maximum(SHORTEST_S * 2.0**tail * rarity**steepness, N_USUAL * _quantile(counts, 0.5))
    return found


def _octave(counts: F64, beyond: F64, n: F64) -> F64:
    """Return the pause that so many pauses exceed, in octaves over the shortest, shape (A,)."""
    rows, at = np.arange(len(counts)), N_BINS - 1 - np.argmax((beyond >= n[:, None])[:, ::-1], axis=1)
    found: F64 = (at + (beyond[rows, at] - n) / np.maximum(counts[rows, at], 1.0)) / N_TO_OCTAVE
    return found
