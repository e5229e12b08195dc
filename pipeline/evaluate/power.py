"""The power report: known faults planted into a stream's own recording, and which of them the engine finds.

Comes in: a recorded stream and settings. Goes out: per fault and size the share found within 60 and within 500
readings, and the smallest size that is found nearly always. The engine runs through the recording once; at several
places of its last part it is branched, network and all, once per fault and size, and each branch reads on with the
fault in it. Where the engine alerts without any fault, what it finds proves nothing: such places do not count.
Refuses to know files and terminals.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, Health, Readings
from pipeline.core.settings import Settings
from pipeline.evaluate.battery_faults import FAULTS, LATER, SOON, apply
from pipeline.evaluate.battery_signals import Series
from pipeline.evaluate.branching import branched, check_apart
from pipeline.evaluate.power_series import recorded_series
from pipeline.evaluate.watching import Sighting, Tail, watch
from pipeline.runtime.replay import replay
from pipeline.runtime.session import Session
from pipeline.sources.recording import Recording

#: Sizes that are planted, from small to large faults.
SIZES: Mapping[str, tuple[float, ...]] = {
    "spike": (2, 4, 6, 8, 12, 16, 32),
    "step": (1, 2, 4, 6, 8, 16, 32),
    "ramp": (1, 2, 4, 8, 16, 32),
    "stuck": (1,),
    "noise_up": (1.5, 2, 3, 5, 10),
    "noise_down": (0.5, 0.3, 0.1),
    "lost_cycle": (0.5, 1),
    "phase_shift": (1, 3, 6),
    "dropout": (10, 30, 100),
    "unit": (1.8, 1000),
}
#: Share of the places at which a size must be found.
ENOUGH = 0.9
_N_MARGIN = 100  # readings before the first place after which alert levels are the stream's own
_MAD_TO_SD = 1.4826
_IN_SD = frozenset({"spike", "step", "ramp", "noise_up", "noise_down"})
_NEEDS_CYCLE = frozenset({"lost_cycle", "phase_shift"})


@dataclass(frozen=True, slots=True)
class PowerRow:
    """One fault of one size.

    Attributes:
        fault: Which fault.
        size: Its size.
        amount: The same in the sensor's unit; of noise, its standard deviation; NaN where a size has none.
        n: Places that count.
        soon, later: Shares of them at which it was found within 60 and within 500 readings.
        delay: Median readings until those found were; NaN when none was.
    """

    fault: str
    size: float
    amount: float
    n: int
    soon: float
    later: float
    delay: float

    @property
    def in_time(self) -> float:
        """Share found within the readings that the fault is given."""
        return self.soon if FAULTS[self.fault].within == SOON else self.later


@dataclass(frozen=True, slots=True)
class StreamPower:
    """What would be seen in one stream.

    Attributes:
        stream: Name.
        n_readings: Readings of it that were used.
        sd: Typical error of the engine's own forecast one reading ahead, sensor's unit: what sizes count.
        has_cycle: A daily cycle was found, and could be lost.
        n_places: Places at which faults were planted.
        n_alarming: Places that do not count: the engine alerts there without any fault.
        rows: By fault, from small to large.
    """

    stream: str
    n_readings: int
    sd: float
    has_cycle: bool
    n_places: int
    n_alarming: int
    rows: Sequence[PowerRow]

    def smallest(self, fault: str) -> PowerRow | None:
        """Return the smallest size that is found nearly always, as all larger ones are; None for no size."""
        found = None
        for row in reversed([row for row in self.rows if row.fault == fault]):
            if not row.in_time >= ENOUGH:
                break
            found = row
        return found


def power_of(
    stream: str, time: F64, value: F64, settings: Settings, n_places: int, progress: Callable[[int], None]
) -> StreamPower:
    """Plant faults into a stream and see which are found.

    Args:
        stream: Its name.
        time: Event times, Unix seconds, shape (N,).
        value: Values, sensor's unit, shape (N,).
        settings: Of the engine; streams have networks of their own.
        n_places: Places at which every fault of every size is planted.
        progress: Told after each place that it is done.

    Returns:
        What is found.

    Raises:
        UsageError: The stream is too short, or settings under which streams touch each other.
    """
    check_apart(settings)
    series = recorded_series(time, value)
    first = max(settings.detection.n_warmup, settings.detection.n_settled) + _N_MARGIN
    places = _places(stream, len(series.time), first, n_places)
    session = Session(settings)
    series = _measured(series, _advance(session, stream, series, 0, places[0]))
    seen: list[Mapping[_Case, Sighting]] = []
    for before, place in pairwise([places[0], *places]):
        _advance(session, stream, series, before, place)
        seen.append(_watch_place(session, stream, series, place))
        progress(1)
    quiet = [by_case for by_case in seen if np.isnan(by_case[_NOTHING].first)]
    return StreamPower(
        stream=stream,
        n_readings=len(series.time),
        sd=series.sd,
        has_cycle=bool(series.cycle.any()),
        n_places=len(places),
        n_alarming=len(places) - len(quiet),
        rows=[_row(case, series, [by_case[case] for by_case in quiet]) for case in _cases(series)],
    )


#: A fault and its size.
_Case = tuple[str, float]
_NOTHING: _Case = ("nothing", 0.0)


def _cases(series: Series) -> list[_Case]:
    """Return what can be planted in a series."""
    has_cycle = bool(series.cycle.any())
    return [
        (fault, float(size))
        for fault, sizes in SIZES.items()
        if has_cycle or fault not in _NEEDS_CYCLE
        for size in sizes
    ]


def _places(stream: str, n: int, first: int, n_places: int) -> list[int]:
    """Return readings at which faults begin: evenly apart in the last half, each with 500 readings to go.

    Where that leaves little room, they begin earlier, but not before ``first``.
    """
    last = n - LATER
    if last < first:
        remedy = f"give a recording of {first + LATER:,} readings or more"
        raise UsageError(stream, f"{n:,} readings are too few", remedy)
    start = max(first, min(n // 2, (first + last) // 2))
    return sorted(set(np.linspace(start, last, n_places).astype(int).tolist()))


def _advance(session: Session, stream: str, series: Series, start: int, end: int) -> F64:
    """Replay a part of the stream; return the errors of the forecasts that were shown."""
    time, value = (column[start:end] for column in series.readings())
    none = np.zeros(len(time), np.int32), np.zeros(len(time), np.uint8)
    recording = Recording("", Readings([stream], none[0], time, value, none[1]), {})
    errors = value - replay([recording], session.settings, session=session).steps.forecast
    return errors[np.isfinite(errors)]


def _measured(series: Series, errors: F64) -> Series:
    """Return the series with its noise: the typical error of the last half of the forecasts."""
    newest = errors[len(errors) // 2 :]
    spread = _MAD_TO_SD * float(np.median(np.abs(newest)))
    fallback = (float(np.sqrt(np.mean(newest**2))), series.resolution, 1e-3 * float(np.abs(series.truth).max()), 1.0)
    sd = next(size for size in (spread, *fallback) if size > 0)
    return replace(series, sd=sd, noise=sd)


def _watch_place(session: Session, stream: str, series: Series, place: int) -> dict[_Case, Sighting]:
    """Branch the stream as it stands, once for every case and once for nothing, and watch."""
    cases = [_NOTHING, *_cases(series)]
    names = [f"branch-{i}" for i in range(len(cases))]
    every_verdict = Health(sum(bit for bit in Health if any(bit in fault.health for fault in FAULTS.values())))
    tails = []
    for name, (fault, size) in zip(names, cases, strict=True):
        planted = apply(fault, size, series, place, seed=place).series if fault != "nothing" else series
        time, value = (column[place : place + LATER] for column in planted.readings())
        verdicts = FAULTS[fault].health if fault != "nothing" else every_verdict
        tails.append(Tail(name, time, value, verdicts))
    branch = branched(session, [stream] * len(cases), names)
    if branch.view().is_open.any():  # an alert stands already: whatever is found is found before its time
        return dict.fromkeys(cases, Sighting(0.0, float("nan")))
    return dict(zip(cases, watch(branch, tails), strict=True))


def _row(case: _Case, series: Series, sightings: Sequence[Sighting]) -> PowerRow:
    """Sum up one fault of one size over the places that count."""
    fault, size = case
    delays = np.array([sighting.first for sighting in sightings]) + 1 + FAULTS[fault].n_silent(size)
    n_within = SOON if FAULTS[fault].n_readings else LATER  # what comes long after a spike is not its doing
    found = delays <= n_within
    return PowerRow(
        fault=fault,
        size=size,
        amount=size * series.sd if fault in _IN_SD else float("nan"),
        n=len(delays),
        soon=float(np.mean(delays <= SOON)) if len(delays) else float("nan"),
        later=float(np.mean(found)) if len(delays) else float("nan"),
        delay=float(np.median(delays[found])) if found.any() else float("nan"),
    )
