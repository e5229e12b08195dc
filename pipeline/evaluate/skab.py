"""The Skoltech Anomaly Benchmark (SKAB): alerts of a device with several sensors, beside as many blind alerts.

Comes in: experiments, settings, seeds. Goes out: what alerts were worth at the engine's own level and at others, always
beside as many evenly spaced ones, for blind alerts do well by this benchmark's figures. Every sensor is a stream with
a network of its own, every experiment a session of its own. The device is as strange as its strangest sensor, less
what looking at several costs. Refuses to know files and terminals.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log10
from statistics import fmean

import numpy as np

from pipeline.core.records import F64, Bool, Outcome, Readings
from pipeline.core.settings import Settings
from pipeline.evaluate.blind import blind_alerts
from pipeline.evaluate.events import Span
from pipeline.evaluate.forecast import with_seed
from pipeline.evaluate.nab_alerts import Scored, raise_alerts
from pipeline.evaluate.processes import each
from pipeline.evaluate.skab_files import Experiment
from pipeline.evaluate.skab_metric import PROFILES, is_outside, nab_scores, windows
from pipeline.runtime.replay import replay
from pipeline.sources.recording import Recording

#: Rows at the begin of every experiment that are clean by the benchmark's protocol, and not judged.
N_CLEAN = 400
#: Levels at which alerts are compared with blind ones, besides the engine's own.
LEVELS = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)
_HOUR_S = 3600.0

#: Told how many rows are done.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Watch:
    """An experiment to be watched: the job of a process."""

    experiment: Experiment
    settings: Settings


@dataclass(frozen=True, slots=True)
class Watched:
    """An experiment after the engine went over it, shape (N,) each.

    Attributes:
        score: Of the device: the largest of its sensors, less ``log10`` of their number; NaN where no sensor has one.
        margin: By how much the device is beyond the engine's own level: likewise of score minus alert level.
        is_open: An episode of any sensor is open.
    """

    score: F64
    margin: F64
    is_open: Bool


@dataclass(frozen=True, slots=True)
class Point:
    """A state for every row, held against the labels; shares, NaN where undefined.

    Attributes:
        f1: Harmonic mean of precision and recall, row by row.
        false_alarm_rate: Normal rows that were called anomalous.
        missed_rate: Anomalous rows that were not.
    """

    f1: float
    false_alarm_rate: float
    missed_rate: float


@dataclass(frozen=True, slots=True)
class AtLevel:
    """Alerts at one level, all experiments together.

    Attributes:
        level: Alert level of the device; None for the engine's own.
        n_alerts: In the experiments with changes.
        scores: By profile.
        blind: By profile, of as many evenly spaced alerts: mean over where they start.
        n_clean_alerts: In clean rows, those of the run without an anomaly included.
        clean_h: Hours of clean rows.
    """

    level: float | None
    n_alerts: int
    scores: Mapping[str, float]
    blind: Mapping[str, float]
    n_clean_alerts: int
    clean_h: float

    @property
    def lead(self) -> float:
        """Points of the standard profile above blind alerts."""
        return self.scores["standard"] - self.blind["standard"]

    @property
    def clean_alerts_per_hour(self) -> float:
        """False alarms per hour of clean rows; NaN where there are none."""
        return self.n_clean_alerts / self.clean_h if self.clean_h else float("nan")


@dataclass(frozen=True, slots=True)
class FileResult:
    """One experiment at the engine's own level.

    Attributes:
        name: The experiment.
        n_rows: Judged rows.
        n_changes: Changes.
        n_met: Changes with an alert in their window.
        alerts: Rows of the alerts.
        n_outside: Alerts in no window.
    """

    name: str
    n_rows: int
    n_changes: int
    n_met: int
    alerts: tuple[int, ...]
    n_outside: int


@dataclass(frozen=True, slots=True)
class SkabRun:
    """All experiments with one seed.

    Attributes:
        seed: Of weights and window sampling.
        own: Alerts at the engine's own level.
        at: Alerts at other levels, ascending.
        files: By experiment, at the engine's own level.
        state: The engine's open episodes, taken as the claim that these rows are anomalous.
        always_on: The claim that all rows are.
    """

    seed: int
    own: AtLevel
    at: tuple[AtLevel, ...]
    files: tuple[FileResult, ...]
    state: Point
    always_on: Point


def evaluate_skab(
    experiments: Sequence[Experiment],
    settings: Settings,
    seeds: Sequence[int],
    progress: Progress = lambda _: None,
    n_processes: int | None = None,
) -> list[SkabRun]:
    """Watch all experiments with every seed.

    Args:
        experiments: In the order in which results are wanted.
        settings: Those of the engine, but for the seed.
        seeds: Seeds of initial weights and window sampling.
        progress: Told after each experiment how many rows it held.
        n_processes: See ``each``; results do not depend on it.

    Returns:
        A run per seed.
    """
    jobs = [Watch(experiment, with_seed(settings, seed)) for seed in seeds for experiment in experiments]
    done: dict[int, Watched] = {}
    for i, watched in each(watch, jobs, n_processes):
        done[i] = watched
        progress(len(jobs[i].experiment))
    n = len(experiments)
    return [judge(seed, experiments, [done[k * n + i] for i in range(n)]) for k, seed in enumerate(seeds)]


def recording(experiment: Experiment) -> Recording:
    """Return an experiment as a recording: a stream per sensor."""
    n_sensors = len(experiment.sensors)
    readings = Readings(
        [f"{experiment.name}/{sensor}" for sensor in experiment.sensors],
        np.repeat(np.arange(n_sensors, dtype=np.int32), len(experiment)),
        np.tile(experiment.time, n_sensors),
        experiment.value.T.ravel(),
        np.zeros(n_sensors * len(experiment), np.uint8),
    )
    return Recording(experiment.name, readings, {})


def watch(job: Watch) -> Watched:
    """Replay an experiment and return what was said of the device."""
    experiment = job.experiment
    steps = replay([recording(experiment)], job.settings).steps
    shape = (len(experiment.sensors), len(experiment))
    score = np.where(steps.outcome == Outcome.ACCEPTED, steps.score, np.nan).reshape(shape)
    margin = score - steps.level.reshape(shape)
    is_open: Bool = np.any(np.isfinite(steps.opened).reshape(shape), axis=0)
    cost = log10(len(experiment.sensors))
    return Watched(_largest(score) - cost, _largest(margin) - cost, is_open)


def _largest(by_sensor: F64) -> F64:
    """Return the largest known number of each row, NaN where no sensor has one, shape (N,)."""
    known = np.where(np.isnan(by_sensor), -np.inf, by_sensor).max(axis=0)
    return np.where(np.isinf(known), np.nan, known)


def judge(seed: int, experiments: Sequence[Experiment], watched: Sequence[Watched]) -> SkabRun:
    """Hold what was said of the experiments against their labels."""
    scores, margins = [own.score for own in watched], [own.margin for own in watched]
    own_alerts = alerts(0.0, experiments, margins)
    return SkabRun(
        seed=seed,
        own=judge_alerts(None, experiments, own_alerts),
        at=tuple(judge_alerts(level, experiments, alerts(level, experiments, scores)) for level in LEVELS),
        files=tuple(map(_file, experiments, own_alerts)),
        state=_point(experiments, [own.is_open for own in watched]),
        always_on=_point(experiments, [np.ones(len(experiment), np.bool_) for experiment in experiments]),
    )


def alerts(level: float, experiments: Sequence[Experiment], scores: Sequence[F64]) -> list[Bool]:
    """Raise alerts of the device where its score reaches a level, with rest between them; a mask per experiment."""
    judged = [np.where(np.arange(len(score)) < N_CLEAN, np.nan, score) for score in scores]
    everything = [np.ones(len(experiment), np.bool_) for experiment in experiments]
    files = [
        Scored(experiment.time, score, score, accepted, ~accepted)
        for experiment, score, accepted in zip(experiments, judged, everything, strict=True)
    ]
    return raise_alerts(files, level)


def judge_alerts(level: float | None, experiments: Sequence[Experiment], masks: Sequence[Bool]) -> AtLevel:
    """Judge the alerts that were raised at a level, None for the engine's own, beside as many blind ones."""
    pairs = list(zip(experiments, masks, strict=True))
    changed = [(experiment, mask) for experiment, mask in pairs if experiment.is_change.any()]
    spans = [windows_of(experiment) for experiment, _ in changed]
    n_alerts = sum(int(mask.sum()) for _, mask in changed)
    scores = nab_scores([experiment.time[mask] for experiment, mask in changed], spans)
    lengths = [max(len(experiment) - N_CLEAN, 0) for experiment, _ in changed]
    blind = [
        nab_scores([e.time[at + N_CLEAN] for (e, _), at in zip(changed, own, strict=True)], spans)
        for own in blind_alerts(n_alerts, lengths)
    ]
    clean = [is_clean(experiment) for experiment in experiments]
    return AtLevel(
        level=level,
        n_alerts=n_alerts,
        scores=scores,
        blind={profile: fmean(one[profile] for one in blind) for profile in PROFILES},
        n_clean_alerts=sum(int((mask & rows).sum()) for mask, rows in zip(masks, clean, strict=True)),
        clean_h=sum(map(_hours, experiments, clean)),
    )


def windows_of(experiment: Experiment) -> list[Span]:
    """Return the windows of an experiment's changes, seconds."""
    return windows(experiment.time[experiment.is_change])


def is_clean(experiment: Experiment) -> Bool:
    """Say which judged rows nothing is wrong with: not anomalous, and not in the window of a change."""
    rows = ~experiment.is_anomalous & is_outside(experiment.time, windows_of(experiment))
    rows[:N_CLEAN] = False
    return rows


def _hours(experiment: Experiment, rows: Bool) -> float:
    """Return how long rows took, by the usual step: pauses of the test bed do not count."""
    return int(rows.sum()) * float(np.median(np.diff(experiment.time))) / _HOUR_S


def _file(experiment: Experiment, mask: Bool) -> FileResult:
    """Judge one experiment."""
    spans, at = windows_of(experiment), experiment.time[mask]
    return FileResult(
        name=experiment.name,
        n_rows=max(len(experiment) - N_CLEAN, 0),
        n_changes=len(spans),
        n_met=sum(bool(((at >= first) & (at <= last)).any()) for first, last in spans),
        alerts=tuple(np.flatnonzero(mask).tolist()),
        n_outside=int(is_outside(at, spans).sum()),
    )


def _point(experiments: Sequence[Experiment], claims: Sequence[Bool]) -> Point:
    """Hold a claim for every judged row of the experiments with changes against the labels."""
    pairs = [(e, claim) for e, claim in zip(experiments, claims, strict=True) if e.is_change.any()]
    truth = np.concatenate([np.zeros(0, np.bool_), *(e.is_anomalous[N_CLEAN:] for e, _ in pairs)])
    claim = np.concatenate([np.zeros(0, np.bool_), *(claim[N_CLEAN:] for _, claim in pairs)])
    n_true, n_said, n_both = (int(flags.sum()) for flags in (truth, claim, truth & claim))
    n_normal = len(truth) - n_true
    return Point(
        f1=2 * n_both / (n_true + n_said) if n_true + n_said else float("nan"),
        false_alarm_rate=(n_said - n_both) / n_normal if n_normal else float("nan"),
        missed_rate=1 - n_both / n_true if n_true else float("nan"),
    )
