"""The compiled helper: fine-tuning, forward passes and steps of single-layer LSTMs, several times as fast as torch's.

Numbers in, numbers out, as ``backend`` says; the equations are those of ``by_torch``, which it is tested against.
It is built with the package where there is a C compiler (GCC); without, ``serves`` says no and torch does the work.
"""

import ctypes
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.core.compiled import addresses, load, plain, pointer
from pipeline.core.records import F32, F64, I32
from pipeline.forecast.network import Network

N_AT_ONCE = 8  # see ``backend.Backend``
_VERSION = 2  # of what lies between here and lstm.c
_LEVELS = {0: "baseline", 3: "AVX2", 4: "AVX-512"}


class _Sizes(ctypes.Structure):
    """As in lstm.c."""

    _fields_ = [
        (name, ctypes.c_int32)
        for name in (
            "n_networks",
            "n_sharing",
            "n_features",
            "n_hidden",
            "n_weights",
            "length",
            "n_rows",
            "n_batches",
        )
    ]


@cache
def _library() -> ctypes.CDLL | None:
    """Load the helper, or return None where torch does its work."""
    return load(Path(__file__).parent, "_lstm", _VERSION)


def instructions() -> str | None:
    """Return which instructions the helper uses here, in words; None where torch does its work.

    Example:
        >>> instructions() in (None, "baseline", "AVX2", "AVX-512")
        True
    """
    return None if _library() is None else _LEVELS[level()]


@cache
def level() -> int:
    """Return the best instructions that this processor has."""
    library = _library()
    return 0 if library is None else int(library.ft_level())


def functions() -> dict[str, int | None]:
    """Return where its step lies, for the flow's helper."""
    return addresses(_library(), {"step": "ft_step"})


def serves(network: Network) -> bool:
    """Say whether networks of this layout are its business."""
    stack = network.stack
    return stack.cell == "lstm" and stack.n_layers == 1 and not network.has_dropout and _library() is not None


def fine_tune(
    network: Network,
    start: tuple[F32, F32, F32],
    n_taken: I32,
    windows: tuple[F32, F32, F32],
    n_batches: int,
    rate: float,
    draws: F64 | None = None,  # noqa: ARG001 - dropout is not its business
) -> tuple[F32, F32, F32]:
    """See ``backend.Backend``; ``serves`` has said yes."""
    weights, m, v = (np.array(a, np.float32, order="C") for a in start)
    x, y, counts = (np.ascontiguousarray(a, np.float32) for a in windows)
    sizes = _sizes(network, len(weights), x, n_batches)
    taken = np.ascontiguousarray(n_taken, np.int32)
    _check(holds=y.shape == counts.shape == (*x.shape[:3], network.n_outputs // 2) and taken.shape == weights.shape[:1])
    _check(holds=weights.shape == m.shape == v.shape == (len(weights), network.n_weights))
    arrays = [_pointer(a) for a in (x, y, counts, weights, m, v, taken)]
    _call("ft_fine_tune", ctypes.byref(sizes), *arrays, ctypes.c_float(rate))
    return weights, m, v


def outputs(network: Network, weights: F32, x: F32) -> F32:
    """See ``backend.Backend``; ``serves`` has said yes."""
    weights, x = np.ascontiguousarray(weights, np.float32), np.ascontiguousarray(x, np.float32)
    sizes = _sizes(network, len(weights), x, 1)
    _check(holds=weights.shape == (len(weights), network.n_weights))
    out = np.empty((len(weights), x.shape[2], x.shape[1], network.n_outputs), np.float32)
    _call("ft_outputs", ctypes.byref(sizes), _pointer(x), _pointer(weights), _pointer(out))
    return out


def step(network: Network, weights: F32, group_of: I32, x: F32, state: F32) -> tuple[F32, F32]:
    """See ``backend.Backend``; ``serves`` has said yes.

    Raises:
        ValueError: The arrays do not fit together, or a group is not there.
    """
    n_streams, n_members = state.shape[:2]
    n_groups, n_inputs, n_outputs = len(weights), network.n_inputs, network.n_outputs
    new = np.empty(state.shape, np.float32)
    out = np.empty((n_streams, n_members, n_outputs), np.float32)
    arrays = (
        pointer(weights, np.float32, n_groups, n_members, network.n_weights),
        pointer(plain(group_of, np.int32), np.int32, n_streams),
        pointer(plain(x, np.float32), np.float32, n_streams, n_inputs),
        pointer(plain(state, np.float32), np.float32, n_streams, n_members, 2 * network.stack.n_hidden),
        pointer(new, np.float32, *state.shape),
        pointer(out, np.float32, *out.shape),
    )
    sizes = (n_streams, n_members, n_inputs, network.stack.n_hidden, network.n_weights, n_groups)
    library = _library()
    _check(holds=library is not None and library.ft_step(level(), *sizes, *arrays) == 0)
    return out, new


def _sizes(network: Network, n_networks: int, x: F32, n_batches: int) -> _Sizes:
    n_sets, n_windows, length, n_features = x.shape
    _check(holds=n_features == network.n_inputs and n_networks % n_sets == 0 and n_windows % n_batches == 0)
    n_hidden, n_weights = network.stack.n_hidden, network.n_weights
    rows = n_windows // n_batches
    return _Sizes(n_networks, n_networks // n_sets, n_features, n_hidden, n_weights, length, rows, n_batches)


def _check(*, holds: bool) -> None:
    """Beyond this line nobody looks at lengths."""
    if not holds:
        raise ValueError("arrays of the compiled helper do not fit together")


def _pointer(array: F32 | I32) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def _call(name: str, *arguments: object) -> None:
    library = _library()
    if library is None:
        raise RuntimeError("the compiled helper is not there: serves() says so")
    if getattr(library, name)(level(), *arguments):
        raise MemoryError
