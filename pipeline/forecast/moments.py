"""Adam's moments as they are kept between fine-tunes: three bytes instead of eight.

The first is kept as its share of the second's root, in a byte: that share, times the learning rate, is how far a step
goes. The second needs two bytes: a fine-tune moves it by a few per cent, which coarser numbers would round away every
time, so that it stayed what it was when the network was young (half a point on NAB, four numbers to an octave).
"""

import numpy as np

from pipeline.core.records import F32, I8, U16
from pipeline.core.short_floats import lengthened, shortened
from pipeline.forecast.training import BETA_1, BETA_2

#: A first moment is at most so many roots of the second (Cauchy & Schwarz), however many steps were taken.
MOST_SHARE = (1 - BETA_1) / np.sqrt((1 - BETA_2) * (1 - BETA_1**2 / BETA_2))
_STEP = np.float32(MOST_SHARE / 127)


def packed(m: F32, v: F32) -> tuple[I8, U16]:
    """Return both moments as they are kept; a first one that is no number is 0.

    Example:
        >>> m, v = unpacked(*packed(np.array([-0.3, 0.01], np.float32), np.array([0.04, 1e-4], np.float32)))
        >>> [f"{x:.3g}" for x in (*m, *v)]
        ['-0.299', '0.00998', '0.04', '0.0001']
    """
    with np.errstate(all="ignore"):
        share = np.nan_to_num(m / np.sqrt(v), nan=0.0, posinf=0.0, neginf=0.0) / _STEP
    return np.rint(share).clip(-127, 127).astype(np.int8), shortened(v)


def unpacked(share: I8, v: U16) -> tuple[F32, F32]:
    """Return the moments that ``packed`` was given, nearly."""
    long = lengthened(v)
    return np.multiply(share, _STEP * np.sqrt(long), dtype=np.float32), long
