"""The spine: readings in, one step per reading out. READ THIS FIRST.

``update(model, state, batch, now) -> (state, steps)``::

    batch -> gate (late, duplicate, future, not finite) -> ticks, the k-th new reading of all streams
    tick  -> forecast made BEFORE it arrived -> residual -> score -> episode
          -> only then learn: history of the score, scale, skill, window
          -> step the networks: the next forecasts

Every operation is one vector over the streams of a tick, so one stream and ten thousand run the
same code. Where the compiled helper was built, it does the same stream by stream, see ``quick_ticks``.
No I/O, no clock, no threads. Fine-tuning is beside it, in ``learning``.
"""

from itertools import pairwise

import numpy as np

from pipeline.core.records import F64, I64, Batch, Bool, Detail, Event, Health, Outcome, Steps
from pipeline.detect.views import Recent
from pipeline.flow import compiled
from pipeline.flow.adapting import Found, adapt
from pipeline.flow.arrival import Arrival, arrive
from pipeline.flow.forecasting import advance
from pipeline.flow.quick_ticks import run_ticks
from pipeline.flow.reporting import report
from pipeline.flow.scoring import Verdict, judge
from pipeline.flow.state import Model, State
from pipeline.flow.timelines import follow
from pipeline.flow.verdicts import is_unfit, watch
from pipeline.flow.wiring import context_values
from pipeline.streams.gate import gate, in_parts

_HEALTH_OF_OUTCOME = np.array(
    [0, Health.LATE, Health.DUPLICATE, Health.FUTURE, Health.NOT_FINITE, Health.OUT_OF_RANGE, Health.RETAINED, 0],
    np.uint16,
)
#: Refusals that say something of the sensor; duplicates and retained messages are the network's doing.
_IS_TELLING = np.isin(list(Outcome), (Outcome.LATE, Outcome.FUTURE, Outcome.NOT_FINITE, Outcome.OUT_OF_RANGE))


def update(model: Model, state: State, batch: Batch, now: float, detail: Detail | None = None) -> tuple[State, Steps]:
    """Score a batch of readings, then learn from them in O(1) each.

    Args:
        model: Settings and weights; not changed.
        state: The shard; its arrays are updated in place and must not be used by the caller meanwhile.
        batch: Readings in any order.
        now: Current time, Unix seconds; ``inf`` where event time is the only clock.
        detail: Blank rows to fill with what every forecaster foretold; None where nobody asks.

    Returns:
        The state, and one row per reading in the order of the batch.
    """
    limits = model.settings.streams
    windows = state.windows
    gated = gate(batch, windows.newest, windows.holds, now + limits.future_s, limits.max_abs_value)
    steps = Steps.blank(len(batch))
    steps.detail = detail
    steps.outcome[:] = gated.outcome
    steps.health[:] = _HEALTH_OF_OUTCOME[gated.outcome]
    refused = _IS_TELLING[gated.outcome]
    steps.health[refused] |= state.verdicts.bits[batch.slot[refused]]  # as before this batch
    state.ledger.health[batch.slot[refused]] = steps.health[refused]
    context = context_values(state, batch, gated.rows)
    _run(model, state, batch, gated.rows, gated.bounds, steps, context)
    followed = follow(model.settings.health, state, batch, gated.outcome, now)
    steps.health_events.extend(followed.events)
    if len(followed.rows):
        _accept_after_all(model, state, batch, followed.rows, now, steps)
    state.ledger.health[batch.slot[refused]] |= state.verdicts.bits[batch.slot[refused]]
    return state, steps


def _accept_after_all(model: Model, state: State, batch: Batch, rows: I64, now: float, steps: Steps) -> None:
    """Gate readings again whose streams are on another time line now, and run them."""
    limits = model.settings.streams
    again = Batch(batch.slot[rows], batch.seq[rows], batch.time[rows], batch.value[rows], batch.flags[rows])
    gated = gate(again, state.windows.newest, state.windows.holds, now + limits.future_s, limits.max_abs_value)
    steps.outcome[rows] = gated.outcome
    steps.health[rows] = _HEALTH_OF_OUTCOME[gated.outcome]
    context = context_values(state, batch, rows[gated.rows])
    _run(model, state, batch, rows[gated.rows], gated.bounds, steps, context)


def _run(model: Model, state: State, batch: Batch, order: I64, bounds: I64, steps: Steps, context: F64) -> None:
    """Run the ticks of a batch, at ``bounds`` of ``order``; streams do not mind in which parts they come."""
    bounds = in_parts(bounds, compiled.AT_ONCE)
    if compiled.serves(model):
        run_ticks(model, state, batch, order, bounds, steps, context)
        return
    for start, end in pairwise(bounds.tolist()):
        rows = order[start:end]
        _tick(model, state, batch, rows, steps, context[rows])


def _tick(model: Model, state: State, batch: Batch, rows: I64, steps: Steps, context: F64) -> None:
    """Run the k-th new reading of all streams through every stage, in the one order of events."""
    arrival = arrive(model, state, batch, rows)
    verdict = judge(model, state, arrival)
    steps.health_events.extend(watch(model.settings.health, state, arrival))
    report(state, arrival, verdict, steps)
    _learn(model, state, arrival, verdict)
    seen = state.context.scaled(arrival.ix, context)
    advance(model, state, arrival.ix, arrival.slots, verdict.previous, arrival.interval, seen)


def _learn(model: Model, state: State, arrival: Arrival, verdict: Verdict) -> None:
    """Learn from readings already judged; networks and scales do not from a quarantine, nor from uncertain times."""
    ix, slots = arrival.ix, arrival.slots
    is_fit = ~is_unfit(state, ix) & arrival.is_certain
    is_taught = is_fit & ~state.quarantine.is_held[ix]
    state.surprise.learn(ix, slots, verdict.found, is_fit)
    is_opening = verdict.event == Event.OPEN
    is_usual = (arrival.n >= model.settings.detection.n_settled) & is_fit & (is_opening | ~state.episodes.is_open[ix])
    state.budget.learn(ix, slots, verdict.seen.score, verdict.seen.level, is_usual)
    spread = _learn_usual(state, arrival, verdict.recent, is_taught)
    # Forecasts that are shown follow a change at once: kept from learning in episodes they lost to persistence.
    state.league.learn(ix, slots, arrival.value, spread)
    if not is_taught.all():
        state.windows.mark_untaught(slots[~is_taught])
    is_shown = state.counters.learn(ix, verdict.seen.value, arrival.n)
    adapt(model, state, arrival, Found(verdict.is_accepted, verdict.is_drift & is_taught, is_shown))


def _learn_usual(state: State, arrival: Arrival, recent: Recent, is_taught: Bool) -> F64:
    """Let usual spreads, scales and seasons learn from readings; return the spreads before, shape (A,)."""
    ix = arrival.ix
    spread = state.scaling.spread(ix)
    is_second = arrival.n == 1
    if is_second.any():  # of one reading the floor is no measure
        away = np.abs(arrival.value - state.scaling.mean[ix])
        spread = np.where(is_second, np.maximum(spread, away), spread)
    state.usual.learn(ix, recent, spread, arrival.n)
    state.scaling.learn(ix, arrival.value, arrival.n, is_taught.astype(np.float64))
    state.season.learn(ix, arrival.slots, arrival.time, arrival.value)
    return spread
