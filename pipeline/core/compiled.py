"""What the compiled helpers of the stages share: how one is loaded, and how arrays are handed to it.

A helper is a shared library without Python in it, built with the package where there is a C compiler; ``load`` returns
None where it is not, and whoever asked does the work itself. Beyond ``pointer`` nobody looks at types and lengths.
"""

import ctypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pipeline.core.records import Slots

OFF = "FORETELL_COMPILED"  # set to 0, Python does everything
_Bytes = ctypes.c_char * 0
Pointer = ctypes.Array[ctypes.c_char]


def load(folder: Path, name: str, version: int) -> ctypes.CDLL | None:
    """Load a helper, or return None where it was not built, is not for this machine or code, or is switched off.

    Args:
        folder: Where it lies.
        name: Its file's name before the suffixes.
        version: What its ``ft_version`` must return.
    """
    if os.environ.get(OFF) == "0":
        return None
    for path in sorted(folder.glob(f"{name}*.so")):
        try:
            library = ctypes.CDLL(str(path))
            if library.ft_version() == version:
                return library
        except (OSError, AttributeError):
            continue
    return None


def addresses(library: ctypes.CDLL | None, names: Mapping[str, str]) -> dict[str, int | None]:
    """Return where functions of a helper lie, for another helper, which calls them; names in ``names`` become theirs.

    Raises:
        RuntimeError: The helper is not there.
    """
    if library is None:
        raise RuntimeError("the compiled helper is not there: serves() says so")
    return {name: ctypes.cast(getattr(library, own), ctypes.c_void_p).value for name, own in names.items()}


def pointer(array: NDArray[Any], dtype: DTypeLike, *shape: int) -> Pointer:
    """Return where an array's numbers lie; it holds the array.

    Raises:
        ValueError: The array is not of this type and shape, has gaps, or cannot be written to.

    Example:
        >>> len(pointer(np.zeros((2, 3)), np.float64, 2, 3))
        0
    """
    if array.dtype != dtype or array.shape != shape or not array.flags.carray:
        raise ValueError(
            f"arrays of the compiled helper do not fit together: {array.dtype}{array.shape}, not {dtype}{shape}"
        )
    return _Bytes.from_buffer(array)  # type: ignore[arg-type] # is a buffer; a third of what array.ctypes costs


def plain(array: NDArray[Any], dtype: DTypeLike) -> NDArray[Any]:
    """Return an array as ``pointer`` takes it: itself where that is enough, else a copy."""
    return array if array.flags.carray and array.dtype == dtype else np.require(array, dtype, ["C", "W", "A"])


def streams(ix: Slots, n: int, capacity: int) -> tuple[Pointer | None, int, int, int]:
    """Return how a helper is told the streams of a tick: slots or None, where a run begins, how many, of how many.

    Raises:
        ValueError: They are not ``n``.

    Example:
        >>> streams(slice(3, 5), 2, 8)
        (None, 3, 2, 8)
    """
    if not isinstance(ix, slice):
        return pointer(plain(ix, np.int64), np.int64, n), 0, n, capacity
    if ix.stop - ix.start != n:
        raise ValueError(f"arrays of the compiled helper do not fit together: {n} rows for {ix}")
    return None, ix.start, n, capacity
