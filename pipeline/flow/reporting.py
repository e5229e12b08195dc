"""What goes out of a tick: rows of steps, each stream's last one, details for evaluation, episodes with evidence."""

import numpy as np

from pipeline.core.records import F64, I8, Bool, Detail, Event, Steps
from pipeline.detect.episodes import Seen
from pipeline.flow.arrival import Arrival
from pipeline.flow.scoring import Verdict, evidence
from pipeline.flow.state import State


def report(state: State, arrival: Arrival, verdict: Verdict, steps: Steps) -> None:
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
        tell_detail(steps.detail, state, arrival, seen, (verdict.who, verdict.half_widths))
    ledger.value[ix] = seen.value
    state.trail.keep(arrival.slots, arrival.n, seen.value, seen.forecast, seen.upper)
    health = verdict.health | state.verdicts.bits[ix]
    ledger.health[ix] = health
    steps.health[rows] = health
    steps.event[rows] = verdict.event
    is_inside = state.episodes.is_open[ix] | (verdict.event == Event.CLOSE)
    if is_inside.any():
        steps.opened[rows[is_inside]] = state.episodes.opened_s[arrival.slots[is_inside]]
    tell_episodes(state, arrival, verdict.event, verdict.is_lasting, steps)


def tell_detail(detail: Detail, state: State, arrival: Arrival, seen: Seen, shown: tuple[I8, F64]) -> None:
    """Write what every forecaster foretold and every view saw; ``shown`` is who was, with which half-widths."""
    rows = arrival.rows
    detail.forecasts[rows] = arrival.base[:, None] + state.league.location[arrival.ix]
    detail.shown[rows] = np.where(np.isnan(seen.forecast), -1, shown[0])
    detail.half_widths[rows] = shown[1]
    detail.views[rows] = np.where(np.isnan(seen.score)[:, None], np.nan, seen.views)


def tell_episodes(state: State, arrival: Arrival, event: I8, is_lasting: Bool, steps: Steps) -> None:
    """Gather the evidence of what opened or closed."""
    for i in event.nonzero()[0]:
        slot, at_s = int(arrival.slots[i]), float(arrival.time[i])
        if event[i] == Event.OPEN:
            state.episodes.onset_s[slot] = state.onset.estimate(slot, at_s)
        steps.events.append(evidence(state, slot, at_s, is_lasting=bool(is_lasting[i])))
