"""The Skoltech Anomaly Benchmark (SKAB): a device with several sensors, watched as in service.

Comes in: experiments, settings, seeds. Goes out: what alerts were worth. Every sensor is a stream with a network of its
own, every experiment a session of its own. The device is as strange as its strangest sensor, less what looking at
several costs. Refuses to know files and terminals.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log10

import numpy as np

from pipeline.core.records import F64, Bool, Outcome, Readings
from pipeline.core.settings import Settings
from pipeline.evaluate.forecast import with_seed
from pipeline.evaluate.processes import each
from pipeline.evaluate.skab_files import Experiment
from pipeline.evaluate.skab_judge import SkabRun, Watched, judge
from pipeline.runtime.replay import replay
from pipeline.sources.recording import Recording

#: Told how many rows are done.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Watch:
    """An experiment to be watched: the job of a process."""

    experiment: Experiment
    settings: Settings


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
