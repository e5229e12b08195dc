"""Ticks by the compiled helper, and what it leaves to others: what is rare, after the phase in which it was found.

The same as ``engine._tick`` of every tick. Each function here does the rest of a phase of ``tick.h``, by what the
engine's own stages call.
"""

from pipeline.core.records import F64, I64, Batch, Steps
from pipeline.detect.episodes import Seen
from pipeline.detect.health_stuck import Step
from pipeline.flow.adapting import Found, adapt
from pipeline.flow.arrival import Arrival, meet
from pipeline.flow.compiled import ARRIVED, JUDGED, LEARNT, REPORTED, STEPPED, WATCHED, Desk
from pipeline.flow.reporting import tell_detail, tell_episodes
from pipeline.flow.state import Model, State
from pipeline.flow.verdicts import find
from pipeline.forecast.bank import step


def run_ticks(model: Model, state: State, batch: Batch, order: I64, bounds: I64, steps: Steps, context: F64) -> None:
    """Run ticks, see ``engine``; tick k is rows ``order[bounds[k]:bounds[k + 1]]`` of the batch."""
    desk = Desk.of(model, state)
    for phase in desk.run(batch, order, bounds, steps):
        REST[phase](model, state, desk, steps, context)


def _arrival(desk: Desk) -> Arrival:
    """Return the readings that the compiled helper is at."""
    columns = (desk.time, desk.reading, desk.base, desk.value, desk.n, desk.interval, desk.is_gap, desk.is_certain)
    return Arrival(desk.rows, desk.ix, desk.slots, *columns)


def _meet(_model: Model, state: State, desk: Desk, _steps: Steps, _context: F64) -> None:
    meet(state, desk.slots[desk.is_gap], desk.slots[desk.is_mistaken])


def _close_blocks(_model: Model, state: State, desk: Desk, _steps: Steps, _context: F64) -> None:
    desk.is_drift[desk.is_full] = state.drift.close_blocks(desk.slots[desk.is_full])


def _find(model: Model, state: State, desk: Desk, steps: Steps, _context: F64) -> None:
    runs = Step(desk.slots[desk.is_long], desk.time[desk.is_long], desk.slots[desk.is_moved])
    steps.health_events.extend(find(model.settings.health, state, _arrival(desk), runs))


def _tell(_model: Model, state: State, desk: Desk, steps: Steps, _context: F64) -> None:
    arrival = _arrival(desk)
    if steps.detail is not None:
        columns = (desk.forecast, desk.lower, desk.upper, desk.score, desk.level, desk.views)
        seen = Seen(desk.time, desk.reading, *columns)
        tell_detail(steps.detail, state, arrival, seen, (desk.who, desk.widths))
    tell_episodes(state, arrival, desk.event, desk.is_lasting, steps)


def _adapt(model: Model, state: State, desk: Desk, _steps: Steps, context: F64) -> None:
    found = Found(desk.is_accepted, desk.is_drift & desk.is_taught, desk.is_shown)
    adapt(model, state, _arrival(desk), found)
    if context.shape[1]:
        desk.context[:] = state.context.scaled(desk.ix, context[desk.rows])


def _step(model: Model, state: State, desk: Desk, _steps: Steps, _context: F64) -> None:
    group, hidden = state.ledger.group[desk.ix], state.pending.hidden[desk.ix]
    desk.out[:], state.pending.hidden[desk.ix] = step(model.network, model.bank, group, desk.x, hidden)


#: What the compiled helper leaves to the functions above, by the phase that it has been through.
REST = {
    ARRIVED: _meet,
    JUDGED: _close_blocks,
    WATCHED: _find,
    REPORTED: _tell,
    LEARNT: _adapt,
    STEPPED: _step,
}
