"""Blind alerts: one every so many readings, whatever the readings say. What they reach, a detector must beat.

Comes in: how many alerts, and how many readings each recording has. Goes out: where the alerts are. Recordings are
laid end to end, so that there are exactly as many blind alerts as wanted.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.core.records import I64

#: Starts over which figures of blind alerts are averaged.
N_PHASES = 20


def blind_alerts(n_alerts: int, lengths: Sequence[int]) -> Iterator[list[I64]]:
    """Yield evenly spaced alerts, from each of several starts.

    Args:
        n_alerts: In all recordings together.
        lengths: Readings of each recording.

    Yields:
        Positions of the alerts in each recording, ascending; ``n_alerts`` of them in all, fewer only where there are
        fewer readings.

    Example:
        >>> [positions.tolist() for positions in next(blind_alerts(3, [4, 8]))]
        [[0], [0, 4]]
    """
    ends = np.cumsum(lengths)
    n_readings = int(ends[-1]) if len(ends) else 0
    spacing = n_readings / n_alerts if n_alerts else 0.0
    for phase in np.arange(N_PHASES) / N_PHASES:
        at = np.unique(((np.arange(n_alerts) + phase) * spacing).astype(np.int64))
        yield [
            at[(at >= end - length) & (at < end)] - (end - length) for end, length in zip(ends, lengths, strict=True)
        ]
