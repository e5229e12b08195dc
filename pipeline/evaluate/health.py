"""Health verdicts on generated streams: how often clean ones are called broken, and how fast broken ones are.

The detectors run as in the engine, on all streams at once, but without networks and scores: a verdict needs
neither. So a hundred streams of a month take seconds. Refuses to know tables.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64, Batch, HealthEvent
from pipeline.core.settings import Settings
from pipeline.evaluate.battery_faults import FAULTS, LATER, apply, invisible
from pipeline.evaluate.battery_signals import clean
from pipeline.flow.arrival import arrive
from pipeline.flow.forecasting import start_anew
from pipeline.flow.state import State, new_model
from pipeline.flow.verdicts import give_ranges, watch
from pipeline.streams.counters import to_increments

#: Faults of the battery that are the sensor's own.
PLANTED = ("stuck", "noise_up", "noise_down", "unit")
_SHARE_BEFORE = 2 / 3  # of a stream, before its fault
_DAY_S = 86_400.0
#: Told, after each piece of work, its name and how many streams it was.
Progress = Callable[[str, int], None]


@dataclass(frozen=True, slots=True)
class Clean:
    """What clean streams of one kind were called.

    Attributes:
        kind: Kind of stream.
        n_streams: Streams.
        days: Their days, summed.
        false: Verdicts raised, by name.
    """

    kind: str
    n_streams: int
    days: float
    false: dict[str, int]


@dataclass(frozen=True, slots=True)
class Broken:
    """What streams of one kind with one fault were called.

    Attributes:
        kind: Kind of stream.
        fault: Fault, as the battery names it.
        size: Its size.
        n: Streams.
        found: Share of them called one of ``Fault.verdicts`` within 500 usual intervals of the fault.
        delay: Median of those, usual intervals; NaN for none.
        hidden: Why nobody could see it; empty where one can.
    """

    kind: str
    fault: str
    size: float
    n: int
    found: float
    delay: float
    hidden: str


def watched(shown: Sequence[tuple[F64, F64]], settings: Settings | None = None) -> list[list[HealthEvent]]:
    """Show streams to the detectors of the engine.

    Args:
        shown: Event times, ascending, and values of each stream, shape (N,) each.
        settings: Settings; those of health count, and whether a silence is a gap.

    Returns:
        For each stream, the verdicts that were raised and cleared.

    Example:
        >>> noise = np.random.default_rng(1).normal(size=400)
        >>> noise[300:] = 1.5
        >>> [(event,)] = watched([(60.0 * np.arange(400), noise)])
        >>> event.text
        'has not moved from 1.5 for 40 readings; it never rested longer than 1'
    """
    small = {"streams": {"window_len": 128}, "training": {"window": 48}, "forecast": {"ensemble": 1, "hidden": 2}}
    light = Settings.model_validate(small)  # what no detector looks at is kept small
    health = (settings or Settings()).health
    model = new_model(light)
    state = State.empty(light, capacity=len(shown))
    state.table.admit([f"s{i}" for i in range(len(shown))])
    give_ranges(health, state, range(len(shown)))
    found: list[list[HealthEvent]] = [[] for _ in shown]
    length = np.array([len(time) for time, _ in shown])
    time, value = np.full((2, length.max(), len(shown)), np.nan)
    for i, (own_time, own_value) in enumerate(shown):
        time[: len(own_time), i], value[: len(own_value), i] = own_time, own_value
    for k in range(len(time)):
        slots = np.flatnonzero(length > k)
        batch = Batch(slots.astype(np.int32), slots, time[k, slots], value[k, slots], np.zeros(len(slots), np.uint8))
        arrival = arrive(model, state, batch, np.arange(len(slots)))
        state.windows.push(arrival.ix, slots, arrival.time, arrival.value)
        for event in watch(health, state, arrival):
            found[int(event.stream[1:])].append(event)
        counting = slots[state.counters.learn(arrival.ix, arrival.reading, arrival.n)]
        if len(counting):
            state.counters.is_counter[counting] = True
            to_increments(state.windows, counting)
            start_anew(state, counting)
    return found


def clean_streams(kind: str, n_streams: int, seed: int, step_s: float, days: float, settings: Settings) -> Clean:
    """Count the verdicts on clean streams of a kind."""
    shown = [series.readings() for series in clean(kind, n_streams, seed, step_s, days)]
    told = watched(shown, settings)
    false = Counter(str(event.verdict.name).lower() for own in told for event in own if event.raised)
    return Clean(kind, n_streams, sum(float(time[-1] - time[0]) for time, _ in shown) / _DAY_S, dict(false))


def broken_streams(
    kind: str, n_streams: int, seed: int, step_s: float, days: float, settings: Settings
) -> list[Broken]:
    """Plant each fault in each size into streams of a kind, two thirds into them, and see what they are called."""
    series = clean(kind, n_streams, seed, step_s, days)
    at = round(_SHARE_BEFORE * len(series[0].time))
    cases = [(fault, size) for fault in PLANTED for size in FAULTS[fault].sizes]
    planted = [apply(fault, size, one, at, seed=i) for fault, size in cases for i, one in enumerate(series)]
    told = watched([each.series.readings() for each in planted], settings)
    rows = []
    for k, (fault, size) in enumerate(cases):
        own = slice(k * n_streams, (k + 1) * n_streams)
        pairs = zip(planted[own], told[own], strict=True)
        delays = np.array([_delay(fault, each.start_s, events) / step_s for each, events in pairs])
        in_time = delays[delays <= LATER]
        delay = float(np.median(in_time)) if len(in_time) else float("nan")
        rows.append(Broken(kind, fault, size, n_streams, len(in_time) / n_streams, delay, invisible(kind, fault)))
    return rows


def _delay(fault: str, start_s: float, events: Sequence[HealthEvent]) -> float:
    """Return the seconds from a fault to the first verdict that names it, inf for none."""
    names = FAULTS[fault].verdicts
    raised = (event.at_s for event in events if event.raised and str(event.verdict.name).lower() in names)
    return min((at_s - start_s for at_s in raised if at_s >= start_s), default=float("inf"))
