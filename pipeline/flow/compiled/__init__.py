"""Ticks by the compiled helper: what nearly every reading passes, in one call; what is rare is left to the engine.

Arrays of state are handed over once, and again where one was replaced; the C files work on them in place. Results are
those of ``engine._tick``, which it is tested against, to the last bit, but for exponentials, logarithms and the like.
"""

import ctypes
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pipeline.core.columns import SlotArrays
from pipeline.core.compiled import load, plain
from pipeline.core.records import F64, I64, Batch, Slots, Steps
from pipeline.core.slots import as_run
from pipeline.detect import budget, health_stuck, surprise
from pipeline.detect import compiled as detect
from pipeline.flow.compiled.columns import (
    BANK,
    SHAPES,
    STAGES,
    Columns,
    Others,
    Rows,
    Rules,
    Run,
    Shard,
    Sizes,
    of_tick,
)
from pipeline.flow.state import Model, State
from pipeline.forecast import compiled as networks
from pipeline.forecast.compiled import league
from pipeline.forecast.intervals import LEVELS
from pipeline.streams import cadence, season

_VERSION = 3  # of what lies between here and the C files
_MOST_MEMBERS = 7  # as far as sums go in one order
_THROUGH, _NOT_THERE = -1, -2
#: Phases after which there may be something to do, in the order of ticks.c.
ARRIVED, JUDGED, _DECIDED, WATCHED, REPORTED, LEARNT, _ADVANCED, STEPPED, _FORETOLD = range(9)
#: Readings of one tick at most: what is worked on lies in a cache, and takes little memory.
AT_ONCE = 1024
_KEEP_OF_RUNS = np.array([health_stuck.KEEP], np.float64)


@cache
def _library() -> ctypes.CDLL | None:
    return load(Path(__file__).parent, "_tick", _VERSION)


def serves(model: Model) -> bool:
    """Say whether ticks with these settings are its business."""
    forecast, n_kept = model.settings.forecast, model.settings.detection.n_kept
    is_small = forecast.ensemble <= _MOST_MEMBERS and forecast.horizon_short <= forecast.horizon_long
    others = league.serves() and detect.serves(n_kept, forecast.ensemble)
    return is_small and others and _library() is not None


class Desk:
    """Where ticks of a shard are worked on: the columns of the readings under way, and where all others lie.

    Columns are attributes, with as many rows as the tick has readings, see ``tick.h``.
    """

    def __init__(self, model: Model, state: State) -> None:
        self._model, self._settings, self._capacity = model, model.settings, state.capacity
        self._parts = _parts(model, state)
        self._tables = [part.table(layout) for part, layout in self._parts]
        n_members, n_context = state.pending.hidden.shape[1], state.context.source.shape[1]
        n_most = min(AT_ONCE, state.capacity)
        self._columns = {
            name: np.zeros((n_most, *shape), dtype) for name, (dtype, shape) in of_tick(n_members, n_context).items()
        }
        self._rules, self._rows = _rules(model), Rows()
        structures = (
            Shard(*(ctypes.addressof(table) for table in self._tables)),
            _sizes(model, state),
            self._rules,
            _others(model),
            self._rows,
            Columns(*(column.ctypes.data for column in self._columns.values())),
        )
        self._structures = structures  # what the run points to
        self._run = Run(*(ctypes.addressof(each) for each in structures))

    def __getattr__(self, name: str) -> NDArray[Any]:
        """Return a column of the readings under way, not copied."""
        if name not in (columns := self.__dict__.get("_columns", {})):
            raise AttributeError(name)
        return columns[name][: self._run.n]  # type: ignore[no-any-return] # as made

    def __deepcopy__(self, _memo: object) -> None:
        """A copy of a shard lies elsewhere, and gets its own."""

    @classmethod
    def of(cls, model: Model, state: State) -> Self:
        """Return that of a shard, made anew where something lies elsewhere now, or settings are others."""
        desk = state.desk
        if not isinstance(desk, cls) or not desk.fits(model, state):
            state.desk = desk = cls(model, state)
        return desk

    def fits(self, model: Model, state: State) -> bool:
        """Say whether it is of this shard as it is now."""
        is_same = self._model is model and self._settings is model.settings and self._capacity == state.capacity
        tables = zip(self._parts, self._tables, strict=True)
        return is_same and all(part.table(layout) is table for (part, layout), table in tables)

    def keep_time(self) -> F64:
        """Return the seconds that each phase takes from now on, in the order of ticks.c; they grow."""
        self._seconds = np.zeros(_FORETOLD + 1)
        self._run.seconds = self._seconds.ctypes.data
        return self._seconds

    @property
    def ix(self) -> Slots:
        """The streams of the tick under way, as a run where they are one."""
        return as_run(self.slots)

    def run(self, batch: Batch, order: I64, bounds: I64, steps: Steps) -> Iterator[int]:
        """Run ticks; yields the phase that has been left whenever there is something to do before the next.

        Args:
            batch: The readings.
            order: Rows of the batch, tick by tick.
            bounds: Where ticks begin and end in it; no more than ``AT_ONCE`` readings each.
            steps: What goes out, one row per reading of the batch.
        """
        library = _library()
        if library is None:
            raise RuntimeError("the compiled helper is not there: serves() says so")
        n = len(batch)
        given = (
            (batch.slot, np.int32, n),
            (batch.time, np.float64, n),
            (batch.value, np.float64, n),
            (batch.flags, np.uint8, n),
            (order, np.int64, len(order)),
            (bounds, np.int64, len(bounds)),
        )
        columns = [_fitting(plain(array, dtype), dtype, length) for array, dtype, length in given]
        found = (steps.forecast, steps.lower, steps.upper, steps.score, steps.level, steps.opened)
        columns += [_fitting(array, np.float64, n) for array in found]
        columns += [_fitting(steps.event, np.int8, n), _fitting(steps.health, np.uint16, n)]
        self._rows.__init__(*(column.__array_interface__["data"][0] for column in columns))  # type: ignore[misc]
        if len(order) and not 0 <= int(order.min()) <= int(order.max()) < n:
            raise IndexError("a row of the compiled helper is not there")
        self._rules.has_detail = steps.detail is not None
        self._run.tick, self._run.phase, self._run.n_ticks = 0, 0, len(bounds) - 1
        place = ctypes.byref(self._run)
        while (left := library.ft_run(place)) >= 0:
            yield left
        if left == _NOT_THERE:
            raise IndexError("a stream of the compiled helper is not there")


def _fitting(array: NDArray[Any], dtype: DTypeLike, n: int) -> NDArray[Any]:
    if array.dtype != dtype or array.shape != (n,) or not array.flags.carray:
        raise ValueError(f"arrays of the compiled helper do not fit together: {array.dtype}{array.shape}")
    return array


def _parts(model: Model, state: State) -> list[tuple[SlotArrays, dict[str, Any]]]:
    """Return the stages in the order of ``Shard``, and the layouts of their tables."""
    parts = []
    for stage, names in (*STAGES.items(), ("bank", BANK)):
        part: SlotArrays = model.bank if stage == "bank" else getattr(state, stage)
        layout = {name: (getattr(part, name).dtype, getattr(part, name).shape[1:]) for name in names.split()}
        for name, (dtype, shape) in layout.items():
            expected = SHAPES.get((stage, name))
            if expected is not None and shape[-len(expected) :] != expected:
                raise ValueError(f"{stage}.{name} is not as the compiled helper takes it to be: {dtype}{shape}")
        parts.append((part, layout))
    n_tails, n_places = state.surprise.largest.shape[1:]
    return [
        *parts,
        (state.league, dict(league.LAYOUT)),
        (state.surprise, dict(detect.surprise_layout(n_tails, n_places))),
        (state.budget, dict(detect.budget_layout(n_places))),
    ]


def _sizes(model: Model, state: State) -> Sizes:
    lengths = (ctypes.c_int64 * 4)(*model.horizons.lengths)
    return Sizes(
        capacity=state.capacity,
        width=state.windows.value.shape[1],
        n_ring=state.season.ring.shape[1],
        n_members=state.pending.location.shape[1],
        n_pending=state.pending.location.shape[2],
        n_context=state.windows.context.shape[2],
        n_hidden=model.network.stack.n_hidden,
        n_weights=model.bank.weights.shape[2],
        n_groups=model.bank.capacity,
        n_places=state.budget.largest.shape[2],
        n_evidence=state.trail.value.shape[1],
        lengths=lengths,
    )


def _rules(model: Model) -> Rules:
    settings = model.settings
    detection = settings.detection
    return Rules(
        gap_cadences=settings.streams.gap_cadences,
        seconds_per_false_alarm=detection.seconds_per_false_alarm,
        quarantine_level=detection.quarantine_level,
        rest_share=detection.rest_share,
        n_rest=detection.n_rest,
        n_rest_most=detection.n_rest_most,
        close_margin=detection.close_margin,
        interval=LEVELS.index(settings.forecast.interval_percent / 100),
        n_warmup=detection.n_warmup,
        n_settled=detection.n_settled,
        n_quiet=detection.n_quiet,
        n_quarantine=detection.n_quarantine,
        has_health=settings.health.enabled,
        surprise_remembers=surprise.N_REMEMBERED,
        budget_remembers=budget.N_REMEMBERED,
        instructions=networks.level() if networks.serves(model.network) else 0,
        n_paces_of_cadence=len(cadence.PACES),
        paces_of_cadence=cadence.PACES.ctypes.data,
        paces_of_season=season.PACES.ctypes.data,
        keep_of_runs=_KEEP_OF_RUNS.ctypes.data,
    )


def _others(model: Model) -> Others:
    """Return where other helpers' functions lie; networks that are not theirs are stepped by the engine."""
    step = networks.functions()["step"] if networks.serves(model.network) else None
    return Others(**league.functions(), **detect.functions(), step=step)
