"""Between windows and networks: inputs, the next forecasts, and hidden states rebuilt from windows.

The inputs of a step, of a rebuild and of training come from one function, so that stepping through a
window and running it again agree.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F32, F64, I64, Bool, Slots
from pipeline.flow.state import Model, State
from pipeline.forecast.bank import run, step
from pipeline.forecast.features import N_OUTLOOK, features, squash

_N_DRIFTED = 16  # readings that stand for the level a stream has drifted to
_N_NEW_NORMAL = 64  # readings that stand for the new normal after a lasting change


@dataclass(frozen=True, slots=True)
class Scale:
    """The scale in which networks work, shape (D,) each.

    Attributes:
        middle: Sensor's unit.
        spread: Sensor's unit; 0 where a stream has no scale yet.
        interval: Usual seconds between readings.
    """

    middle: F64
    spread: F64
    interval: F64

    @classmethod
    def in_force(cls, state: State, slots: Slots) -> "Scale":
        """Return the scales that the streams' networks work in."""
        pending = state.pending
        return cls(pending.location_of_scale[slots], pending.spread_of_scale[slots], pending.interval_of_scale[slots])

    def at(self, rows: I64 | Bool) -> "Scale":
        """Return the scales of some of the streams."""
        return Scale(self.middle[rows], self.spread[rows], self.interval[rows])


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known at each of L consecutive readings of D streams, shape (D, L, ...) each.

    Attributes:
        value: Readings, sensor's unit.
        previous: The readings before them, NaN where there is none; but for the first, those of the sequence.
        time: Event times, Unix seconds.
        interval: Seconds since the previous readings, NaN where there is none.
        outlook: What was known of the next readings, minus the readings, shape (D, L, O).
        context: Scaled values of other streams, shape (D, L, K).
    """

    value: F64
    previous: F64
    time: F64
    interval: F64
    outlook: F64
    context: F32

    def as_sequence(self) -> "Seen":
        """Return single readings, given without an axis of L, as sequences of one."""
        columns = (self.value[:, None], self.previous[:, None], self.time[:, None], self.interval[:, None])
        return Seen(*columns, self.outlook[:, None], self.context[:, None])


def inputs(scale: Scale, seen: Seen) -> F32:
    """Return the networks' inputs, float32, shape (D, L, F); the values are 0 where a stream has no scale yet."""
    middle = scale.middle[:, None]
    divisor = np.where(scale.spread > 0, scale.spread, np.inf)[:, None]
    z = squash(seen.value, middle, divisor)
    change = np.empty_like(z)  # squashed values before are the ones before, but for the first
    change[:, :1] = z[:, :1] - squash(seen.previous[:, :1], middle, divisor)
    np.subtract(z[:, 1:], z[:, :-1], out=change[:, 1:])
    change[np.isnan(seen.previous)] = np.nan
    ratio = seen.interval / scale.interval[:, None]
    for column, unknown in ((change, 0.0), (ratio, 1.0)):
        missing = np.isnan(column)
        if missing.any():
            column[missing] = unknown
    outlook = squash(seen.value[..., None] + seen.outlook, middle[..., None], divisor[..., None])
    return features(z, change, seen.time, ratio, outlook, seen.context)


def advance(model: Model, state: State, ix: Slots, slots: I64, previous: F64, interval: F64, context: F32) -> None:
    """Step the networks over the newest readings, and let every forecaster foretell the next.

    Args:
        model: Settings and weights.
        state: The shard; the newest readings are already in the windows.
        ix: Streams.
        slots: The same streams as an index array, shape (A,).
        previous: The readings before, shape (A,).
        interval: Seconds since them, NaN for a first reading, shape (A,).
        context: Scaled values of other streams, shape (A, K).
    """
    pending, windows = state.pending, state.windows
    width = windows.value.shape[1]
    at = slots * width + (windows.n[ix] - 1) % width
    value, time = windows.value.reshape(-1)[at], windows.newest[ix]
    season_now = windows.season_before(slots)
    step_s = state.cadence.step_s[ix]
    ahead = state.season.ahead(ix, slots, time + np.where(np.isnan(step_s), 0.0, step_s))
    baselines = state.league.foretell(ix, slots, value, season_now, ahead[0])
    foreseen = np.empty((len(slots), N_OUTLOOK))
    for place, column in enumerate(ahead):
        foreseen[:, place] = column
    foreseen[:, len(ahead) :] = baselines
    windows.note(slots, foreseen, context)
    known = np.where(pending.n_since[ix] > 0, previous, np.nan)
    newest = Seen(value, known, time, interval, windows.foreseen(slots), context)
    x = inputs(Scale.in_force(state, ix), newest.as_sequence())[:, 0]
    out, hidden = step(model.network, model.bank, state.ledger.group[ix], x, pending.hidden[ix])
    pending.hidden[ix] = hidden
    location, scale = pending.foretell(slots, pending.n_since[ix], out, model.horizons)
    pending.n_since[ix] += 1
    state.league.join(ix, value, location, scale)


def set_scale(state: State, slots: I64) -> None:
    """Let networks work in the scale of today; their hidden states must be rebuilt afterwards."""
    put_scale(state, slots, Scale(state.scaling.mean[slots], state.scaling.spread(slots), state.cadence.step_s[slots]))


def put_scale(state: State, slots: I64, scale: Scale) -> None:
    """Let networks work in a given scale; their hidden states must be rebuilt afterwards."""
    state.pending.location_of_scale[slots] = scale.middle
    state.pending.spread_of_scale[slots] = scale.spread
    state.pending.interval_of_scale[slots] = scale.interval
    unit = state.windows.unit[slots]
    state.windows.unit[slots] = np.where(unit > 0, unit, scale.spread)


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
    out, hidden = run(model.network, model.bank, state.ledger.group[slots], x, is_valid)
    pending.hidden[slots] = hidden
    has_run = pending.n_since[slots] > 0
    if n_newest == 0 and has_run.any():
        at = slots[has_run]
        location, scale = pending.foretell(at, pending.n_since[at] - 1, out[has_run], model.horizons)
        state.league.join(at, state.windows.last(at, 1).value[:, 0], location, scale)


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
    outlook, context = state.windows.noted(slots, length + 1 + n_newest)
    seen = Seen(value[:, 1:], previous, time[:, 1:], interval, outlook[:, 1:end], context[:, 1:end])
    x = inputs(Scale.in_force(state, slots), seen)
    return np.where(is_valid[..., None], x, np.float32(0)), is_valid


def start_anew(state: State, slots: I64) -> None:
    """Forget what was learnt of streams whose windows now hold something else: scales, scores, hidden states."""
    state.scaling.rebase(slots, state.windows.last(slots, _N_NEW_NORMAL).value)
    for part in (state.surprise, state.budget, state.usual, state.league, state.season, state.drift):
        part.reset(slots)
    for yardstick in (state.flutter, state.reach, state.grain):
        yardstick.forget(slots)
    state.due.cancel(slots)  # a lesson made before it would teach what the windows no longer hold
    state.pending.forget(slots)
    set_scale(state, slots)


def follow_drift(model: Model, state: State, slots: I64) -> None:
    """Take the level that streams have drifted to as their new middle; how far they spread is still known."""
    state.scaling.recentre(slots, state.windows.last(slots, _N_DRIFTED).value)
    set_scale(state, slots)
    rebuild(model, state, slots, n_newest=1)


def accept_change(model: Model, state: State, slots: I64) -> None:
    """Take a change that outlasted its quarantine as the new normal: rescale, and let it teach."""
    length = min(_N_NEW_NORMAL, model.settings.detection.n_quarantine)  # readings since the change
    state.scaling.rebase(slots, state.windows.last(slots, length).value)
    state.windows.is_taught[slots] = True
    state.due.cancel(slots)
    state.league.reset(slots)  # by its errors before the change one forecaster would be as good as another for long
    state.drift.forget(slots)
    state.pending.location[slots] = np.nan  # foretold in the old normal, absurd by the new one's spread
    set_scale(state, slots)
    rebuild(model, state, slots, n_newest=1)
