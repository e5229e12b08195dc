"""Adam's moments as they are kept between fine-tunes: a byte each instead of four.

The second is a size, four to an octave. The first is kept as its share of the second's root, in equal steps: that share,
times the learning rate, is how far a step goes, and the same whatever the second was rounded to.
"""

import numpy as np

from pipeline.core.records import F32, I8, U8
from pipeline.forecast.training import BETA_1, BETA_2

_FROM = 4 * (127 - 58) - 1  # exponent and two bits of a float32 that lie below the smallest second moment, 2^-58
#: A first moment is at most so many roots of the second (Cauchy & Schwarz), however many steps were taken.
MOST_SHARE = (1 - BETA_1) / np.sqrt((1 - BETA_2) * (1 - BETA_1**2 / BETA_2))
_STEP = np.float32(MOST_SHARE / 127)


def packed(m: F32, v: F32) -> tuple[I8, U8]:
    """Return both moments in a byte each, the first as a share; what is no number is 0 and the largest.

    Example:
        >>> m, v = unpacked(*packed(np.array([-0.3, 0.01], np.float32), np.array([0.04, 1e-4], np.float32)))
        >>> [f"{x:.3g}" for x in (*m, *v)]
        ['-0.296', '0.0103', '0.0391', '0.000107']
    """
    bits = np.ascontiguousarray(v, np.float32).view(np.uint32).astype(np.int64)
    size = (((bits + (1 << 20)) >> 21) - _FROM).clip(0, 255).astype(np.uint8)
    with np.errstate(all="ignore"):
        share = np.nan_to_num(m / np.sqrt(v), nan=0.0, posinf=0.0, neginf=0.0) / _STEP
    return np.rint(share).clip(-127, 127).astype(np.int8), size


def unpacked(share: I8, size: U8) -> tuple[F32, F32]:
    """Return the moments that ``packed`` made bytes of."""
    bits = np.where(size > 0, size + np.uint32(_FROM), np.uint32(0)) << 21
    v = bits.astype(np.uint32).view(np.float32)
    return share * (_STEP * np.sqrt(v)), v
