"""Between windows and networks: inputs, the next forecasts, and hidden states rebuilt from windows.

The inputs of a step and of a rebuild come from one function, so that stepping through a window and
running it again agree.
"""

import numpy as np

from pipeline.core.records import F32, F64, I64, Bool, Slots
from pipeline.flow.state import Model, State
from pipeline.forecast.bank import plan_for, run, step
from pipeline.forecast.features import features, squash
from pipeline.forecast.pending import student_t_quantile

_N_NEW_NORMAL = 64  # readings that stand for the new normal after a lasting change


def inputs(state: State, slots: I64, value: F64, previous: F64, time: F64, interval: F64) -> F32:
    """Return the network's inputs, in the scale each stream's network works in.

    Args:
        state: The shard.
        slots: Streams, shape (D,).
        value: Readings, sensor's unit, shape (D, L).
        previous: The readings before them, NaN where there is none.
        time: Event times, Unix seconds.
        interval: Seconds since the previous readings, NaN where there is none.

    Returns:
        float32, shape (D, L, F); the values are 0 where a stream has no scale yet.
    """
    pending = state.pending
    middle = pending.location_of_scale[slots, None]
    spread = pending.spread_of_scale[slots, None]
    divisor = np.where(spread > 0, spread, np.inf)
    z = squash(value, middle, divisor)
    change = np.where(np.isnan(previous), 0.0, z - squash(previous, middle, divisor))
    ratio = interval / pending.interval_of_scale[slots, None]
    return features(z, change, time, np.where(np.isnan(ratio), 1.0, ratio))


def advance(model: Model, state: State, ix: Slots, slots: I64, previous: F64, interval: F64) -> None:
    """Step the networks over the newest readings and keep what they foretell.

    Args:
        model: Settings and weights.
        state: The shard; the newest readings are already in the windows.
        ix: Streams.
        slots: The same streams as an index array, shape (A,).
        previous: The readings before, shape (A,).
        interval: Seconds since them, NaN for a first reading, shape (A,).
    """
    pending, windows = state.pending, state.windows
    value = windows.value[slots, (windows.n[ix] - 1) % windows.value.shape[1]]
    known = np.where(pending.n_since[ix] > 0, previous, np.nan)
    columns = (column[:, None] for column in (value, known, windows.newest[ix], interval))
    x = inputs(state, slots, *columns)[:, 0]
    plan = plan_for(state.ledger.group[ix])
    h, c, out = step(model.bank, plan, x, pending.h[ix], pending.c[ix])
    pending.h[ix] = h
    pending.c[ix] = c
    pending.foretell(slots, pending.n_since[ix], out, model.horizons, half_width(model))
    pending.n_since[ix] += 1


def half_width(model: Model) -> float:
    """Return the half-width of the shown interval, in scales of the Student-t."""
    return student_t_quantile((1 + model.settings.forecast.interval) / 2)


def set_scale(state: State, slots: I64) -> None:
    """Let networks work in the scale of today; their hidden states must be rebuilt afterwards."""
    state.pending.location_of_scale[slots] = state.scaling.mean[slots]
    state.pending.spread_of_scale[slots] = state.scaling.spread(slots)
    state.pending.interval_of_scale[slots] = state.cadence.step_s[slots]


def rebuild(model: Model, state: State, slots: I64, n_newest: int = 0) -> None:
    """Rebuild hidden states from the windows, after a change of weights or scale, in one pass.

    Args:
        model: Settings and weights.
        state: The shard.
        slots: Streams, shape (D,).
        n_newest: Newest readings to leave out: 1 where a step over them follows, else 0; then what
            was foretold after the newest reading is foretold anew.
    """
    pending = state.pending
    x, is_valid = _stretch_inputs(model, state, slots, n_newest)
    h, c, out = run(model.bank, plan_for(state.ledger.group[slots]), x, is_valid)
    pending.h[slots] = h
    pending.c[slots] = c
    if n_newest == 0:
        at = slots[pending.n_since[slots] > 0]
        pending.foretell(
            at, pending.n_since[at] - 1, out[pending.n_since[slots] > 0], model.horizons, half_width(model)
        )


def _stretch_inputs(model: Model, state: State, slots: I64, n_newest: int) -> tuple[F32, Bool]:
    """Return inputs of the last training window's length of readings, right-aligned, and their mask."""
    length = model.settings.training.window
    stretch = state.windows.last(slots, length + 1 + n_newest)
    end = length + 1
    value, time = stretch.value[:, :end], stretch.time[:, :end]
    n_run = state.pending.n_since[slots]  # steps made since the start or the last gap
    age = np.arange(length, 0, -1)  # 1 for the last of the stretch
    is_valid = age <= n_run[:, None]
    has_previous = age < n_run[:, None]
    previous = np.where(has_previous, value[:, :-1], np.nan)
    interval = np.where(stretch.is_valid[:, : end - 1], np.diff(time, axis=1), np.nan)
    x = inputs(state, slots, value[:, 1:], previous, time[:, 1:], interval)
    return np.where(is_valid[..., None], x, np.float32(0)), is_valid


def start_anew(state: State, slots: I64) -> None:
    """Forget what was learnt of streams whose windows now hold something else: scales, scores, hidden states."""
    state.scaling.rebase(slots, state.windows.last(slots, _N_NEW_NORMAL).value)
    state.surprise.reset(slots)
    state.skill.reset(slots)
    state.pending.forget(slots)
    set_scale(state, slots)


def accept_change(model: Model, state: State, slots: I64) -> None:
    """Take a change that outlasted its quarantine as the new normal: rescale, let it teach, calibrate anew."""
    length = min(_N_NEW_NORMAL, model.settings.detection.n_quarantine)  # readings since the change
    state.scaling.rebase(slots, state.windows.last(slots, length).value)
    state.windows.is_taught[slots] = True
    state.surprise.reset(slots)
    state.pending.location[slots] = np.nan  # foretold in the old normal, absurd by the new one's spread
    set_scale(state, slots)
    rebuild(model, state, slots, n_newest=1)
