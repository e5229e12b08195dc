"""The readings of one tick as they arrive: addressed, timed, and turned into what is worked on."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64, I64, Batch, Bool, Flag, Slots
from pipeline.flow.forecasting import start_anew
from pipeline.flow.state import Model, State
from pipeline.streams.counters import to_readings


@dataclass(frozen=True, slots=True)
class Arrival:
    """The new readings of one tick, shape (A,) each."""

    rows: I64  # of the batch
    ix: Slots
    slots: I64
    time: F64
    reading: F64  # as it came; base + value may differ in the last bit, and then a resting counter seems to fall
    base: F64  # what the worked-on value counts from: 0, or a counter's last reading
    value: F64  # worked on: the reading, or a counter's increment
    n: I64  # readings before this one
    interval: F64  # seconds since the previous reading, NaN for the first
    is_gap: Bool
    is_certain: Bool  # its time is that of the reading: what is not must not be learnt from


def arrive(model: Model, state: State, batch: Batch, rows: I64) -> Arrival:
    """Address the streams of a tick, and meet gaps."""
    slots = batch.slot[rows].astype(np.int64)
    is_run = slots[-1] - slots[0] + 1 == len(slots)
    ix: Slots = slice(int(slots[0]), int(slots[-1]) + 1) if is_run else slots  # a view costs nothing
    time = batch.time[rows]
    n = state.windows.n[ix].copy()
    interval = np.where(n > 0, time - state.windows.newest[ix], np.nan)
    with np.errstate(invalid="ignore"):
        is_gap = interval > model.settings.streams.gap_cadences * state.cadence.step_s[ix]
    is_certain: Bool = (batch.flags[rows] & Flag.TIME_UNCERTAIN) == 0
    state.cadence.learn(ix, np.where(is_certain, interval, np.nan), n)
    value = batch.value[rows]
    meet(state, slots[is_gap], state.counters.mistaken(ix, slots, value))
    share = np.where(is_gap, state.cadence.step_s[ix] / interval, 1.0)
    base, worked = state.counters.split(ix, value, share)
    return Arrival(rows, ix, slots, time, value, base, worked, n, interval, is_gap, is_certain)


def meet(state: State, silent: I64, mistaken: I64) -> None:
    """Forget what was under way of streams after a gap, and read those as they come that are no counters after all."""
    if len(silent):
        state.pending.forget(silent)
        state.league.forget(silent)
    if len(mistaken):
        state.counters.is_counter[mistaken] = False
        to_readings(state.windows, mistaken, state.counters.last[mistaken])
        start_anew(state, mistaken)
