"""The flow's own work on every reading by the compiled helper: what comes before the scores, and around the networks.

Arrays of state are handed over once, see ``SlotArrays.table``; the C files work on them in place. Results are those of
``flow.scoring``, ``engine`` and ``forecasting``, which it is tested against, to the last bit, but for exponentials,
logarithms and the like.
"""

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.compiled import Pointer, load, plain, pointer, streams
from pipeline.core.records import F32, F64, I64, Bool, Slots
from pipeline.detect.views import N_OF_FORECASTS, Found, Recent
from pipeline.flow.state import Model, State
from pipeline.forecast.features import N_FEATURES, N_OUTLOOK
from pipeline.streams.season import PACES

_PACES = pointer(PACES, np.float64, 3)
_VERSION = 1  # of what lies between here and the C files
_MOST_MEMBERS = 7  # as far as sums go in one order
_F8, _F4, _I8 = np.float64, np.float32, np.int64
Layout = Mapping[str, tuple[type[np.generic], tuple[int, ...]]]
#: As tick.h has them.
SCALING: Layout = {"mean": (_F8, ()), "var": (_F8, ())}
USUAL: Layout = {"usual_spread": (_F8, ()), "n_still": (np.int32, ())}


@cache
def windows_layout(width: int, n_outlook: int, n_context: int) -> Layout:
    """Return the columns of ``Windows`` in the order of tick.h."""
    return {
        "n": (_I8, ()),
        "newest": (_F8, ()),
        "time": (_F8, (width,)),
        "value": (_F8, (width,)),
        "is_taught": (np.bool_, (width,)),
        "outlook": (_F4, (width, n_outlook)),
        "context": (_F4, (width, n_context)),
    }


@cache
def pending_layout(n_members: int, n_pending: int) -> Layout:
    """Return the columns of ``Pending`` in the order of tick.h."""
    return {
        "location_of_scale": (_F8, ()),
        "spread_of_scale": (_F8, ()),
        "interval_of_scale": (_F8, ()),
        "n_since": (_I8, ()),
        "location": (_F8, (n_members, n_pending)),
        "scale": (_F4, (n_members, n_pending)),
    }


@cache
def season_layout(n_cells: int) -> Layout:
    """Return the columns of ``Season`` in the order of tick.h."""
    return {
        "bin_s": (_F8, ()),
        "anchor_s": (_F8, ()),
        "n_bins": (_I8, ()),
        "newest_s": (_F8, ()),
        "bin": (_I8, ()),
        "n_in_bin": (_I8, ()),
        "place": (_F8, ()),
        "mean": (_F8, ()),
        "place_before": (_F8, ()),
        "mean_before": (_F8, ()),
        "usual_change": (_F8, ()),
        "ring": (_F8, (n_cells,)),
    }


@cache
def _library() -> ctypes.CDLL | None:
    return load(Path(__file__).parent, "_tick", _VERSION)


def serves(model: Model) -> bool:
    """Say whether ticks with these settings are its business."""
    forecast = model.settings.forecast
    is_small = forecast.ensemble <= _MOST_MEMBERS and forecast.horizon_short <= forecast.horizon_long
    return is_small and _library() is not None


def look(model: Model, state: State, ix: Slots, time: F64, value: F64) -> tuple[Found, Recent, F64, Bool]:
    """Put readings into the windows, and hold what came against what was foretold; see ``scoring``.

    Args:
        model: Settings; ``serves`` has said yes.
        state: The shard.
        ix: Streams.
        time: Event times, Unix seconds, shape (A,).
        value: Readings as they are worked on, shape (A,).

    Returns:
        What the views show, the newest readings, the ones before, and which streams have stood still for long.
    """
    n, n_members = len(value), state.pending.location.shape[1]
    of_forecasts, of_past = np.empty((n, n_members, N_OF_FORECASTS)), np.empty((n, 2))
    sizes, sides = np.empty((n, n_members + 1)), np.empty((n, 2 * (N_OF_FORECASTS * n_members + 2)))
    of_next, recent, is_still = np.empty(n), np.empty((3, n)), np.empty(n, np.bool_)
    _call(
        "ft_look",
        (*_windows_and_pending(state), state.scaling.table(SCALING), state.usual.table(USUAL)),
        streams(ix, n, state.capacity),
        (state.windows.value.shape[1], *state.pending.location.shape[1:], _lengths(*model.horizons.lengths)),
        (_column(time, _F8, n), _column(value, _F8, n)),
        [pointer(a, a.dtype, *a.shape) for a in (of_forecasts, of_past, sizes, sides, of_next, recent, is_still)],
    )
    found = Found(of_forecasts, of_past, sizes)
    vars(found).update(sides=sides, next_reading=of_next)  # cached properties, made beside the rest
    return found, Recent(value, recent[0], recent[1]), recent[2], is_still


def learn(state: State, ix: Slots, time: F64, value: F64, before: I64, recent: Recent, is_taught: Bool) -> F64:
    """Let usual spreads, scales and seasons learn from readings; see ``engine``.

    Args:
        state: The shard.
        ix: Streams.
        time: Event times, Unix seconds, shape (A,).
        value: Readings as they are worked on, shape (A,).
        before: Readings before these, shape (A,).
        recent: The newest readings of each.
        is_taught: Which may teach, shape (A,).

    Returns:
        The streams' spreads before, sensor's unit, shape (A,).
    """
    n, n_cells = len(value), state.season.ring.shape[1]
    spread = np.empty(n)
    columns = (time, value, before, recent.mean, recent.deviation, is_taught)
    dtypes = (_F8, _F8, _I8, _F8, _F8, np.bool_)
    _call(
        "ft_learn",
        (state.scaling.table(SCALING), state.usual.table(USUAL), state.season.table(season_layout(n_cells))),
        streams(ix, n, state.capacity),
        (n_cells, _PACES),
        tuple(_column(a, dtype, n) for a, dtype in zip(columns, dtypes, strict=True)),
        [pointer(spread, _F8, n)],
    )
    return spread


def ahead(state: State, ix: Slots, n: int) -> tuple[F64, F64, F64, F64]:
    """Look one season back, before the networks' step.

    Args:
        state: The shard; the newest readings are in the windows.
        ix: Streams.
        n: How many.

    Returns:
        The newest readings, what was one season before them, what was one season before the next ones, shape (A,), and
        the outlook, of which the season's part is filled, shape (A, O).
    """
    values, now, following, outlook = np.empty(n), np.empty(n), np.empty(n), np.empty((n, N_OUTLOOK))
    n_cells = state.season.ring.shape[1]
    _call(
        "ft_ahead",
        (_windows(state), state.season.table(season_layout(n_cells))),
        streams(ix, n, state.capacity),
        (state.windows.value.shape[1], n_cells),
        (_column(state.cadence.step_s[ix], _F8, n),),
        [pointer(a, _F8, *a.shape) for a in (values, now, following, outlook)],
    )
    return values, now, following, outlook


def inputs(state: State, ix: Slots, outlook: F64, context: F32, previous: F64, interval: F64) -> F32:
    """Keep what is known of the next readings, and return the networks' inputs, shape (A, F); see ``forecasting``."""
    n, n_context = len(context), state.windows.context.shape[2]
    x = np.empty((n, N_FEATURES + n_context), np.float32)
    _call(
        "ft_inputs",
        _windows_and_pending(state),
        streams(ix, n, state.capacity),
        (state.windows.value.shape[1], n_context),
        (_column(outlook, _F8, n, N_OUTLOOK), _column(context, _F4, n, n_context)),
        [_column(previous, _F8, n), _column(interval, _F8, n), pointer(x, _F4, *x.shape)],
    )
    return x


def foretell(model: Model, state: State, ix: Slots, out: F32) -> tuple[F64, F64]:
    """See ``Pending.foretell``; counts the reading too."""
    n, n_members = len(out), state.pending.location.shape[1]
    location, scale = np.empty(n), np.empty(n)
    _call(
        "ft_foretell",
        (_pending(state),),
        streams(ix, n, state.capacity),
        (*state.pending.location.shape[1:], _lengths(*model.horizons.lengths)),
        (_column(out, _F4, n, n_members, 2 * len(model.horizons.lengths)),),
        [pointer(location, _F8, n), pointer(scale, _F8, n)],
    )
    return location, scale


def _windows(state: State) -> object:
    windows = state.windows
    return windows.table(windows_layout(windows.value.shape[1], N_OUTLOOK, windows.context.shape[2]))


def _pending(state: State) -> object:
    return state.pending.table(pending_layout(*state.pending.location.shape[1:]))


def _windows_and_pending(state: State) -> tuple[object, object]:
    return _windows(state), _pending(state)


@cache
def _lengths(*lengths: int) -> "ctypes.Array[ctypes.c_int32]":
    return (ctypes.c_int32 * len(lengths))(*lengths)


def _column(array: NDArray[Any], dtype: type[np.generic], *shape: int) -> Pointer:
    return pointer(plain(array, dtype), dtype, *shape)


def _call(
    name: str,
    tables: tuple[object, ...],
    which: tuple[object, ...],
    sizes: tuple[object, ...],
    given: tuple[Pointer, ...],
    found: list[Pointer],
) -> None:
    library = _library()
    if library is None:
        raise RuntimeError("the compiled helper is not there: serves() says so")
    if getattr(library, name)(*tables, *which, *sizes, *given, *found):
        raise IndexError("a stream of the compiled helper is not there")
