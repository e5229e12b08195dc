"""What was freed and the C library keeps goes back to the system: snapshots leave a tenth of a daemon behind."""

import ctypes


def give_back() -> bool:
    """Give freed memory back; return whether any was. It takes about a millisecond.

    Only glibc keeps so much, and can be asked; elsewhere nothing is done.

    Example:
        >>> give_back() in (True, False)
        True
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and trim(0) == 1
