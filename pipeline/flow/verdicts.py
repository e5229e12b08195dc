"""Health verdicts in the flow: every reading that was judged is shown to the detectors of ``detect/health_*``.

``watch`` is called once per tick, after the window has the reading and before anything learns from it;
what it changes is the detectors' own state. ``give_ranges`` tells them what the user knows of sensors. What is
done about clocks that jumped is the matter of ``timelines``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import gcd

import numpy as np

from pipeline.core.health_settings import HealthSettings
from pipeline.core.records import F64, I64, Bool, Health, HealthEvent, Slots
from pipeline.detect import health_noise, health_range, health_resolution
from pipeline.detect.health import NO_CHANGE, NO_SLOTS, Change
from pipeline.detect.health_clock import N_INTERVALS
from pipeline.detect.health_stuck import About, Step
from pipeline.flow.arrival import Arrival
from pipeline.flow.state import State
from pipeline.streams.windows import recent_values

_DAY_S = 86_400.0
_EVERY = gcd(health_range.EVERY, health_noise.EVERY, health_resolution.EVERY)
_OUT_OF_RANGE, _COUNTER_RESET, _CLOCK_SKEW = (
    np.uint16(bit) for bit in (Health.OUT_OF_RANGE, Health.COUNTER_RESET, Health.CLOCK_SKEW)
)
_N_AT_EDGE = 8  # readings, of those that flutter is measured over, at which a stream seems to rest at an edge
_SHORTEST_S = 1e-3  # usual interval that budgets are reckoned with at least, and where none is known yet


@dataclass(frozen=True, slots=True)
class _Finding:
    """What a detector changed, and its words for it: both are told slot and row of the tick."""

    verdict: Health
    change: Change
    why: Callable[[int, int], str]
    end: Callable[[int, int], str]


def watch(settings: HealthSettings, state: State, arrival: Arrival) -> list[HealthEvent]:
    """Show the readings of one tick to every detector, and let verdicts hold or not any more.

    Args:
        settings: Those of health.
        state: The shard; the readings are in its windows, and nothing has been learnt from them yet.
        arrival: The readings.

    Returns:
        What was raised and cleared, verdict by verdict, by stream.
    """
    if not settings.enabled:
        return []
    ix, is_held = arrival.ix, state.verdicts.held(arrival.ix, Health.STUCK)
    runs = state.runs.step(ix, arrival.slots, arrival.time, arrival.reading, arrival.n, is_held)
    return find(settings, state, arrival, runs)


def find(settings: HealthSettings, state: State, arrival: Arrival, runs: Step) -> list[HealthEvent]:
    """Do the rest of ``watch``: show readings to the other detectors, ``runs`` is what they did to runs."""
    bits = state.verdicts.bits[arrival.ix]
    found = [
        *_stuck(settings, state, runs),
        *_range(settings, state, arrival, (bits & _OUT_OF_RANGE) != 0),
        *_counter(state, arrival, (bits & _COUNTER_RESET) != 0),
        *_clock(state, arrival, (bits & _CLOCK_SKEW) != 0),
    ]
    n = arrival.n + 1
    due = n % _EVERY == 0  # of windows, now and then
    if due.any():
        _learn_range(settings, state, arrival, np.flatnonzero(due))
        found += _flutter(settings, state, arrival, np.flatnonzero(due & (n >= health_noise.WINDOW)))
        found += _grain(settings, state, arrival, np.flatnonzero(n % health_resolution.EVERY == 0))
    return [event for finding in found if finding.change for event in _events(state, arrival, finding)]


def is_unfit(state: State, ix: Slots) -> Bool:
    """Say which streams' readings tell nothing of what they should measure, and must not teach, shape (A,)."""
    return state.verdicts.held(ix, Health.STUCK)


def give_ranges(settings: HealthSettings, state: State, slots: Sequence[int]) -> None:
    """Tell streams the limits that the settings give them; of streams without an entry they are learnt."""
    for slot in slots:
        name = str(state.table.names[slot])
        entry = next((entry for entry in settings.ranges if fnmatchcase(name, entry.match)), None)
        if entry is not None:
            state.reach.give(slot, entry.low, entry.high)
        elif state.reach.is_given[slot]:
            state.reach.give(slot, None, None)


def _events(state: State, arrival: Arrival, finding: _Finding) -> Iterator[HealthEvent]:
    """Keep what a detector found, and yield it in words."""
    change, verdict, verdicts = finding.change, finding.verdict, state.verdicts
    changes = ((change.raised, finding.why, True), (change.cleared, finding.end, False))
    row_of = {slot: row for row, slot in enumerate(arrival.slots.tolist())}
    told = [(slot, words, raised) for slots, words, raised in changes for slot in slots.tolist()]
    since_s = {slot: verdicts.since(slot, verdict) for slot in change.cleared.tolist()}
    verdicts.apply(verdict, change)
    for slot, words, raised in told:
        row = row_of[slot]
        began_s = verdicts.since(slot, verdict) if raised else since_s[slot]
        at_s = float(arrival.time[row])
        yield HealthEvent(str(state.table.names[slot]), verdict, raised, at_s, began_s, words(slot, row))


def _stuck(settings: HealthSettings, state: State, step: Step) -> Iterator[_Finding]:
    runs = state.runs
    if not step:
        return
    at = step.long
    low = np.where(state.counters.is_counter[at], np.inf, state.reach.low[at])  # a resting counter is at its highest
    step_s = np.fmax(np.nan_to_num(state.cadence.step_s[at]), _SHORTEST_S)
    about = About(low, state.reach.high[at], settings.false_verdict_days * _DAY_S / step_s)
    change = runs.judge(step, about)
    yield _Finding(Health.STUCK, change, lambda slot, _row: runs.why(slot), lambda slot, _row: runs.end(slot))


def _range(settings: HealthSettings, state: State, arrival: Arrival, is_held: Bool) -> Iterator[_Finding]:
    ix, reach = arrival.ix, state.reach
    is_given = reach.is_given[ix]
    value = np.where(is_given, arrival.reading, arrival.value) if is_given.any() else arrival.value
    change = reach.step(arrival.slots, ix, arrival.time, value, is_held, settings.n_accepted)
    if change:
        yield _Finding(
            Health.OUT_OF_RANGE,
            change,
            lambda slot, row: reach.why(slot, float(value[row])),
            lambda slot, row: reach.end(slot, float(value[row])),
        )


def _learn_range(settings: HealthSettings, state: State, arrival: Arrival, rows: I64) -> None:
    """Learn the range of streams of which that is due."""
    slots = arrival.slots[rows]
    recent = recent_values(state.windows, slots, health_range.EVERY)
    is_taught = ~(state.verdicts.held(slots, Health.OUT_OF_RANGE) | is_unfit(state, slots))
    state.reach.learn(slots, recent, is_taught, settings.n_warmup // health_range.EVERY, settings.range_margin)


def _counter(state: State, arrival: Arrival, is_held: Bool) -> Iterator[_Finding]:
    """Yield what was found of counters, where there are any."""
    ix, resets = arrival.ix, state.resets
    is_counter = state.counters.is_counter[ix]
    if not (is_counter.any() or is_held.any()):
        return
    last = state.counters.last[ix]
    is_reset = is_counter & (arrival.reading < last) & (arrival.n > 0)
    change = resets.step(arrival.slots, arrival.time, arrival.n, is_reset, is_held, state.cadence.step_s[ix])
    yield _Finding(
        Health.COUNTER_RESET,
        change,
        lambda slot, row: resets.why(slot, float(last[row]), float(arrival.reading[row])),
        lambda slot, _row: resets.end(slot),
    )


def _clock(state: State, arrival: Arrival, is_held: Bool) -> Iterator[_Finding]:
    clock = state.clock
    cleared = clock.step(arrival.ix, arrival.slots, is_held)
    change = Change(NO_SLOTS, NO_CHANGE.since_s, cleared) if len(cleared) else NO_CHANGE
    if arrival.is_gap.any():
        rows = np.flatnonzero(arrival.is_gap & ~is_held)
        before = _intervals_before(state, arrival.slots[rows])
        step_s = state.cadence.step_s[arrival.slots[rows]]
        found = clock.hours(arrival.slots[rows], arrival.time[rows], arrival.interval[rows], step_s, before)
        change = Change(found.raised, found.since_s, cleared)
    if change:
        yield _Finding(
            Health.CLOCK_SKEW, change, lambda slot, _row: clock.why(slot), lambda slot, _row: clock.end(slot)
        )


def _intervals_before(state: State, slots: I64) -> F64:
    """Return the last intervals before the newest one, NaN where there was none, shape (D, 32)."""
    stretch = state.windows.last(slots, N_INTERVALS + 2)
    found: F64 = np.diff(np.where(stretch.is_valid, stretch.time, np.nan), axis=1)[:, :-1]
    return found


def _flutter(settings: HealthSettings, state: State, arrival: Arrival, rows: I64) -> Iterator[_Finding]:
    """Yield what was found of streams of which a measurement of their flutter is due."""
    if not len(rows):
        return
    slots, flutter, verdicts = arrival.slots[rows], state.flutter, state.verdicts
    value = recent_values(state.windows, slots, health_noise.WINDOW)
    held = health_noise.Held(
        verdicts.held(slots, Health.TOO_QUIET),
        verdicts.held(slots, Health.NOISY),
        state.reach.n_at_edge(slots, value) >= _N_AT_EDGE,
        verdicts.held(slots, Health.STUCK) | state.runs.is_resting(slots),
        settings.n_warmup // health_noise.EVERY,
        settings.n_accepted // health_noise.EVERY,
    )
    quiet, noisy = flutter.step(slots, value, arrival.time[rows], held)
    yield _Finding(
        Health.TOO_QUIET, quiet, lambda slot, _row: flutter.why_quiet(slot), lambda slot, _row: flutter.end(slot)
    )
    yield _Finding(
        Health.NOISY, noisy, lambda slot, _row: flutter.why_noisy(slot), lambda slot, _row: flutter.end(slot)
    )


def _grain(settings: HealthSettings, state: State, arrival: Arrival, rows: I64) -> Iterator[_Finding]:
    """Yield what was found of streams of which a step is due."""
    if not len(rows):
        return
    slots, grain = arrival.slots[rows], state.grain
    held = health_resolution.Held(
        state.verdicts.held(slots, Health.RESOLUTION),
        settings.n_warmup // health_resolution.EVERY,
        settings.n_accepted // health_resolution.EVERY,
    )
    value = recent_values(state.windows, slots, health_resolution.EVERY)
    change = grain.step(slots, value, np.abs(arrival.reading[rows]), arrival.time[rows], held)
    yield _Finding(Health.RESOLUTION, change, lambda slot, _row: grain.why(slot), lambda slot, _row: grain.end(slot))
