"""VUS-PR: how well scores rank anomalous readings, without an alert level and without trusting labels to the reading.

Comes in: a score and a label per reading of one stream. Goes out: one number in [0, 1]. The area under the curve of
precision over recall is averaged over label buffers of 0 to L readings: within a buffer a reading is partly anomalous,
and recall counts how many labelled stretches were met at all. After Paparrizos, Boniol, Palpanas, Tsay, Elmore &
Franklin, "Volume under the surface: a new accuracy evaluation measure for time-series anomaly detection", PVLDB 15
(2022), 2774-2787. It is computed at 250 of the scores, as the authors' own code does.
"""

import numpy as np

from pipeline.core.records import F64, I64, Bool

_N_LEVELS = 250


def vus_pr(score: F64, is_anomalous: Bool, buffer: int) -> float:
    """Return the volume under the surface of precision, recall and label buffer.

    Args:
        score: Larger is stranger; NaN counts as the least strange, shape (N,).
        is_anomalous: Labels, shape (N,).
        buffer: Largest label buffer L, readings; half of it lies on each side.

    Returns:
        1 for a score that is as high as the softened labels; NaN where no reading or every reading is anomalous.

    Example:
        >>> labels = np.array([0, 0, 1, 1, 0, 0, 0, 0], bool)
        >>> vus_pr(labels.astype(float), labels, buffer=0)
        1.0
    """
    if is_anomalous.all() or not is_anomalous.any():
        return float("nan")
    known = np.where(np.isnan(score), -np.inf, score)
    order = np.argsort(-known, kind="stable")
    ranked = known[order]
    levels = ranked[np.linspace(0, len(ranked) - 1, _N_LEVELS).astype(np.int64)]
    n_above = np.searchsorted(-ranked, -levels, side="right")  # readings at or above each level
    areas = [_area(known, order, is_anomalous, levels, n_above, width) for width in range(buffer + 1)]
    return float(np.mean(areas))


def _area(score: F64, order: I64, is_anomalous: Bool, levels: F64, n_above: I64, width: int) -> float:
    """Return the area under precision over recall for one label buffer."""
    soft = soft_labels(is_anomalous, width)
    hits = np.cumsum(soft[order])[n_above - 1]
    n_positive = (is_anomalous.sum() + soft.sum()) / 2
    best = np.array([score[start:end].max() for start, end in _buffered(is_anomalous, width // 2)])
    met = (best[None, :] >= levels[:, None]).mean(axis=1)
    recall = np.append(0.0, np.minimum(hits / n_positive, 1.0) * met)
    precision = np.append(1.0, hits / n_above)
    return float(np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2))


def _buffered(is_anomalous: Bool, reach: int) -> list[tuple[int, int]]:
    """Return the labelled stretches with their buffers, overlapping ones as one: first position, one after the last."""
    found: list[tuple[int, int]] = []
    for start, end in stretches(is_anomalous):
        begin = max(start - reach, 0)
        if found and begin < found[-1][1]:
            begin = found.pop()[0]
        found.append((begin, end + reach))
    return found


def soft_labels(is_anomalous: Bool, width: int) -> F64:
    """Return labels that fall off over half a buffer on each side: ``sqrt(1 - d / width)`` at distance d.

    Example:
        >>> soft_labels(np.array([0, 0, 0, 1, 0], bool), width=4).round(3).tolist()
        [0.0, 0.707, 0.866, 1.0, 0.866]
    """
    soft = is_anomalous.astype(np.float64)
    for start, end in stretches(is_anomalous):
        for distance in range(1, width // 2 + 1):
            for at in (start - distance, end - 1 + distance):
                if 0 <= at < len(soft):
                    soft[at] += np.sqrt(1 - distance / width)
    return np.minimum(soft, 1.0)


def stretches(is_inside: Bool) -> list[tuple[int, int]]:
    """Return the runs of True: first position, and the one after the last.

    Example:
        >>> stretches(np.array([1, 1, 0, 1], bool))
        [(0, 2), (3, 4)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_inside, [False])).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
