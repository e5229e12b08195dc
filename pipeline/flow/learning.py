"""Fine-tuning as the flow sees it: which networks are due, on which windows, and what follows.

The schedule counts readings and the windows are drawn by each network's own random numbers, so the
same readings give the same weights, whatever other streams do.
"""

import numpy as np

from pipeline.core.records import F32, F64, I64, Bool
from pipeline.core.seeds import uniforms
from pipeline.flow.forecasting import inputs, rebuild, set_scale
from pipeline.flow.state import Model, State
from pipeline.forecast.features import Z_BOUND, squash
from pipeline.forecast.targets import ACTIVITY, N_TARGETS, log_activity
from pipeline.forecast.training import Windows, fine_tune

_N_YOUNG = 500  # readings under which a network trains twice as long
_N_RECENT = 200  # half of the windows start within so many of the newest places
_MAX_STREAMS_PER_BATCH = 8  # a shared network's minibatch grows with its streams up to this
_DRAWS_PER_ROUND = np.uint64(24)  # two to the power of this are set aside; initial weights use round 0
_CHUNK = 32  # networks trained at once: their activations stay in the cache


def due_groups(model: Model, state: State) -> I64:
    """Return the networks that are due for a fine-tune, largest debt first.

    A network is due when one of its streams has ``training.every`` readings it was not trained on,
    and a whole training window.
    """
    training = model.settings.training
    live = state.table.live
    if not len(live) or not training.enabled:
        return np.zeros(0, np.int64)
    n = state.windows.n[live]
    debt = np.where(n >= training.window + 2, n - state.ledger.n_trained[live], 0)
    by_group = np.zeros(model.bank.capacity, np.int64)
    np.maximum.at(by_group, state.ledger.group[live], debt)
    due = np.flatnonzero(by_group >= training.every)
    return due[np.argsort(-by_group[due], kind="stable")]


def fine_tune_groups(model: Model, state: State, groups: I64) -> Bool:
    """Fine-tune networks on their streams' windows, then rescale and rebuild those streams.

    Args:
        model: Its bank changes at ``groups``.
        state: Scales, hidden states and next forecasts of those networks' streams change.
        groups: Networks, from ``due_groups``.

    Returns:
        True where the new weights were accepted, False where they were not finite and dropped.
    """
    accepted = np.zeros(len(groups), np.bool_)
    live = state.table.live
    n_read = np.zeros(model.bank.capacity, np.int64)
    np.maximum.at(n_read, state.ledger.group[live], state.windows.n[live])
    is_young = n_read[groups] < _N_YOUNG
    for factor, index in ((2, np.flatnonzero(is_young)), (1, np.flatnonzero(~is_young))):
        for chunk in np.split(index, range(_CHUNK, len(index), _CHUNK)):
            if len(chunk):
                n_steps = factor * model.settings.training.steps
                accepted[chunk] = _fine_tune_chunk(model, state, groups[chunk], n_steps)
    return accepted


def _fine_tune_chunk(model: Model, state: State, groups: I64, n_steps: int) -> Bool:
    """Fine-tune networks of like age together."""
    live = state.table.live
    streams = live[np.isin(state.ledger.group[live], groups)]
    scaled = streams[state.pending.spread_of_scale[streams] > 0]  # a fleet has streams too young for a scale
    set_scale(state, scaled)  # train in the scale that will be in force
    minibatches = _draw(model, state, groups, streams, n_steps)
    accepted = fine_tune(model.bank, groups, minibatches, model.settings.training.learning_rate)
    state.ledger.n_trained[streams] = state.windows.n[streams]
    rebuild(model, state, streams)
    return accepted


def _draw(model: Model, state: State, groups: I64, streams: I64, n_steps: int) -> list[Windows]:
    """Draw the windows of all minibatches: every stream of a network alike, half of them recent."""
    training = model.settings.training
    ready = streams[state.windows.n[streams] >= training.window + 2]
    by_group = [ready[state.ledger.group[ready] == group] for group in groups]
    n_most = max(len(members) for members in by_group)
    n_rows = training.batch * min(n_most, _MAX_STREAMS_PER_BATCH)
    n_draws = n_steps * n_rows
    offset = (model.bank.n_rounds[groups].astype(np.uint64) + np.uint64(1)) << _DRAWS_PER_ROUND
    draws = uniforms(model.bank.key[groups], 2 * n_draws, offset).reshape(len(groups), 2, n_draws)
    slots = np.stack(
        [members[(u * len(members)).astype(np.int64)] for members, u in zip(by_group, draws[:, 0], strict=True)]
    )
    n_held = np.minimum(state.windows.n[slots], state.windows.value.shape[1])
    newest = n_held - training.window - 1  # latest start whose first target has been read
    is_recent = np.arange(n_draws) % 2 == 0
    oldest = np.where(is_recent, np.maximum(1, newest - _N_RECENT), 1)
    start = oldest + (draws[:, 1] * (newest - oldest + 1)).astype(np.int64)
    x, y, is_known = _cut(model, state, slots.ravel(), (state.windows.n[slots] - n_held + start).ravel())
    shape = (len(groups), n_steps, n_rows, training.window, -1)
    x, y, is_known = x.reshape(shape), y.reshape(shape), is_known.reshape(shape)
    return [Windows(x[:, i], y[:, i], is_known[:, i]) for i in range(n_steps)]


def _cut(model: Model, state: State, slots: I64, first: I64) -> tuple[F32, F32, Bool]:
    """Cut windows with their targets.

    Args:
        model: Settings.
        state: The shard.
        slots: Stream of each window, shape (N,).
        first: Number of its first reading; the one before is still held, shape (N,).

    Returns:
        Inputs (N, T, F), targets (N, T, C) and whether each target is known and may teach (N, T, C).
    """
    length, width = model.settings.training.window, state.windows.value.shape[1]
    number = first[:, None] + np.arange(-1, length + model.horizons.long)
    at = number % width
    rows = slots[:, None]
    value, time = state.windows.value[rows, at], state.windows.time[rows, at]
    may_teach = (number < state.windows.n[rows]) & state.windows.is_taught[rows, at]
    inside = slice(1, length + 1)
    interval = np.diff(time[:, : length + 1], axis=1)
    x = inputs(state, slots, value[:, inside], value[:, :length], time[:, inside], interval)
    y, is_known = _targets(model, state, slots, value, may_teach)
    return x, y, is_known


def _targets(model: Model, state: State, slots: I64, value: F64, may_teach: Bool) -> tuple[F32, Bool]:
    """Return what the networks should have foretold at each reading of each window, scaled."""
    length = model.settings.training.window
    middle, spread = state.pending.location_of_scale[slots, None], state.pending.spread_of_scale[slots, None]
    reach = spread * np.sinh(Z_BOUND)  # beyond it squashed values are alike; sums of glitches would lose the rest
    deviation = np.where(may_teach, np.clip(value - middle, -reach, reach), 0.0)
    sums = _cumulative(deviation)
    changes = _cumulative(np.abs(np.diff(deviation, axis=1)))
    missing = _cumulative(~may_teach)
    at = np.arange(1, length + 1)  # place of each reading of the window in ``value``
    y = np.empty((len(slots), length, N_TARGETS), np.float32)
    is_known = np.empty(y.shape, np.bool_)
    for target, horizon in enumerate(model.horizons.lengths):
        first = at if target == ACTIVITY else at + 1  # the first change starts at the reading itself
        is_known[..., target] = missing[:, at + 1 + horizon] == missing[:, first]
        if target != ACTIVITY:
            mean = (sums[:, at + 1 + horizon] - sums[:, at + 1]) / horizon
            y[..., target] = squash(mean + middle, middle, spread)
        else:
            mean_change = (changes[:, at + horizon] - changes[:, at]) / horizon
            y[..., target] = log_activity(mean_change, spread) - np.log(spread)
    return y, is_known


def _cumulative(a: F64 | Bool) -> F64:
    """Return sums of the first 0, 1, ... columns, shape (N, L + 1)."""
    out = np.zeros((len(a), a.shape[1] + 1))
    np.cumsum(a, axis=1, out=out[:, 1:])
    return out
