"""Numbers kept in two bytes or in one, for what is many and need not be exact.

In two: the sign, the exponent and the first seven bits of a float32: any size, and infinities, to 0.4 % of itself.
In one: a size and no sign, four to an octave.
"""

import numpy as np

from pipeline.core.records import F32, U8, U16

#: What ``shortened`` makes of a number that is missing.
SHORT_NAN = 0x7FC0
#: And of minus infinity.
SHORT_MINUS_INF = 0xFF80
_COARSE_FROM = 4 * (127 - 58) - 1  # exponent and two bits below the smallest size


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


def coarsened(sizes: F32) -> U8:
    """Return sizes, float32 and not negative, in one byte each: the nearest of four to an octave.

    Those are 1, 1.25, 1.5 and 1.75 times powers of two from 2^-58 on. Smaller ones are 0, larger ones the largest, 48.

    Example:
        >>> refined(coarsened(np.array([0.0, 1e-3, 3.2, 1e9], np.float32))).tolist()
        [0.0, 0.0009765625, 3.0, 48.0]
    """
    bits = np.ascontiguousarray(sizes, np.float32).view(np.uint32).astype(np.int64)
    return (((bits + (1 << 20)) >> 21) - _COARSE_FROM).clip(0, 255).astype(np.uint8)


def refined(coarse: U8) -> F32:
    """Return as float32 what ``coarsened`` made, exactly."""
    bits = np.where(coarse > 0, coarse + np.uint32(_COARSE_FROM), np.uint32(0)) << 21
    return bits.astype(np.uint32).view(np.float32)


def lengthened(short: U16) -> F32:
    """Return as float32 what ``shortened`` made, exactly."""
    return (short.astype(np.uint32) << 16).view(np.float32)
