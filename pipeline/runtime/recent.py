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
    n_held = min(n, int(windows.n[slot]), windows.value.shape[1])
    held = windows.last(np.array([slot]), n_held)
    time, value = held.time[0], held.value[0]
    n_known = min(len(evidence), n_held)
    is_same = np.array_equal(value[n_held - n_known :], evidence.last(n_known).value)
    if n_held <= n_known or not is_same:
        return evidence.last(n)
    unknown = np.full(n_held - n_known, np.nan)
    foretold = (np.concatenate((unknown, column)) for column in evidence.columns()[2:])
    return Evidence(time, value, *foretold)
