"""How streams are addressed in vector operations: in runs where they lie side by side, in parts that fit a cache."""

from collections.abc import Iterator

import numpy as np

from pipeline.core.records import I64, Slots

#: Streams whose histories, or whatever else is large, are worked on at a time.
N_AT_ONCE = 64


def as_run(slots: I64) -> Slots:
    """Return slots as a slice where they are consecutive: views cost nothing, and copies less.

    Example:
        >>> as_run(np.array([3, 4, 5])), as_run(np.array([3, 5])).tolist()
        (slice(3, 6, None), [3, 5])
    """
    if len(slots) and slots[-1] - slots[0] + 1 == len(slots) and (len(slots) == 1 or bool((np.diff(slots) == 1).all())):
        return slice(int(slots[0]), int(slots[-1]) + 1)
    return slots


def parts(slots: I64, n: int = N_AT_ONCE) -> Iterator[Slots]:
    """Yield slots in parts of up to ``n``, as runs where they are.

    Example:
        >>> list(parts(np.arange(3), 2))
        [slice(0, 2, None), slice(2, 3, None)]
    """
    for start in range(0, len(slots), n):
        yield as_run(slots[start : start + n])
