"""What was freed goes back to the system, where the C library would keep it: half as much again as a daemon needs.

Only glibc keeps so much, and can be asked; elsewhere nothing is done.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # of malloc.h
_MB = 1 << 20


def keep_little() -> bool:
    """Have all threads share one heap, and large blocks lie apart from it; return whether that could be done.

    A heap per thread keeps what each needed at most; and where large blocks lie is otherwise for the largest that was
    ever freed to say. To be called before threads are started.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wanted = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, _MB), (_TRIM_THRESHOLD, 4 * _MB))
    n_taken: int = sum(mallopt(name, value) for name, value in wanted)
    return n_taken == len(wanted)


def give_back() -> bool:
    """Give freed memory back; return whether any was. It takes about a millisecond.

    Example:
        >>> give_back() in (True, False)
        True
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and trim(0) == 1
