"""What is seldom due after a reading: a change to follow, a counter to tell, a season to look for, a first scale."""

from dataclasses import dataclass

from pipeline.core.records import I64, Bool
from pipeline.flow.arrival import Arrival
from pipeline.flow.forecasting import accept_change, follow_drift, rebuild, set_scale, start_anew
from pipeline.flow.state import Model, State
from pipeline.streams.counters import to_increments

_GLITCH = 4.0  # times that a spread shrinks by when a glitch was in it
_N_DISCOUNT = (32, 64)  # readings after which glitches among the first ones can be told
_N_SEASON_SEARCH = 64  # readings at which a season is first looked for; then at each doubling, ...
_N_SEASON_STRETCH = 512  # newest readings it is looked for in
_SEASON_SEARCH_EVERY = 1024  # ... and every so many, a power of two
_N_FIRST_SCALE = 8  # readings after which a stream first gets a scale, and with it forecasts


@dataclass(frozen=True, slots=True)
class Found:
    """What calls for more than a step of learning, shape (A,) each."""

    is_accepted: Bool  # a change is the new normal
    is_drifted: Bool  # and may teach: in a quarantine, that decides
    is_counter: Bool  # as it has just shown


def adapt(model: Model, state: State, arrival: Arrival, found: Found) -> None:
    """Do what is seldom due: follow changes, tell counters, look for seasons, give young streams a scale."""
    slots = arrival.slots
    if found.is_accepted.any():
        accept_change(model, state, slots[found.is_accepted])
    if found.is_drifted.any():
        follow_drift(model, state, slots[found.is_drifted])
    if found.is_counter.any():
        shown = slots[found.is_counter]
        state.counters.is_counter[shown] = True
        to_increments(state.windows, shown)
        start_anew(state, shown)
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


def _discount_glitches(state: State, slots: I64, n: int) -> None:
    """Estimate young streams anew without their glitches, which baselines would follow for long."""
    before = state.scaling.spread(slots)
    state.scaling.discount_glitches(slots, state.windows.last(slots, n).value)
    state.league.reset(slots[before > _GLITCH * state.scaling.spread(slots)])
