"""Runs of the engine over NAB's files, one per seed, in as many processes as there are processors.

Comes in: recordings, settings, seeds. Goes out: a score per reading, by seed. Each run is one replay of all files,
a network per stream, exactly as users replay; labels are not known here.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from functools import partial
from multiprocessing import get_context
from queue import Empty
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import ForetellError
from pipeline.core.records import Event, Outcome
from pipeline.core.settings import Settings
from pipeline.evaluate.forecast import with_seed
from pipeline.evaluate.nab_alerts import Scored
from pipeline.runtime.replay import replay
from pipeline.sources.recording import Recording

if TYPE_CHECKING:
    from queue import Queue

#: Told the seed at work, and how many readings of its run are done.
Progress = Callable[[int, int], None]
_POLL_S = 0.2


def run_seeds(
    recordings: Sequence[Recording], settings: Settings, seeds: Sequence[int], progress: Progress
) -> dict[int, list[Scored]]:
    """Run the engine once per seed.

    Args:
        recordings: One stream each.
        settings: All but the seed.
        seeds: Seeds of initial weights and window sampling.
        progress: Told what is done.

    Returns:
        Scored files in the order of the recordings, by seed.

    Raises:
        ForetellError: A process died, as for lack of memory.
    """
    n_processes = min(len(seeds), n_processors())
    if n_processes == 1:
        return {seed: run_seed(recordings, settings, seed, partial(progress, seed)) for seed in seeds}
    context = get_context("spawn")
    try:
        with context.Manager() as manager, ProcessPoolExecutor(n_processes, mp_context=context) as pool:
            done: Queue[tuple[int, int]] = manager.Queue()
            jobs = {pool.submit(_job, recordings, settings, seed, done): seed for seed in seeds}
            try:
                for seed, n in _told(done, jobs):
                    progress(seed, n)
                found = {seed: job.result() for job, seed in jobs.items()}
            finally:
                pool.shutdown(cancel_futures=True)
    except RuntimeError as error:  # a broken pool
        raise ForetellError(f"a run of the engine ended early: {error}") from None
    return found


def n_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not everywhere
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_seed(
    recordings: Sequence[Recording], settings: Settings, seed: int, progress: Callable[[int], None]
) -> list[Scored]:
    """Replay all recordings with one seed; return them scored, in their order."""
    result = replay(recordings, with_seed(settings, seed), progress)
    steps = result.steps
    ends = np.cumsum([len(recording.readings) for recording in recordings])
    return [
        Scored(
            time=result.readings.time[rows],
            value=result.readings.value[rows],
            score=steps.score[rows],
            is_accepted=steps.outcome[rows] == Outcome.ACCEPTED,
            is_opening=steps.event[rows] == Event.OPEN,
        )
        for rows in np.split(np.arange(len(result.readings)), ends[:-1])
    ]


def _job(
    recordings: Sequence[Recording], settings: Settings, seed: int, done: "Queue[tuple[int, int]]"
) -> list[Scored]:
    """Do one run in a process of its own."""
    return run_seed(recordings, settings, seed, lambda n: done.put((seed, n)))


def _told(done: "Queue[tuple[int, int]]", jobs: Mapping[Future[list[Scored]], int]) -> Iterator[tuple[int, int]]:
    """Yield what the runs tell, until all have ended or one has failed."""
    open_jobs = set(jobs)
    while open_jobs:
        ended, open_jobs = wait(open_jobs, timeout=_POLL_S, return_when=FIRST_COMPLETED)
        for job in ended:
            job.result()
        while True:
            try:
                yield done.get_nowait()
            except Empty:
                break
