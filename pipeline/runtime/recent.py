"""The newest readings of a stream, with what was foretold of them: what pictures of the present are drawn from."""

import numpy as np

from pipeline.core.evidence import Evidence
from pipeline.runtime.session import Session


def newest(session: Session, slot: int, n: int) -> Evidence:
    """Return the newest readings of a stream, as far back as windows go; forecasts where the evidence has them.

    Args:
        session: Is left as it is.
        slot: Stream.
        n: Readings wanted.

    Returns:
        ``n`` readings or fewer. Where windows hold other numbers than the evidence (increments of a counter), only
        the evidence.
    """
    windows = session.state.windows
    evidence = session.state.trail.of(windows, slot)
    n_had, width = int(windows.n[slot]), windows.time.shape[1]
    at = np.arange(max(0, n_had - min(n, width)), n_had) % width
    time, value = windows.time[slot, at], windows.value[slot, at]
    n_known = min(len(evidence), len(at))
    is_same = np.array_equal(value[len(at) - n_known :], evidence.last(n_known).value)
    if len(at) <= n_known or not is_same:
        return evidence.last(n)
    unknown = np.full(len(at) - n_known, np.nan)
    foretold = (np.concatenate((unknown, column)) for column in evidence.columns()[2:])
    return Evidence(time, value, *foretold)
