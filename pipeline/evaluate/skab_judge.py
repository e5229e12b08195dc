"""Alerts of a device held against SKAB's labels: what they are worth, beside as many blind ones.

Comes in: experiments and what the engine said of them. Goes out: scores at the engine's own level and at others, false
alarms in clean rows, and the state row by row beside always-on: blind alerts do well by this benchmark's figures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from pipeline.core.records import F64, Bool
from pipeline.evaluate.blind import blind_alerts
from pipeline.evaluate.events import Span
from pipeline.evaluate.nab_alerts import Scored, raise_alerts
from pipeline.evaluate.skab_files import Experiment
from pipeline.evaluate.skab_metric import PROFILES, is_outside, nab_scores, windows

#: Rows at the begin of every experiment that are clean by the benchmark's protocol, and not judged.
N_CLEAN = 400
#: Levels at which alerts are compared with blind ones, besides the engine's own.
LEVELS = (2.0, 2.5, 3.0, 3.5, 4.0, 5.0, 6.0, 8.0)
#: Levels among which that is looked for which raises as many alerts as there are changes.
_FINE_LEVELS = np.arange(10, 150) / 10
_HOUR_S = 3600.0


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
        matched: Alerts at the level that raises about as many as there are changes: no choice by score.
        at: Alerts at other levels, ascending.
        files: By experiment, at the engine's own level.
        state: The engine's open episodes, taken as the claim that these rows are anomalous.
        always_on: The claim that all rows are.
    """

    seed: int
    own: AtLevel
    matched: AtLevel
    at: tuple[AtLevel, ...]
    files: tuple[FileResult, ...]
    state: Point
    always_on: Point


def judge(seed: int, experiments: Sequence[Experiment], watched: Sequence[Watched]) -> SkabRun:
    """Hold what was said of the experiments against their labels."""
    scores, margins = [own.score for own in watched], [own.margin for own in watched]
    own_alerts = alerts(0.0, experiments, margins)
    return SkabRun(
        seed=seed,
        own=judge_alerts(None, experiments, own_alerts),
        matched=_at(_matched(experiments, scores), experiments, scores),
        at=tuple(_at(level, experiments, scores) for level in LEVELS),
        files=tuple(map(_file, experiments, own_alerts)),
        state=_point(experiments, [own.is_open for own in watched]),
        always_on=_point(experiments, [np.ones(len(experiment), np.bool_) for experiment in experiments]),
    )


def _matched(experiments: Sequence[Experiment], scores: Sequence[F64]) -> float:
    """Return the level at which alerts are nearest in number to changes, the higher of two alike."""
    pairs = [(own, score) for own, score in zip(experiments, scores, strict=True) if own.is_change.any()]
    changed, theirs = [own for own, _ in pairs], [score for _, score in pairs]
    n_changes = sum(int(own.is_change.sum()) for own in changed)
    n_alerts = [sum(int(mask.sum()) for mask in alerts(float(level), changed, theirs)) for level in _FINE_LEVELS]
    off = np.abs(np.array(n_alerts) - n_changes)
    return float(_FINE_LEVELS[np.flatnonzero(off == off.min())[-1]])


def _at(level: float, experiments: Sequence[Experiment], scores: Sequence[F64]) -> AtLevel:
    return judge_alerts(level, experiments, alerts(level, experiments, scores))


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
