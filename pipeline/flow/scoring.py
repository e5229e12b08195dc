"""From readings and the forecasts that are due to scores, alert levels and episodes.

Comes in: the readings of one tick. Goes out: a verdict on each. What is learnt from them is for others; here only the
window and the decision layer change.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64, I8, U16, Bool, EpisodeEvent, Event, Health, Slots, episode_id
from pipeline.detect.budget import decades_of
from pipeline.detect.decision import Scores
from pipeline.detect.episodes import Seen, severity
from pipeline.detect.views import N_RECENT, Found, Recent, Usual, look
from pipeline.flow.arrival import Arrival
from pipeline.flow.state import Model, State
from pipeline.flow.verdicts import is_unfit
from pipeline.forecast.intervals import LEVELS
from pipeline.forecast.targets import realised
from pipeline.streams.windows import recent_values


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the engine says of the readings of one tick, shape (A,) each."""

    seen: Seen
    found: Found
    recent: Recent  # the last 60 readings
    previous: F64  # the readings before
    who: I8  # whose forecast is shown
    half_widths: F64  # of its intervals, shape (A, 3)
    event: I8
    is_accepted: Bool  # a quarantine lasted too long: the change is the new normal
    is_lasting: Bool  # an episode closed because it lasted too long
    is_drift: Bool  # the level has drifted
    health: U16


def judge(model: Model, state: State, arrival: Arrival) -> Verdict:
    """Hold the forecasts that are due against reality."""
    ix, settings = arrival.ix, model.settings.detection
    who, shown, half_widths = state.league.shown(ix)
    half = half_widths[:, LEVELS.index(model.settings.forecast.interval_percent / 100)]
    found, recent, previous, is_still = _look(model, state, arrival)
    score, views = state.surprise.score(ix, found, arrival.n)
    if is_still.any():
        score[is_still], views[is_still] = np.minimum(score[is_still], 0.0), 0.0
    is_warming = arrival.n + 1 < settings.n_warmup
    if is_warming.any():
        score[is_warming] = np.nan
    level = levels_in_force(model, state, ix)
    forecast = arrival.base + shown
    seen = Seen(arrival.time, arrival.reading, forecast, forecast - half, forecast + half, score, level, views)
    return _decide(model, state, arrival, _Partial(seen, found, recent, previous, who, half_widths))


def _look(model: Model, state: State, arrival: Arrival) -> tuple[Found, Recent, F64, Bool]:
    """Put readings into the windows, and hold what came against what was foretold.

    Returns:
        What the views show, the newest readings, the ones before, and which streams have stood still for long.
    """
    ix, slots = arrival.ix, arrival.slots
    foretold, scale = state.pending.due(ix, slots, model.horizons)
    state.windows.push(ix, slots, arrival.time, arrival.value)
    newest = recent_values(state.windows, slots, max(model.horizons.long + 1, N_RECENT))
    came = realised(newest[:, -model.horizons.long - 1 :], state.pending.spread_of_scale[ix], model.horizons)
    recent = Recent.of(newest[:, -N_RECENT:], arrival.n + 1)
    usual = Usual(state.scaling.mean[ix], state.scaling.spread(ix), state.usual.usual_spread[ix])
    found = look(came, foretold, scale, recent, usual).measured_in(state.windows.unit[ix])
    return found, recent, newest[:, -2], state.usual.is_still(ix) & recent.is_alike()


@dataclass(frozen=True, slots=True)
class _Partial:
    """A verdict before the decision."""

    seen: Seen
    found: Found
    recent: Recent
    previous: F64
    who: I8
    half_widths: F64


def _decide(model: Model, state: State, arrival: Arrival, part: _Partial) -> Verdict:
    """Let alerts, episodes, quarantines and drifts follow from the scores."""
    ix, slots, settings, seen = arrival.ix, arrival.slots, model.settings.detection, part.seen
    is_settled = arrival.n >= settings.n_settled  # a level that is still settling would be its yardstick for long
    is_drift = state.drift.step(slots, _levels(state, arrival), is_settled)
    is_accepted = state.quarantine.step(ix, slots, seen.score, settings)
    share = np.where(np.isnan(seen.score), 0.0, seen.score) / seen.level
    state.onset.step(ix, seen.time, part.found.next_reading, share)
    step_s = np.fmax(state.cadence.step_s[ix], 0.0)  # 0 where it is not known
    may_alert = is_settled & ~is_unfit(state, ix)  # of the unfit, the sensor's verdict has told it
    score = np.where(may_alert, seen.score, np.nan)
    is_alert = state.decision.step(ix, Scores(seen.time, score, seen.level, step_s), settings)
    change = state.episodes.step(ix, slots, seen, is_alert, settings)
    drifts = change.is_drift | is_accepted | is_drift
    health: U16 = arrival.is_gap * np.uint16(Health.GAP) | drifts * np.uint16(Health.DRIFT)
    return Verdict(
        seen,
        part.found,
        part.recent,
        part.previous,
        part.who,
        part.half_widths,
        change.event,
        is_accepted,
        change.is_drift,
        is_drift,
        health,
    )


def levels_in_force(model: Model, state: State, ix: Slots) -> F64:
    """Return the alert levels that the budget gives streams, shape (A,)."""
    seconds = model.settings.detection.seconds_per_false_alarm
    return state.budget.level(ix, decades_of(seconds, state.cadence.step_s[ix]))


def _levels(state: State, arrival: Arrival) -> F64:
    """Return what drift is looked for in: the readings, and the readings less what was one season before, (A, 2)."""
    found = np.empty((len(arrival.slots), 2))
    found[:, 0] = arrival.value
    np.subtract(arrival.value, state.windows.season_before(arrival.slots), out=found[:, 1])
    return found


def evidence(state: State, slot: int, at_s: float, *, is_lasting: bool) -> EpisodeEvent:
    """Gather what an alert carries, of a stream whose episode has just opened, or closed, because it lasted or not."""
    episodes, stream = state.episodes, str(state.table.names[slot])
    is_open = bool(episodes.is_open[slot])
    opened_s, level = float(episodes.opened_s[slot]), float(episodes.level[slot])
    peak_score = float(episodes.peak_score[slot])
    views = episodes.views(slot)
    return EpisodeEvent(
        event=Event.OPEN if is_open else Event.CLOSE,
        stream=stream,
        episode=episode_id(stream, opened_s),
        opened_s=opened_s,
        at_s=float(at_s),
        peak_score=peak_score,
        peak_s=float(episodes.peak_s[slot]),
        value=float(episodes.peak_value[slot]),
        forecast=float(episodes.peak_forecast[slot]),
        lower=float(episodes.peak_lower[slot]),
        upper=float(episodes.peak_upper[slot]),
        level=level,
        view=views[0][0] if views else "",
        views=views,
        onset_s=float(episodes.onset_s[slot]),
        severity=severity(peak_score - level),
        odds=state.budget.odds(slot, peak_score),
        reason="" if is_open else "drift" if is_lasting else "quiet",
        evidence=state.trail.of(state.windows, slot),
    )
