"""Detection judged by events: which labelled stretches were met, how late, and how many alerts met none.

Comes in: predicted and labelled stretches, each as its first and last moment in one unit, readings or seconds. Goes
out: counts, and what follows from them. A labelled stretch that any prediction overlaps is found, once; a prediction
that overlaps no label is one false alarm, however long it is (Hundman et al., "Detecting spacecraft anomalies using
LSTMs and nonparametric dynamic thresholding", KDD 2018). Nothing is adjusted point by point: that flatters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Self

import numpy as np

from pipeline.core.records import F64, Bool

_DAY_S = 86400.0

#: First and last moment of a stretch, both inside it.
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class EventCounts:
    """How predictions met labels.

    Attributes:
        n_labels: Labelled stretches.
        n_found: Those that a prediction overlaps.
        n_false: Predictions that overlap no label.
    """

    n_labels: int
    n_found: int
    n_false: int

    def __add__(self, other: Self) -> "EventCounts":
        """Count two sets of stretches together."""
        return EventCounts(self.n_labels + other.n_labels, self.n_found + other.n_found, self.n_false + other.n_false)

    @property
    def precision(self) -> float:
        """Found labels among found labels and false alarms; NaN where nothing was predicted."""
        n = self.n_found + self.n_false
        return self.n_found / n if n else nan

    @property
    def recall(self) -> float:
        """Found labels among all; NaN where there is none."""
        return self.n_found / self.n_labels if self.n_labels else nan

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN where nothing is labelled and nothing predicted.

        Example:
            >>> EventCounts(n_labels=4, n_found=3, n_false=1).f1
            0.75
        """
        n = self.n_labels + self.n_found + self.n_false
        return 2 * self.n_found / n if n else nan


def count_events(predicted: Sequence[Span], labelled: Sequence[Span]) -> EventCounts:
    """Count which labelled stretches were found, and which predictions were false alarms.

    Example:
        >>> count_events([(5, 12), (13, 14), (40, 50)], [(10, 20), (60, 70)])
        EventCounts(n_labels=2, n_found=1, n_false=1)
    """
    meets = _overlaps(predicted, labelled)
    return EventCounts(len(labelled), int(meets.any(axis=0).sum()), int((~meets.any(axis=1)).sum()))


def delays(predicted: Sequence[Span], labelled: Sequence[Span]) -> F64:
    """Return how long after its begin each labelled stretch was found, NaN for one that was not, shape (L,).

    A stretch that was predicted already when it began was found with delay 0.

    Example:
        >>> delays([(5, 12), (30, 31), (34, 35)], [(10, 20), (28, 40), (60, 70)]).tolist()
        [0.0, 2.0, nan]
    """
    meets = _overlaps(predicted, labelled)
    begins = np.array([[max(first - begin, 0.0) for begin, _ in labelled] for first, _ in predicted])
    if not meets.size:
        return np.full(len(labelled), np.nan)
    soonest = np.where(meets, begins, np.inf).min(axis=0)
    return np.where(np.isinf(soonest), np.nan, soonest)


def widened(spans: Sequence[Span], by: float, first: float, last: float, touching: float = 0.0) -> list[Span]:
    """Widen stretches on both sides, cut them to what there is, and join those that then overlap.

    Args:
        spans: Stretches, in any order.
        by: How far each end moves.
        first: Begin of what there is.
        last: End of what there is.
        touching: Stretches so far apart are still one: 1 for positions, which have nothing between them.

    Returns:
        Stretches in order, none overlapping; those wholly outside are left out.

    Example:
        >>> widened([(50, 52), (3, 5), (9, 9), (70, 80)], by=2, first=0, last=60, touching=1)
        [(1, 11), (48, 54)]
    """
    joined: list[Span] = []
    moved = [(max(start - by, first), min(end + by, last)) for start, end in sorted(spans)]
    for begin, end in (span for span in moved if span[0] <= span[1]):
        if joined and begin <= joined[-1][1] + touching:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((begin, end))
    return joined


def per_day(n_alerts: int, covered_s: float) -> float:
    """Return alerts per day of readings; NaN where there was no time.

    Example:
        >>> per_day(6, 2 * 86400.0)
        3.0
    """
    return n_alerts * _DAY_S / covered_s if covered_s > 0 else nan


def _overlaps(predicted: Sequence[Span], labelled: Sequence[Span]) -> Bool:
    """Say which predictions overlap which labels, shape (P, L)."""
    p = np.array(predicted, np.float64).reshape(-1, 2)
    q = np.array(labelled, np.float64).reshape(-1, 2)
    return (p[:, None, 0] <= q[None, :, 1]) & (p[:, None, 1] >= q[None, :, 0])
