"""Numbers kept in two bytes: the sign, the exponent and the first seven bits of a float32.

For what is many and need not be exact: any size that a float32 has, and infinities, to 0.4 % of itself.
"""

import numpy as np

from pipeline.core.records import F32, U16

#: What ``shortened`` makes of a number that is missing.
SHORT_NAN = 0x7FC0
#: And of minus infinity.
SHORT_MINUS_INF = 0xFF80


def shortened(values: F32) -> U16:
    """Return float32 in two bytes each, of the same shape; numbers halfway between two become the even one.

    Example:
        >>> lengthened(shortened(np.array([1.0, 100.3, -np.inf, np.nan], np.float32))).tolist()
        [1.0, 100.5, -inf, nan]
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    missing = np.isnan(values)
    if missing.any():
        rounded[missing] = SHORT_NAN
    return rounded


def shortened_up(values: F32) -> U16:
    """Return float32, none missing, in two bytes each: the next number that is no smaller.

    What was seen before is then not beyond what is remembered of it.

    Example:
        >>> lengthened(shortened_up(np.array([1.0, 100.1, -100.1, np.inf], np.float32))).tolist()
        [1.0, 100.5, -100.0, inf]
    """
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + np.where(bits >> 31, np.uint32(0), np.uint32(0xFFFF))) >> 16).astype(np.uint16)


def lengthened(short: U16) -> F32:
    """Return as float32 what ``shortened`` made, exactly."""
    return (short.astype(np.uint32) << 16).view(np.float32)
