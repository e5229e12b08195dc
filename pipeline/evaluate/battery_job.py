"""One job of the battery: some streams of one kind, clean to their end, and branched wherever a fault strikes.

Comes in: settings, a kind, stream numbers and faults. Goes out: what became of every clean stream and of every
planted fault. A faulty stream shares its clean past: the clean one is run once, and where a fault strikes it is
copied, network and all, once per fault and size. Refuses to know processes, files and terminals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.records import Event, Health, Readings
from pipeline.core.seeds import key_of
from pipeline.core.settings import Settings
from pipeline.evaluate.battery_faults import FAULTS, LATER, SOON, apply, is_possible
from pipeline.evaluate.battery_signals import DAYS, STEP_S, Series, clean
from pipeline.evaluate.branching import branched
from pipeline.evaluate.watching import Tail, watch
from pipeline.runtime.replay import replay
from pipeline.runtime.session import Session
from pipeline.sources.recording import Recording

#: Faults strike in one of these parts of a stream, given as shares of its length; streams take turns.
_ONSETS = ((0.4, 0.55), (0.55, 0.7), (0.7, 0.85))
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        settings: Of the engine; streams have networks of their own.
        kinds: Kinds of streams.
        faults: Faults to plant; none for clean streams only.
        n_streams: Streams of each kind.
        n_faulty: Streams of each kind, the first ones, that faults are planted in.
        seed: Of streams and faults.
        step_s: Seconds between readings.
        days: Simulated length of every stream.
    """

    settings: Settings
    kinds: Sequence[str]
    faults: Sequence[str]
    n_streams: int
    n_faulty: int
    seed: int = 1
    step_s: float = STEP_S
    days: float = DAYS


@dataclass(frozen=True, slots=True)
class CleanStream:
    """What became of a clean stream.

    Attributes:
        kind: Kind of stream.
        stream: Its number.
        n_readings: Readings.
        days: Days after warm-up.
        alarms: Days after the end of warm-up at which an episode opened: false alarms, all of them.
        verdicts: Health verdicts that were given, by name, with how often: false ones, but for gaps and drift.
    """

    kind: str
    stream: int
    n_readings: int
    days: float
    alarms: tuple[float, ...]
    verdicts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Planting:
    """What became of a planted fault.

    Attributes:
        kind: Kind of stream.
        stream: Its number.
        fault: Which fault.
        size: Its size.
        is_masked: An episode was open when it struck: whether it would have been found is not known.
        n_before: False alarms of the stream before it struck.
        episode: Readings after the onset at which an episode opened, 1 for the first reading; NaN for never.
        verdict: Likewise for a health verdict that names the fault.
    """

    kind: str
    stream: int
    fault: str
    size: float
    is_masked: bool
    n_before: int
    episode: float
    verdict: float

    @property
    def delay(self) -> float:
        """Readings after the onset at which it was found by either; NaN for never."""
        return float(np.fmin(self.episode, self.verdict))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of some or all streams.

    Attributes:
        clean: The clean streams.
        planted: The planted faults.
        n_readings: Readings that were run, branches included.
    """

    clean: tuple[CleanStream, ...]
    planted: tuple[Planting, ...]
    n_readings: int


@dataclass(frozen=True, slots=True)
class Job:
    """Some streams of one kind."""

    plan: Plan
    kind: str
    streams: range


class _Run:
    """A clean stream on its way through a session.

    Args:
        number: Number of the stream.
        series: The stream.
    """

    def __init__(self, number: int, series: Series) -> None:
        self.number = number
        self.series = series
        self.time, self.value = series.readings()
        self.n_done = 0
        self.opened: list[float] = []
        self.health = np.zeros(len(self.time), np.uint16)

    @property
    def name(self) -> str:
        """Name of the stream in the session."""
        return f"s{self.number}"

    def n_before(self, step: int) -> int:
        """Return how many readings come before a step of the series."""
        return int(np.searchsorted(self.time, self.series.time[step]))


def run_job(job: Job) -> Outcome:
    """Run the clean streams of a job to their end, and branches of them wherever faults strike."""
    plan = job.plan
    streams = clean(job.kind, job.streams.stop, plan.seed, plan.step_s, plan.days)
    runs = [_Run(i, streams[i]) for i in job.streams]
    session = Session(plan.settings)
    planted: list[Planting] = []
    n_readings = sum(len(run.time) for run in runs)
    for part, (start, end) in enumerate(_ONSETS):
        onsets = {run.number: _onset(plan, job.kind, run, start, end) for run in runs}
        _advance(session, runs, [run.n_before(onsets[run.number]) for run in runs])
        struck = [run for run in runs if run.number % len(_ONSETS) == part and run.number < plan.n_faulty]
        found, n_watched = _plant(session, plan, struck, onsets)
        planted += found
        n_readings += n_watched
    _advance(session, runs, [len(run.time) for run in runs])
    order = {fault: i for i, fault in enumerate(FAULTS)}
    planted.sort(key=lambda planting: (order[planting.fault], planting.size, planting.stream))
    return Outcome(tuple(_judged(plan, run) for run in runs), tuple(planted), n_readings)


def _onset(plan: Plan, kind: str, run: _Run, start: float, end: float) -> int:
    """Draw the step at which faults strike a stream."""
    draw = key_of(f"{kind}/{run.number}", plan.seed) % 1000 / 1000
    return int(len(run.series.time) * (start + (end - start) * draw))


def _advance(session: Session, runs: Sequence[_Run], until: Sequence[int]) -> None:
    """Replay every stream up to so many readings."""
    parts = [slice(run.n_done, n) for run, n in zip(runs, until, strict=True)]
    recordings = [_recording(run, part) for run, part in zip(runs, parts, strict=True)]
    result = replay(recordings, session.settings, session=session)
    at = 0
    for run, part in zip(runs, parts, strict=True):
        rows = slice(at, at + part.stop - part.start)
        run.health[part] = result.steps.health[rows]
        run.opened += result.readings.time[rows][result.steps.event[rows] == Event.OPEN].tolist()
        run.n_done, at = part.stop, rows.stop


def _recording(run: _Run, part: slice) -> Recording:
    """Return a part of a stream as a recording."""
    time = run.time[part]
    none = np.zeros(len(time), np.int32), np.zeros(len(time), np.uint8)
    return Recording("", Readings([run.name], none[0], time, run.value[part], none[1]), {})


def _plant(session: Session, plan: Plan, runs: Sequence[_Run], onsets: Mapping[int, int]) -> tuple[list[Planting], int]:
    """Branch streams that stand before their onset, once per fault and size, and watch what is seen."""
    cases = [
        (run, name, size)
        for run in runs
        for name in plan.faults
        if is_possible(run.series.kind, name)
        for size in FAULTS[name].sizes
    ]
    names = [f"{run.name}/{name}/{size:g}" for run, name, size in cases]
    tails = [
        _tail(stream, plan, run, name, size, onsets[run.number])
        for stream, (run, name, size) in zip(names, cases, strict=True)
    ]
    branch = branched(session, [run.name for run, _, _ in cases], names)
    is_masked = branch.view().is_open
    sightings = watch(branch, tails)
    found = [
        Planting(
            kind=run.series.kind,
            stream=run.number,
            fault=name,
            size=size,
            is_masked=bool(masked),
            n_before=len(run.opened),
            episode=sighting.episode + 1 + FAULTS[name].n_silent(size),
            verdict=sighting.verdict + 1 + FAULTS[name].n_silent(size),
        )
        for (run, name, size), sighting, masked in zip(cases, sightings, is_masked, strict=False)
    ]
    return found, int(branch.counts["accepted"])


def _tail(stream: str, plan: Plan, run: _Run, name: str, size: float, at: int) -> Tail:
    """Return what a branch reads from its fault on, for as long as it is worth watching."""
    fault = FAULTS[name]
    planted = apply(name, size, run.series, at, seed=plan.seed + run.number)
    time, value = planted.series.readings()
    start = run.n_done
    n = SOON if fault.n_readings else LATER
    return Tail(stream, time[start : start + n], value[start : start + n], fault.health)


def _judged(plan: Plan, run: _Run) -> CleanStream:
    """Count what was said of a clean stream."""
    warm_s = run.time[min(plan.settings.detection.n_warmup, len(run.time) - 1)]
    fresh = run.health & ~np.concatenate((np.zeros(1, np.uint16), run.health[:-1]))
    verdicts = {health.text(): int(np.count_nonzero(fresh & health)) for health in Health}
    return CleanStream(
        kind=run.series.kind,
        stream=run.number,
        n_readings=len(run.time),
        days=float(run.time[-1] - warm_s) / _DAY_S,
        alarms=tuple((opened - warm_s) / _DAY_S for opened in run.opened),
        verdicts={name: n for name, n in verdicts.items() if n},
    )
