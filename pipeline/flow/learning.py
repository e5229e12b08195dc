"""Fine-tuning as the flow sees it: the lessons of networks that are due, and what follows from the result.

``due_groups -> prepare -> teach -> apply``. ``teach`` is pure and may run in another process while
readings go on; ``fine_tune_groups`` does all of it at once. ``schedule`` says when.
"""

from dataclasses import dataclass, fields, replace

import numpy as np

from pipeline.core.records import F16, F32, F64, I8, I32, I64, U16, Bool
from pipeline.core.seeds import uniforms
from pipeline.core.settings import Settings
from pipeline.flow.curriculum import MAX_STREAMS_PER_BATCH, Curriculum, dropout_draws
from pipeline.flow.forecasting import put_scale, rebuild
from pipeline.flow.lessons import Lesson
from pipeline.flow.schedule import readings_since, scale_now
from pipeline.flow.state import Model, State
from pipeline.forecast.backend import backend_for
from pipeline.forecast.bank import put_by
from pipeline.forecast.gate import Outcome, compare, is_finite, is_regression, verdict
from pipeline.forecast.moments import packed, unpacked
from pipeline.forecast.network import Network, network_for
from pipeline.forecast.training import Weights, fine_tune
from pipeline.streams.windows import Windows

_N_YOUNG = 500  # readings under which a network trains twice as long
_CHUNK = 32  # networks trained at once, times their streams in a minibatch: their activations stay in the cache
_MAX_STREAMS = 64  # of one network in one lesson, drawn anew for each
_STREAM_DRAWS = 1 << 60  # where the draws of streams begin


@dataclass(frozen=True, slots=True)
class Taught:
    """What became of a lesson, shape (G, ...) each.

    Attributes:
        weights: Of the networks now: the challenger's, the champion's or those before it, shape (G, E, P).
        previous: What to roll back to, as in ``Bank``, shape (G, E, P).
        m, v: Adam's moments, likewise.
        n_steps: Optimiser steps taken, int32.
        outcome: ``gate.Outcome`` of the challenger, int8.
        is_rolled_back: The champion had done worse than its predecessor and was taken back first.
    """

    weights: F32
    previous: F16
    m: I8
    v: U16
    n_steps: I32
    outcome: I8
    is_rolled_back: Bool


def fine_tune_groups(model: Model, state: State, groups: I64) -> list[tuple[Lesson, Taught]]:
    """Fine-tune networks here and now.

    Args:
        model: Its bank changes at ``groups``.
        state: Scales, hidden states and next forecasts of those networks' streams change.
        groups: Networks, from ``due_groups``.

    Returns:
        Their lessons and what became of them, in parts.
    """
    results = []
    for chunk in chunks(model, state, groups):
        lesson = prepare(model, state, chunk)
        taught = teach(lesson, model.settings)
        apply(model, state, lesson, taught)
        results.append((lesson, taught))
    return results


def chunks(model: Model, state: State, groups: I64) -> list[I64]:
    """Part networks into lessons of bounded size and of like age and number of streams: none decides for another."""
    live = state.table.live
    n_read = np.zeros(model.bank.capacity, np.int64)
    np.maximum.at(n_read, state.ledger.group[live], state.due.n[live])
    pupils = live[state.due.n[live] > 0]
    n_streams = np.bincount(state.ledger.group[pupils], minlength=model.bank.capacity)[groups]
    n_rows = np.clip(n_streams, 1, MAX_STREAMS_PER_BATCH)  # what a minibatch grows with
    is_old = n_read[groups] >= _N_YOUNG
    parts = []
    for n, old in sorted(set(zip(n_rows.tolist(), is_old.tolist(), strict=True))):
        part, size = groups[(n_rows == n) & (is_old == old)], max(1, _CHUNK // n)
        parts += [part[at : at + size] for at in range(0, len(part), size)]
    return parts


def prepare(model: Model, state: State, groups: I64) -> Lesson:
    """Copy what a fine-tune of networks that are due needs, as it was when they fell due.

    Readings that came since lie in the rings already; how many the oldest ones may be overwritten by is set aside. When
    that would be too many, as after a long time without a teacher, a network learns from what there is now.
    """
    bank, windows = model.bank, state.windows
    slots, network_of = _pupils(model, state, groups)
    n_due, scale, now = state.due.n[slots], state.due.take(slots), scale_now(state, slots)
    is_stale = windows.n[slots] - n_due > _most_since(model.settings, windows.value.shape[1])
    n = np.where(is_stale, windows.n[slots], n_due)
    n_since = np.maximum(model.settings.training.takeover, windows.n[slots] - n)
    own = bank.take(groups)
    return Lesson(
        groups=groups,
        **{name: own[name] for name in ("key", "n_rounds", "n_steps", "weights", "previous", "m", "v")},
        slots=slots,
        network_of=network_of,
        n_due=n_due,
        n_trained=state.ledger.n_trained[slots],
        **{name: array for name, array in windows.take(slots).items() if name not in ("n", "newest")},
        last_s=_event_time(windows, slots, n),
        n=n,
        n_held=np.minimum(n, windows.value.shape[1] - n_since),
        **{name: np.where(is_stale, now[name], scale[name]) for name in now},
    )


def _event_time(windows: Windows, slots: I64, n: I64) -> F64:
    """Return the event time of the last of the first ``n`` readings of streams, shape (D,)."""
    n_since = windows.n[slots] - n
    time = windows.last(slots, int(n_since.max(initial=0)) + 1).time
    found: F64 = time[np.arange(len(slots)), -1 - n_since]
    return found


def _most_since(settings: Settings, width: int) -> int:
    """Return how many readings may have come since a network fell due for its lesson to be as of then."""
    training = settings.training
    return max(training.takeover, min(training.every, width // 4, width - training.window - 2))


def _pupils(model: Model, state: State, groups: I64) -> tuple[I64, I64]:
    """Return the streams that networks learn from, by network; of those with very many, a fresh sample."""
    live = state.table.live
    live = live[state.due.n[live] > 0]
    order = live[np.argsort(state.ledger.group[live], kind="stable")]
    group_of = state.ledger.group[order]
    first, last = np.searchsorted(group_of, groups), np.searchsorted(group_of, groups, side="right")
    members = []
    for group, start, end in zip(groups, first, last, strict=True):
        own = order[start:end]
        if len(own) > _MAX_STREAMS:
            first_draw = _STREAM_DRAWS + int(model.bank.n_rounds[group]) * len(own)
            draws = uniforms(model.bank.key[[group]], len(own), first_draw)[0]
            own = np.sort(own[np.argsort(draws, kind="stable")[:_MAX_STREAMS]])
        members.append(own)
    return np.concatenate(members), np.repeat(np.arange(len(groups)), [len(own) for own in members])


def teach(lesson: Lesson, settings: Settings) -> Taught:
    """Fine-tune the networks of a lesson, and let the gate decide what goes live. Pure."""
    network, curriculum = network_for(settings.forecast), Curriculum(lesson, settings)
    trial, before = curriculum.unseen(), lesson.previous.astype(np.float32)
    is_rolled_back = is_regression(compare(network, before, lesson.weights, trial))
    champion = np.where(is_rolled_back[:, None, None], before, lesson.weights)
    after = _challengers(lesson, settings, network, curriculum, champion)
    finite = is_finite(after.weights, after.m, after.v)
    outcome = verdict(compare(network, champion, after.weights, curriculum.hold_out()), finite)
    m, v = packed(after.m, after.v)
    accepted = (outcome == Outcome.ACCEPTED)[:, None, None]
    return Taught(
        weights=np.where(accepted, after.weights, champion),
        previous=np.where(accepted, put_by(champion), lesson.previous),
        m=np.where(accepted, m, lesson.m),
        v=np.where(accepted, v, lesson.v),
        n_steps=np.where(accepted[:, 0, 0], after.n_steps, lesson.n_steps),
        outcome=outcome,
        is_rolled_back=is_rolled_back,
    )


def _challengers(
    lesson: Lesson, settings: Settings, network: Network, curriculum: Curriculum, champion: F32
) -> Weights:
    """Return what champions become by the lesson, a few at a time: their windows are most of what a lesson takes."""
    n_at_once = backend_for(network).N_AT_ONCE
    parts = [
        _taught(lesson, settings, network, curriculum, champion, slice(start, start + n_at_once))
        for start in range(0, len(champion), n_at_once)
    ]
    names = (field.name for field in fields(Weights))
    return Weights(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _taught(
    lesson: Lesson, settings: Settings, network: Network, curriculum: Curriculum, champion: F32, networks: slice
) -> Weights:
    """Return what some champions become, each member on windows of its own."""
    training, own = settings.training, champion[networks]
    is_young = lesson.n_due.max() < _N_YOUNG  # as lessons are parted by
    n_batches = training.steps * (2 if is_young else 1)
    draws = None
    if network.has_dropout:
        draws = dropout_draws(lesson, networks, network.stack.n_keep, n_batches, curriculum.n_rows)
    (n_groups, n_members, n_weights), together = own.shape, own.shape
    apart = (n_groups * n_members, 1, n_weights)
    n_steps = np.repeat(lesson.n_steps[networks], n_members)
    m, v = unpacked(lesson.m[networks], lesson.v[networks])
    before = Weights(own.reshape(apart), m.reshape(apart), v.reshape(apart), n_steps)
    windows = curriculum.minibatches(n_batches, networks)
    after = fine_tune(network, before, windows, n_batches, training.learning_rate, draws)
    weights, m, v = (a.reshape(together) for a in (after.weights, after.m, after.v))
    return Weights(weights, m, v, after.n_steps[::n_members])


def apply(model: Model, state: State, lesson: Lesson, taught: Taught) -> None:
    """Put new weights in force and rebuild their streams' hidden states; what has changed since is left alone."""
    bank, groups = model.bank, lesson.groups
    is_same = (bank.key[groups] == lesson.key) & (bank.n_rounds[groups] == lesson.n_rounds)
    is_same &= readings_since(state, lesson.slots, lesson.n_due, lesson.network_of, len(groups)) >= 0
    bank.put(
        groups[is_same],
        {
            **{name: getattr(taught, name)[is_same] for name in ("weights", "previous", "m", "v", "n_steps")},
            "key": lesson.key[is_same],
            "n_rounds": lesson.n_rounds[is_same] + np.int32(1),
        },
    )
    own = is_same[lesson.network_of] & (state.ledger.group[lesson.slots] == groups[lesson.network_of])
    # Where this does not hold, the slot has been given to another stream, or that one has changed.
    own &= state.due.n[lesson.slots] == lesson.n_due
    scaled = own & (lesson.spread > 0)
    put_scale(state, lesson.slots[scaled], lesson.scale.at(scaled))
    live = state.table.live
    streams = live[np.isin(state.ledger.group[live], groups[is_same])]
    if not len(streams):
        return
    state.ledger.n_trained[streams] = state.windows.n[streams]
    state.ledger.n_trained[lesson.slots[own]] = lesson.n[own]
    state.due.n[streams] = 0
    rebuild(model, state, streams)


def part_of(lesson: Lesson, taught: Taught, keep: Bool) -> tuple[Lesson, Taught]:
    """Return some networks of a lesson without readings, and what became of them.

    Args:
        lesson: What ``Lesson.without_readings`` returned.
        taught: What became of it.
        keep: Which networks, shape (G,).
    """
    rows = keep[lesson.network_of]
    number = np.cumsum(keep) - 1
    by_network = {name: getattr(lesson, name)[keep] for name in ("groups", "key", "n_rounds")}
    names = ("slots", "n_due", "n", "middle", "spread", "interval")
    by_stream = {name: getattr(lesson, name)[rows] for name in names}
    part = replace(lesson, **by_network, **by_stream, network_of=number[lesson.network_of[rows]])
    return part, Taught(**{field.name: getattr(taught, field.name)[keep] for field in fields(taught)})
