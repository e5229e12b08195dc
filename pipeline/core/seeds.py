"""Random numbers that belong to a stream: a counter-based hash, so no draw depends on another stream.

SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
"""

from hashlib import blake2b

import numpy as np

from pipeline.core.records import F64, U64

_GAMMA = np.uint64(0x9E3779B97F4A7C15)


def key_of(name: str, seed: int) -> int:
    """Return the 64-bit key of a name under a seed.

    Example:
        >>> key_of("pump-1/temperature", 1) == key_of("pump-1/temperature", 2)
        False
    """
    return int.from_bytes(blake2b(f"{seed}\0{name}".encode(), digest_size=8).digest(), "little")


def uniforms(keys: U64, n: int, offset: int | U64 = 0) -> F64:
    """Return draws ``offset .. offset + n - 1`` of each key's own sequence, uniform in [0, 1).

    Args:
        keys: uint64, shape (G,).
        n: Draws per key.
        offset: First draw, one for all or one per key.

    Returns:
        float64, shape (G, n); the same key and draw number always give the same number.

    Example:
        >>> a = uniforms(np.array([7], np.uint64), 4)
        >>> bool((a[:, 2:] == uniforms(np.array([7], np.uint64), 2, offset=2)).all())
        True
    """
    counter = np.arange(1, n + 1, dtype=np.uint64) + np.asarray(offset, np.uint64).reshape(-1, 1)
    z = keys[:, None] + counter * _GAMMA  # uint64 arithmetic wraps on purpose
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    mantissa: U64 = z >> np.uint64(11)
    return mantissa.astype(np.float64) * 2.0**-53
