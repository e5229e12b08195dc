"""The spine: readings in, one step per reading out. READ THIS FIRST.

``update(model, state, batch, now) -> (state, steps)``::

    batch -> gate (late, duplicate, future, not finite) -> ticks, the k-th new reading of all streams
    tick  -> forecast made BEFORE it arrived -> residual -> score -> episode
          -> only then learn: history of the score, scale, skill, window
          -> step the networks: the next forecasts

Every operation is one vector over the streams of a tick, so one stream and ten thousand run the
same code. No I/O, no clock, no threads. Fine-tuning is beside it, in ``learning``.
"""

import numpy as np

from pipeline.core.records import (
    F64,
    I64,
    Batch,
    Bool,
    Detail,
    Event,
    Health,
    Outcome,
    Steps,
)
from pipeline.detect.views import Recent
from pipeline.flow import compiled
from pipeline.flow.arrival import Arrival, arrive
from pipeline.flow.forecasting import accept_change, advance, follow_drift, rebuild, set_scale, start_anew
from pipeline.flow.scoring import Verdict, evidence, judge
from pipeline.flow.state import Model, State
from pipeline.flow.timelines import follow
from pipeline.flow.verdicts import is_unfit, watch
from pipeline.flow.wiring import context_values
from pipeline.streams.counters import to_increments
from pipeline.streams.gate import gate

_HEALTH_OF_OUTCOME = np.array(
    [0, Health.LATE, Health.DUPLICATE, Health.FUTURE, Health.NOT_FINITE, Health.OUT_OF_RANGE, Health.RETAINED, 0],
    np.uint16,
)
#: Refusals that say something of the sensor; duplicates and retained messages are the network's doing.
_TELLING_OUTCOMES = (Outcome.LATE, Outcome.FUTURE, Outcome.NOT_FINITE, Outcome.OUT_OF_RANGE)
_GLITCH = 4.0  # times that a spread shrinks by when a glitch was in it
_N_DISCOUNT = (32, 64)  # readings after which glitches among the first ones can be told
_N_SEASON_SEARCH = 64  # readings at which a season is first looked for; then at each doubling, ...
_N_SEASON_STRETCH = 512  # newest readings it is looked for in
_SEASON_SEARCH_EVERY = 1024  # ... and every so many, a power of two
_N_FIRST_SCALE = 8  # readings after which a stream first gets a scale, and with it forecasts


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
    newest, seen = state.windows.newest, state.windows.time
    gated = gate(batch, newest, seen, now + limits.future_s, limits.max_abs_value)
    steps = Steps.blank(len(batch))
    steps.detail = detail
    steps.outcome[:] = gated.outcome
    steps.health[:] = _HEALTH_OF_OUTCOME[gated.outcome]
    refused = np.isin(gated.outcome, _TELLING_OUTCOMES)
    steps.health[refused] |= state.verdicts.bits[batch.slot[refused]]  # as before this batch
    state.ledger.health[batch.slot[refused]] = steps.health[refused]
    context = context_values(state, batch, gated.rows)
    for rows in gated.ticks():
        _tick(model, state, batch, rows, steps, context[rows])
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
    gated = gate(again, state.windows.newest, state.windows.time, now + limits.future_s, limits.max_abs_value)
    steps.outcome[rows] = gated.outcome
    steps.health[rows] = _HEALTH_OF_OUTCOME[gated.outcome]
    context = context_values(state, batch, rows[gated.rows])
    for tick in gated.ticks():
        _tick(model, state, batch, rows[tick], steps, context[rows[tick]])


def _tick(model: Model, state: State, batch: Batch, rows: I64, steps: Steps, context: F64) -> None:
    """Run the k-th new reading of all streams through every stage, in the one order of events."""
    arrival = arrive(model, state, batch, rows)
    verdict = judge(model, state, arrival)
    steps.health_events.extend(watch(model.settings.health, state, arrival))
    _report(state, arrival, verdict, steps)
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
    if compiled.serves(model):
        spread = compiled.learn(state, ix, arrival.time, arrival.value, arrival.n, verdict.recent, is_taught)
    else:
        spread = _learn_usual(state, arrival, verdict.recent, is_taught)
    # Forecasts that are shown follow a change at once: kept from learning in episodes they lost to persistence.
    state.league.learn(ix, slots, arrival.value, spread)
    if not is_taught.all():
        state.windows.mark_untaught(slots[~is_taught])
    if verdict.is_accepted.any():
        accept_change(model, state, slots[verdict.is_accepted])
    drifted = slots[verdict.is_drift & is_taught]  # in a quarantine, that decides
    if len(drifted):
        follow_drift(model, state, drifted)
    shown = state.counters.learn(ix, verdict.seen.value, arrival.n)
    if shown.any():
        state.counters.is_counter[slots[shown]] = True
        to_increments(state.windows, slots[shown])
        start_anew(state, slots[shown])
    n = arrival.n + 1
    is_power = (n & arrival.n) == 0
    is_searched = (n >= _N_SEASON_SEARCH) & (is_power | (n & (_SEASON_SEARCH_EVERY - 1) == 0))
    if is_searched.any():
        stretch = state.windows.last(slots[is_searched], min(_N_SEASON_STRETCH, state.windows.value.shape[1]))
        at = slots[is_searched]  # bounded: a glitch among a season's first readings would leave an echo
        state.season.search(at, stretch.time, state.scaling.bounded(at, stretch.value.T).T, stretch.is_valid)
    is_young = (n >= _N_FIRST_SCALE) & is_power  # the scale of a young stream moves
    if is_young.any():
        for n_read in _N_DISCOUNT:
            at = slots[n == n_read]
            if len(at):
                _discount_glitches(state, at, n_read)
        set_scale(state, slots[is_young])
        rebuild(model, state, slots[is_young], n_newest=1)


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


def _discount_glitches(state: State, slots: I64, n: int) -> None:
    """Estimate young streams anew without their glitches, which baselines would follow for long."""
    before = state.scaling.spread(slots)
    state.scaling.discount_glitches(slots, state.windows.last(slots, n).value)
    state.league.reset(slots[before > _GLITCH * state.scaling.spread(slots)])


def _report(state: State, arrival: Arrival, verdict: Verdict, steps: Steps) -> None:
    """Write the rows of a tick, keep each stream's last step, gather what opened or closed."""
    rows, ix, seen = arrival.rows, arrival.ix, verdict.seen
    ledger = state.ledger
    for row_of, last_of, column in (
        (steps.forecast, ledger.forecast, seen.forecast),
        (steps.lower, ledger.lower, seen.lower),
        (steps.upper, ledger.upper, seen.upper),
        (steps.score, ledger.score, seen.score),
        (steps.level, ledger.level, seen.level),
    ):
        row_of[rows] = column
        last_of[ix] = column
    if steps.detail is not None:
        steps.detail.forecasts[rows] = arrival.base[:, None] + state.league.location[ix]
        steps.detail.shown[rows] = np.where(np.isnan(seen.forecast), -1, verdict.who)
        steps.detail.half_widths[rows] = verdict.half_widths
        steps.detail.views[rows] = np.where(np.isnan(seen.score)[:, None], np.nan, seen.views)
    ledger.value[ix] = seen.value
    state.trail.keep(arrival.slots, arrival.n, seen.value, seen.forecast, seen.upper)
    health = verdict.health | state.verdicts.bits[ix]
    ledger.health[ix] = health
    steps.health[rows] = health
    steps.event[rows] = verdict.event
    is_inside = state.episodes.is_open[ix] | (verdict.event == Event.CLOSE)
    if is_inside.any():
        steps.opened[rows[is_inside]] = state.episodes.opened_s[arrival.slots[is_inside]]
    for i in verdict.event.nonzero()[0]:
        is_lasting = bool(verdict.is_lasting[i])
        steps.events.append(evidence(state, int(arrival.slots[i]), float(seen.time[i]), is_lasting=is_lasting))
