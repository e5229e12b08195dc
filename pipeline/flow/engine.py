"""The spine: readings in, one step per reading out. READ THIS FIRST.

``update(model, state, batch, now) -> (state, steps)``::

    batch -> gate (late, duplicate, future, not finite) -> ticks, the k-th new reading of all streams
    tick  -> forecast made BEFORE it arrived -> residual -> score -> episode
          -> only then learn: history of the score, scale, skill, window
          -> step the networks: the next forecasts

Every operation is one vector over the streams of a tick, so one stream and ten thousand run the
same code. No I/O, no clock, no threads. Fine-tuning is beside it, in ``learning``.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.records import (
    F64,
    I8,
    I64,
    U16,
    Batch,
    Bool,
    Detail,
    EpisodeEvent,
    Event,
    Health,
    Outcome,
    Slots,
    Steps,
    episode_id,
)
from pipeline.detect.episodes import Seen
from pipeline.detect.residuals import level_name, residuals, with_level
from pipeline.detect.surprise import BLOCK
from pipeline.flow.forecasting import accept_change, advance, follow_drift, rebuild, set_scale, start_anew
from pipeline.flow.state import Model, State
from pipeline.flow.timelines import follow
from pipeline.flow.verdicts import Look, is_unfit, watch
from pipeline.flow.wiring import context_values
from pipeline.forecast.intervals import LEVELS
from pipeline.forecast.pending import N_SETTLING
from pipeline.forecast.targets import ACTIVITY, LONG, NEXT, realised
from pipeline.streams.counters import to_increments, to_readings
from pipeline.streams.gate import gate
from pipeline.streams.windows import recent_values

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
_SEASON_SEARCH_EVERY = 1024  # ... and every so many
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


@dataclass(frozen=True, slots=True)
class _Arrival:
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


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What the engine says of the readings of one tick, shape (A,) each."""

    seen: Seen
    who: I8  # whose forecast is shown
    half_widths: F64  # of its intervals, shape (A, 3)
    score: F64
    event: I8
    is_accepted: Bool  # an episode outlasted its quarantine: the change is the new normal
    is_drift: Bool  # the level has drifted
    health: U16


def _tick(model: Model, state: State, batch: Batch, rows: I64, steps: Steps, context: F64) -> None:
    """Run the k-th new reading of all streams through every stage, in the one order of events."""
    arrival = _arrive(model, state, batch, rows)
    previous = recent_values(state.windows, arrival.slots, 1)[:, 0]
    found, verdict = _judge(model, state, arrival)
    a = arrival
    look = Look(a.ix, a.slots, a.time, a.reading, a.value, a.n, a.interval, a.is_gap)
    steps.health_events.extend(watch(model.settings.health, state, look))
    _report(model, state, arrival, verdict, steps)
    _learn(model, state, arrival, verdict, found)
    seen = state.context.scaled(arrival.ix, context)
    advance(model, state, arrival.ix, arrival.slots, previous, arrival.interval, seen)


def _arrive(model: Model, state: State, batch: Batch, rows: I64) -> _Arrival:
    """Address the streams of a tick, and meet gaps."""
    slots = batch.slot[rows].astype(np.int64)
    is_run = slots[-1] - slots[0] + 1 == len(slots)
    ix: Slots = slice(int(slots[0]), int(slots[-1]) + 1) if is_run else slots  # a view costs nothing
    time = batch.time[rows]
    n = state.windows.n[ix].copy()
    interval = np.where(n > 0, time - state.windows.newest[ix], np.nan)
    with np.errstate(invalid="ignore"):
        is_gap = interval > model.settings.streams.gap_cadences * state.cadence.step_s[ix]
    state.cadence.learn(ix, interval, n)
    if is_gap.any():
        state.pending.forget(slots[is_gap])
        state.league.forget(slots[is_gap])
    value = batch.value[rows]
    mistaken = state.counters.mistaken(ix, slots, value)
    if len(mistaken):
        state.counters.is_counter[mistaken] = False
        to_readings(state.windows, mistaken, state.counters.last[mistaken])
        start_anew(state, mistaken)
    share = np.where(is_gap, state.cadence.step_s[ix] / interval, 1.0)
    base, worked = state.counters.split(ix, value, share)
    return _Arrival(rows, ix, slots, time, value, base, worked, n, interval, is_gap)


def _judge(model: Model, state: State, arrival: _Arrival) -> tuple[F64, _Verdict]:
    """Hold the forecasts that are due against reality; only the window and the episode change."""
    ix, slots, settings = arrival.ix, arrival.slots, model.settings.detection
    foretold, scale = state.pending.due(ix, slots, model.horizons)
    who, shown, half_widths = state.league.shown(ix)
    half = half_widths[:, LEVELS.index(model.settings.forecast.interval_percent / 100)]
    state.windows.push(ix, slots, arrival.time, arrival.value)
    recent = recent_values(state.windows, slots, model.horizons.long + 1)
    came = realised(recent, state.pending.spread_of_scale[ix], model.horizons)
    spread = state.scaling.spread(ix)
    foretold[:, NEXT] = shown  # held against the LSTM's scale: more labelled windows are met than by the LSTM's own
    found = residuals(came, foretold, scale, spread, ACTIVITY)
    found = with_level(found, came[:, LONG], state.scaling.mean[ix], spread)
    score, view = state.surprise.score(ix, found)
    score[_is_warming_up(model, state, arrival.ix, arrival.n)] = np.nan
    is_settled = arrival.n >= settings.n_warmup  # a level that is still settling would be its yardstick for long
    is_drift = state.drift.step(slots, _levels(state, arrival), is_settled)
    base = arrival.base
    forecast = base + shown
    seen = Seen(arrival.time, arrival.reading, forecast, forecast - half, forecast + half, view)
    change = state.episodes.step(ix, slots, score, seen, settings)
    health = arrival.is_gap * np.uint16(Health.GAP) | (change.is_drift | is_drift) * np.uint16(Health.DRIFT)
    verdict = _Verdict(seen, who, half_widths, score, change.event, change.is_drift, is_drift, health.astype(np.uint16))
    return found, verdict


def _levels(state: State, arrival: _Arrival) -> F64:
    """Return what drift is looked for in: the readings, and the readings less what was one season before, (A, 2)."""
    return np.stack((arrival.value, arrival.value - state.windows.season_before(arrival.slots)), axis=1)


def _is_warming_up(model: Model, state: State, ix: Slots, n: I64) -> Bool:
    """Say which streams have too few readings for a score, since their start or since they started anew."""
    n_warmup = model.settings.detection.n_warmup
    n_unscored = model.horizons.long + N_SETTLING  # readings that no forecast was held against
    return (n + 1 < n_warmup) | (state.surprise.n_blocks[ix] * BLOCK < n_warmup - n_unscored - BLOCK)


def _learn(model: Model, state: State, arrival: _Arrival, verdict: _Verdict, found: F64) -> None:
    """Learn from readings already judged; an open episode does not teach."""
    ix, slots = arrival.ix, arrival.slots
    spread = state.scaling.spread(ix)
    away = np.abs(arrival.value - state.scaling.mean[ix])
    spread = np.where(arrival.n == 1, np.maximum(spread, away), spread)  # of one reading the floor is no measure
    is_taught = ~(state.episodes.is_open[ix] | is_unfit(state, ix))
    state.surprise.learn(ix, slots, found, is_taught)
    state.scaling.learn(ix, arrival.value, arrival.n, is_taught.astype(np.float64))
    # Forecasts that are shown follow a change at once: kept from learning in episodes they lost to persistence.
    state.league.learn(ix, slots, arrival.value, spread)
    state.season.learn(ix, slots, arrival.time, arrival.value)
    if not is_taught.all():
        state.windows.mark_untaught(slots[~is_taught])
    if verdict.is_accepted.any():
        accept_change(model, state, slots[verdict.is_accepted])
    drifted = slots[verdict.is_drift & is_taught]  # of an open episode, its quarantine decides
    if len(drifted):
        follow_drift(model, state, drifted)
    shown = state.counters.learn(ix, verdict.seen.value, arrival.n)
    if shown.any():
        state.counters.is_counter[slots[shown]] = True
        to_increments(state.windows, slots[shown])
        start_anew(state, slots[shown])
    n = arrival.n + 1
    is_searched = (n >= _N_SEASON_SEARCH) & ((n & (n - 1) == 0) | (n % _SEASON_SEARCH_EVERY == 0))
    if is_searched.any():
        stretch = state.windows.last(slots[is_searched], min(_N_SEASON_STRETCH, state.windows.value.shape[1]))
        at = slots[is_searched]  # bounded: a glitch among a season's first readings would leave an echo
        state.season.search(at, stretch.time, state.scaling.bounded(at, stretch.value.T).T, stretch.is_valid)
    is_young = (n >= _N_FIRST_SCALE) & (n & (n - 1) == 0)  # powers of two: the scale of a young stream moves
    if is_young.any():
        for n_read in _N_DISCOUNT:
            at = slots[n == n_read]
            if len(at):
                _discount_glitches(state, at, n_read)
        set_scale(state, slots[is_young])
        rebuild(model, state, slots[is_young], n_newest=1)


def _discount_glitches(state: State, slots: I64, n: int) -> None:
    """Estimate young streams anew without their glitches, which baselines would follow for long."""
    before = state.scaling.spread(slots)
    state.scaling.discount_glitches(slots, state.windows.last(slots, n).value)
    state.league.reset(slots[before > _GLITCH * state.scaling.spread(slots)])


def _report(model: Model, state: State, arrival: _Arrival, verdict: _Verdict, steps: Steps) -> None:
    """Write the rows of a tick, keep each stream's last step, gather what opened or closed."""
    rows, ix, seen = arrival.rows, arrival.ix, verdict.seen
    ledger = state.ledger
    for row_of, last_of, column in (
        (steps.forecast, ledger.forecast, seen.forecast),
        (steps.lower, ledger.lower, seen.lower),
        (steps.upper, ledger.upper, seen.upper),
        (steps.score, ledger.score, verdict.score),
    ):
        row_of[rows] = column
        last_of[ix] = column
    if steps.detail is not None:
        steps.detail.forecasts[rows] = arrival.base[:, None] + state.league.location[ix]
        steps.detail.shown[rows] = np.where(np.isnan(seen.forecast), -1, verdict.who)
        steps.detail.half_widths[rows] = verdict.half_widths
    ledger.value[ix] = seen.value
    health = verdict.health | state.verdicts.bits[ix]
    ledger.health[ix] = health
    steps.health[rows] = health
    steps.level[rows] = model.settings.detection.alert_level
    steps.event[rows] = verdict.event
    is_inside = state.episodes.is_open[ix] | (verdict.event == Event.CLOSE)
    steps.opened[rows] = np.where(is_inside, state.episodes.opened_s[ix], np.nan)
    for i in np.flatnonzero(verdict.event):
        steps.events.append(_evidence(model, state, int(arrival.slots[i]), seen.time[i], bool(verdict.is_accepted[i])))


def _evidence(model: Model, state: State, slot: int, at_s: float, is_drift: bool) -> EpisodeEvent:  # noqa: FBT001 - one private call
    """Gather what an alert carries."""
    episodes, stream = state.episodes, str(state.table.names[slot])
    is_open = bool(episodes.is_open[slot])
    opened_s = float(episodes.opened_s[slot])
    return EpisodeEvent(
        event=Event.OPEN if is_open else Event.CLOSE,
        stream=stream,
        episode=episode_id(stream, opened_s),
        opened_s=opened_s,
        at_s=float(at_s),
        peak_score=float(episodes.peak_score[slot]),
        peak_s=float(episodes.peak_s[slot]),
        value=float(episodes.peak_value[slot]),
        forecast=float(episodes.peak_forecast[slot]),
        lower=float(episodes.peak_lower[slot]),
        upper=float(episodes.peak_upper[slot]),
        level=model.settings.detection.alert_level,
        view=(*model.horizons.names(), level_name(model.horizons.long))[episodes.peak_view[slot]],
        reason="" if is_open else "drift" if is_drift else "quiet",
    )
