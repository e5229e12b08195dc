"""The changepoint score of the Skoltech Anomaly Benchmark (SKAB): NAB's idea, with windows of 60 s after each change.

Comes in: times of changes and of alerts. Goes out: scores of three profiles, 0 for silence and 100 for alerts at the
very changes. As SKAB's own ``chp_score`` with ``window_width="60s"``, ``anomaly_window_destination="righter"`` and
otherwise its defaults: the first alert in a window counts, the more the sooner; every alert outside costs; a window
that another reaches into begins where that one ends. Refuses to know who raised the alerts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan, pi, tanh

import numpy as np

from pipeline.core.records import F64, Bool
from pipeline.evaluate.events import Span

WINDOW_S = 60.0
_N_STEPS = 1000  # SKAB looks the worth of an alert up in a table of so many places


@dataclass(frozen=True, slots=True)
class Weights:
    """What alerts are worth in a profile.

    Attributes:
        found: An alert at the very change.
        false: An alert outside, and one at the very end of a window.
        missed: A window without an alert.
    """

    found: float
    false: float
    missed: float


#: SKAB's profiles.
PROFILES: Mapping[str, Weights] = {
    "standard": Weights(found=1.0, false=-0.11, missed=-1.0),
    "low FP": Weights(found=1.0, false=-0.22, missed=-1.0),
    "low FN": Weights(found=1.0, false=-0.11, missed=-2.0),
}


def windows(changes: F64) -> list[Span]:
    """Return the window after each change, seconds.

    Example:
        >>> windows(np.array([100.0, 157.0, 400.0]))
        [(100.0, 160.0), (160.0, 217.0), (400.0, 460.0)]
    """
    found: list[Span] = []
    for change in changes.tolist():
        start = max(change, found[-1][1]) if found else change
        found.append((start, change + WINDOW_S))
    return found


def is_outside(alerts: F64, spans: Sequence[Span]) -> Bool:
    """Say which alerts are in no window; both ends of a window belong to it."""
    outside = np.ones(len(alerts), np.bool_)
    for first, last in spans:
        outside &= (alerts < first) | (alerts > last)
    return outside


def nab_scores(alerts: Sequence[F64], spans: Sequence[Sequence[Span]]) -> dict[str, float]:
    """Score the alerts of all recordings together.

    Args:
        alerts: Times of the alerts of each recording, ascending, seconds.
        spans: Windows of each recording.

    Returns:
        Score by profile; NaN where there is no window.
    """
    n_windows = sum(map(len, spans))
    scores = {}
    for name, weights in PROFILES.items():
        raw = sum(_raw(own, windows_, weights) for own, windows_ in zip(alerts, spans, strict=True))
        silent, perfect = n_windows * weights.missed, n_windows * weights.found
        scores[name] = 100 * (raw - silent) / (perfect - silent) if n_windows else nan
    return scores


def _raw(alerts: F64, spans: Sequence[Span], weights: Weights) -> float:
    """Return the sum of what the alerts of one recording are worth."""
    raw = weights.false * int(is_outside(alerts, spans).sum())
    for span in spans:
        inside = alerts[(alerts >= span[0]) & (alerts <= span[1])]
        raw += worth(float(inside[0]), span, weights) if len(inside) else weights.missed
    return raw


def worth(alert: float, span: Span, weights: Weights) -> float:
    """Return what the first alert in a window is worth.

    Example:
        >>> standard = PROFILES["standard"]
        >>> worth(100.0, (100.0, 160.0), standard), round(worth(160.0, (100.0, 160.0), standard), 9)
        (1.0, -0.11)
    """
    first, last = span
    place = min(int((alert - first) / (last - first) * _N_STEPS), _N_STEPS - 1)
    x = -pi / 2 + pi * place / (_N_STEPS - 1)
    half = (weights.found - weights.false) / 2
    return -half * tanh(x) / tanh(pi / 2) + half + weights.false
