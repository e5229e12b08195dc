"""Histories and surprise by the compiled helper: scoring and learning of every reading, in one call each.

Arrays of state are handed over once, see ``SlotArrays.table``; ``surprise.c`` works on them in place. Results are those
of ``pipeline.detect.history`` and ``surprise``, which it is tested against, to the last bit, but for logarithms.
"""

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.columns import SlotArrays
from pipeline.core.compiled import Pointer, addresses, load, plain, pointer, streams
from pipeline.core.records import F32, F64, I64, U16, Bool, Slots

_VERSION = 4  # of what lies between here and surprise.c
_MOST_PLACES, _LANES = 128, 8  # of a history, as far as sums go in one order
_MOST_MEMBERS = 7  # likewise
_N_EACH = 8
_N_WAITING = 24  # blocks of the budget
_Layout = Mapping[str, tuple[type[np.generic], tuple[int, ...]]]


@cache
def _library() -> ctypes.CDLL | None:
    return load(Path(__file__).parent, "_surprise", _VERSION)


def serves(n_places: int, n_members: int = 1) -> bool:
    """Say whether histories of so many places, of so many networks, are its business."""
    is_small = n_places <= _MOST_PLACES and n_places % _LANES == 0 and n_members <= _MOST_MEMBERS
    return is_small and n_places > _LANES and _library() is not None


@cache
def history_layout(n_tails: int, n_places: int) -> _Layout:
    """Return the columns of ``History`` in the order of surprise.c."""
    return {
        "largest": (np.uint16, (n_tails, n_places)),
        "block": (np.float32, (n_tails,)),
        "n_in_block": (np.int32, ()),
        "n_blocks": (np.int64, ()),
        "n_kept": (np.int32, ()),
    }


@cache
def surprise_layout(n_tails: int, n_places: int) -> _Layout:
    """Return the columns of ``Surprise`` in the order of surprise.c."""
    return {
        **history_layout(n_tails, n_places),
        **dict.fromkeys(("recent_threshold", "recent_excess", "recent_low"), (np.float32, ())),
        "threshold": (np.float32, (n_tails,)),
        "excess": (np.float32, (n_tails,)),
        "low": (np.float32, (n_tails,)),
        "threshold_score": (np.float32, (2,)),
        "low_score": (np.float32, (2,)),
    }


@cache
def budget_layout(n_places: int) -> _Layout:
    """Return the columns of ``Budget`` in the order of budget.c."""
    names = ("threshold", "scale", "shape", "n_tail", "threshold_score")
    waiting: _Layout = {"waiting": (np.uint16, (_N_WAITING,)), "at": (np.int8, ())}
    return {**history_layout(1, n_places), **waiting, **dict.fromkeys(names, (np.float32, ()))}


def functions() -> dict[str, int | None]:
    """Return where its functions lie, for the flow's helper."""
    names = ("surprise_score", "surprise_learn", "budget_level", "budget_learn")
    return addresses(_library(), {name: f"ft_{name}" for name in names})


def take_in(history: SlotArrays, largest: U16, ix: Slots, statistics: F32, is_counted: Bool, n_remembered: int) -> I64:
    """See ``History.take_in``; ``largest`` is the history's."""
    n_tails, n_places = largest.shape[1:]
    n = len(statistics)
    done = np.empty(n, np.int64)
    columns = (
        _column(statistics, np.float32, n, n_tails),
        _column(is_counted, np.bool_, n),
        _column(done, np.int64, n),
    )
    table = history.table(history_layout(n_tails, n_places))
    return done[
        : _call("ft_take_in", table, streams(ix, n, history.capacity), n_tails, n_places, n_remembered, *columns)
    ]


def learn(
    surprise: SlotArrays, largest: U16, ix: Slots, seen: tuple[F64, F64], is_counted: Bool, n_remembered: int
) -> None:
    """See ``Surprise.learn``; ``seen`` are sides and sizes."""
    n_tails, n_places = largest.shape[1:]
    columns = (*_of_seen(len(is_counted), n_tails, *seen), _column(is_counted, np.bool_, len(is_counted)))
    table, which = _of(surprise, n_tails, n_places, ix, len(is_counted))
    _call("ft_surprise_learn", table, which, seen[1].shape[1] - 1, n_places, n_remembered, *columns)


def score(surprise: SlotArrays, largest: U16, ix: Slots, seen: tuple[F64, F64], before: I64) -> tuple[F64, F64]:
    """See ``Surprise.score``; ``seen`` are sides and sizes, ``before`` how many readings each stream had."""
    n_tails, n_places = largest.shape[1:]
    n = len(before)
    found, each = np.empty(n), np.empty((n, _N_EACH))
    outputs = (_column(before, np.int64, n), _column(found, np.float64, n), _column(each, np.float64, n, _N_EACH))
    table, which = _of(surprise, n_tails, n_places, ix, n)
    _call("ft_surprise_score", table, which, seen[1].shape[1] - 1, *_of_seen(n, n_tails, *seen), *outputs)
    return found, each


def _of(surprise: SlotArrays, n_tails: int, n_places: int, ix: Slots, n: int) -> tuple[object, tuple[object, ...]]:
    return surprise.table(surprise_layout(n_tails, n_places)), streams(ix, n, surprise.capacity)


def _of_seen(n: int, n_tails: int, sides: F64, sizes: F64) -> tuple[Pointer, Pointer]:
    n_sizes = sizes.shape[1]
    return _column(sides, np.float64, n, n_tails - n_sizes), _column(sizes, np.float64, n, n_sizes)


def _column(array: NDArray[Any], dtype: type[np.generic], *shape: int) -> Pointer:
    return pointer(plain(array, dtype), dtype, *shape)


def _call(name: str, table: object, which: tuple[object, ...], *arguments: object) -> int:
    library = _library()
    if library is None:
        raise RuntimeError("the compiled helper is not there: serves() says so")
    found = int(getattr(library, name)(table, *which, *arguments))
    if found < 0:
        raise IndexError("a stream of the compiled helper is not there")
    return found
