"""The league's tick by the compiled helper: the four functions of ``League`` that every reading passes, one call each.

Arrays of state are handed over once, see ``SlotArrays.table``; ``league.c`` works on them in place. Results are those
of ``pipeline.forecast.league``, which it is tested against, to the last bit, but for logarithms and exponentials.
"""

import ctypes
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from pipeline.core.columns import SlotArrays
from pipeline.core.compiled import addresses, load, plain, pointer, streams
from pipeline.core.records import F64, I8, Slots

_VERSION = 1  # of what lies between here and league.c
_F, _MOODS, _LEVELS = 6, 2, 3
_F8, _F4, _I4 = np.float64, np.float32, np.int32
#: As ``League`` in league.c has them.
LAYOUT: Mapping[str, tuple[type[np.generic], tuple[int, ...]]] = {
    "location": (_F8, (_F,)),
    "scale": (_F8, (_F,)),
    "usual": (_F8, (_F,)),
    "error": (_F8, (_F,)),
    "n_errors": (_I4, (_F,)),
    "who": (np.int8, (_MOODS,)),
    "mood_error": (_F8, (_MOODS, _F)),
    "n_mood_errors": (_I4, (_MOODS, _F)),
    "is_shaken": (np.bool_, ()),
    "n_in_row": (_I4, ()),
    "usual_miss": (_F8, ()),
    "n_misses": (_I4, ()),
    "widening": (_F4, (_F * _LEVELS,)),
    "way": (_F8, ()),
    "share_error": (_F8, (5,)),
    "n_ways": (_I4, ()),
    "n_smoothed": (_I4, ()),
    "level": (_F8, (6,)),
    "trend": (_F8, (6,)),
    "candidate_error": (_F8, (6,)),
    "n_seasonal": (_I4, ()),
    "form_location": (_F8, (3,)),
    "form_error": (_F8, (3,)),
    "offset": (_F8, ()),
    "n_changes": (_I4, ()),
    "last": (_F8, ()),
    "slow": (_F8, ()),
    "usual_change": (_F8, ()),
    "unit": (_F8, ()),
    "inputs": (_F4, (4,)),
    "gram": (_F4, (16,)),
    "moment": (_F4, (4,)),
    "coefficients": (_F4, (4,)),
    "fit_error": (_F8, ()),
}


@cache
def _library() -> ctypes.CDLL | None:
    return load(Path(__file__).parent, "_league", _VERSION)


def serves() -> bool:
    """Say whether it is there."""
    return _library() is not None


def functions() -> dict[str, int | None]:
    """Return where its functions lie, for the flow's helper."""
    names = ("league_shown", "league_learn", "league_foretell", "league_join")
    return addresses(_library(), {name: f"ft_{name}" for name in names})


def learn(league: SlotArrays, ix: Slots, value: F64, spread: F64) -> None:
    """See ``League.learn``."""
    _call("ft_league_learn", league, ix, len(value), (value, spread), ())


def shown(league: SlotArrays, ix: Slots, n: int) -> tuple[I8, F64, F64]:
    """See ``League.shown``; ``n`` is how many streams."""
    who, location, widths = np.empty(n, np.int8), np.empty(n), np.empty((n, _LEVELS))
    _call("ft_league_shown", league, ix, n, (), (who, location, widths))
    return who, location, widths


def foretell(league: SlotArrays, ix: Slots, value: F64, season_now: F64, season_next: F64) -> F64:
    """See ``League.foretell``."""
    found = np.empty((len(value), 2))
    _call("ft_league_foretell", league, ix, len(value), (value, season_now, season_next), (found,))
    return found


def join(league: SlotArrays, ix: Slots, value: F64, location: F64, scale: F64) -> None:
    """See ``League.join``."""
    _call("ft_league_join", league, ix, len(value), (value, location, scale), ())


def _call(
    name: str, league: SlotArrays, ix: Slots, n: int, given: tuple[F64, ...], found: tuple[F64 | I8, ...]
) -> None:
    library = _library()
    if library is None:
        raise RuntimeError("the compiled helper is not there: serves() says so")
    columns = [pointer(plain(a, np.float64), np.float64, n) for a in given]
    outputs = [pointer(a, a.dtype, n, *a.shape[1:]) for a in found]
    if getattr(library, name)(league.table(LAYOUT), *streams(ix, n, league.capacity), *columns, *outputs):
        raise IndexError("a stream of the compiled helper is not there")
