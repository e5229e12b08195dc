"""What lies between the flow and its compiled helper: the structures of tick.h, in its order, and the same names."""

import ctypes
from collections.abc import Mapping

import numpy as np
from numpy.typing import DTypeLike

from pipeline.forecast.features import N_FEATURES, N_OUTLOOK

_F8, _F4, _I8, _I1, _U2, _B = np.float64, np.float32, np.int64, np.int8, np.uint16, np.bool_
#: Columns of each stage that ticks work on; stages in the order of ``Shard``, the bank after them.
STAGES: Mapping[str, str] = {
    "windows": "n newest since value is_taught outlook unit context",
    "pending": "location_of_scale spread_of_scale interval_of_scale n_since location scale hidden",
    "scaling": "mean var",
    "usual": "usual_spread n_still",
    "season": "bin_s anchor_s n_bins newest_s bin n_in_bin place mean place_before mean_before usual_change ring",
    "cadence": "step_s",
    "counters": "is_counter last n_rises n_falls",
    "drift": "block n_in_block",
    "quarantine": "is_held n_held n_quiet",
    "onset": "sums began_s stirred_s",
    "decision": "watched_s alerted_s peak",
    "episodes": "is_open opened_s n_open n_quiet level peak_score peak_s peak_value peak_forecast peak_lower peak_upper"
    " peak_views",
    "verdicts": "bits",
    "runs": "value since_s n n_limit n_moves longest count first_s",
    "reach": "is_given floor ceiling n_outside",
    "clock": "n_late n_future",
    "trail": "value residual half_width",
    "ledger": "group value forecast lower upper score level health",
}
BANK = "weights"
#: Stages that other helpers work on, by their own layouts.
OTHERS = ("league", "surprise", "budget")
#: Shapes that the C files take for granted.
SHAPES = {
    ("windows", "outlook"): (N_OUTLOOK,),
    ("drift", "block"): (2, 8),
    ("onset", "sums"): (2,),
    ("episodes", "peak_views"): (8,),
    ("runs", "count"): (14,),
}


def of_tick(n_members: int, n_context: int) -> dict[str, tuple[DTypeLike, tuple[int, ...]]]:
    """Return the columns of a tick, in the order of ``Columns``: their types, and their shapes without the rows."""
    n_views = 5 * n_members + 2
    shapes: dict[str, tuple[int, ...]] = {
        "widths": (3,),
        "of_forecasts": (n_members, 5),
        "of_past": (2,),
        "sizes": (n_members + 1,),
        "sides": (2 * n_views,),
        "views": (8,),
        "foretold": (2,),
        "outlook": (N_OUTLOOK,),
        "context": (n_context,),
        "x": (N_FEATURES + n_context,),
        "out": (n_members, 8),
    }
    columns = (
        (_I8, "rows slots"),
        (_F8, "time reading base value"),
        (_I8, "n place"),
        (_F8, "interval"),
        (_B, "is_gap is_certain is_mistaken"),
        (_I1, "who"),
        (_F8, "shown widths of_forecasts of_past sizes sides next_reading mean deviation previous"),
        (_F8, "score views level forecast lower upper"),
        (_B, "is_still is_full is_drift is_accepted is_alert is_lasting"),
        (_I1, "event"),
        (_U2, "health"),
        (_B, "is_long is_moved is_fit is_taught is_counted is_usual is_shown"),
        (_F8, "spread newest season_now season_next foretold outlook"),
        (_F4, "context x out"),
        (_F8, "location scale"),
    )
    return {name: (dtype, shapes.get(name, ())) for dtype, names in columns for name in names.split()}


def _each(kind: type, names: str) -> list[tuple[str, type]]:
    return [(name, kind) for name in names.split()]


def _pointers(names: str) -> list[tuple[str, type]]:
    return _each(ctypes.c_void_p, names)


class Shard(ctypes.Structure):
    """As in tick.h."""

    _fields_ = _pointers(" ".join((*STAGES, "bank", *OTHERS)))


class Columns(ctypes.Structure):
    """As in tick.h."""

    _fields_ = _pointers(" ".join(of_tick(1, 0)))


class Rows(ctypes.Structure):
    """As in tick.h."""

    _fields_ = _pointers("slot time value flags order bounds forecast lower upper score level opened event health")


class Sizes(ctypes.Structure):
    """As in tick.h."""

    _fields_ = [
        *_each(
            ctypes.c_int64,
            "capacity width n_ring n_members n_pending n_context n_hidden n_weights n_groups n_places n_evidence",
        ),
        ("lengths", ctypes.c_int64 * 4),
    ]


class Rules(ctypes.Structure):
    """As in tick.h."""

    _fields_ = [
        *_each(
            ctypes.c_double,
            "gap_cadences seconds_per_false_alarm quarantine_level rest_share n_rest n_rest_most close_margin",
        ),
        *_each(
            ctypes.c_int64,
            "interval n_warmup n_settled n_quiet n_quarantine has_health has_detail"
            " surprise_remembers budget_remembers instructions n_paces_of_cadence",
        ),
        *_pointers("paces_of_cadence paces_of_season keep_of_runs"),
    ]


class Others(ctypes.Structure):
    """As in tick.h."""

    _fields_ = _pointers(
        "league_shown league_learn league_foretell league_join surprise_score surprise_learn budget_level budget_learn"
        " step"
    )


class Run(ctypes.Structure):
    """As in tick.h."""

    _fields_ = [
        *_pointers("shard sizes rules others rows columns seconds"),
        *_each(ctypes.c_int64, "tick n_ticks phase first n"),
    ]
