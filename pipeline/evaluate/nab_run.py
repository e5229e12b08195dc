"""Runs of the engine over NAB's files, one per seed or setup, in as many processes as there are processors.

Comes in: recordings, settings, seeds. Goes out: a score per reading, by run. Each run is one replay of all files,
a network per stream, exactly as users replay; labels are not known here. Runs that are left when every other processor
has had as many are parted by files among all, which changes nothing where streams do not touch each other.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from queue import Empty
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pipeline.core.errors import ForetellError
from pipeline.core.records import Event, Outcome
from pipeline.core.settings import Settings
from pipeline.detect import views
from pipeline.evaluate.forecast import with_seed
from pipeline.evaluate.nab_alerts import Scored
from pipeline.evaluate.processes import n_processors
from pipeline.runtime.replay import replay
from pipeline.runtime.session import Session
from pipeline.sources.recording import Recording

if TYPE_CHECKING:
    from queue import Queue

Name = TypeVar("Name", bound=Hashable)
_POLL_S = 0.2
_NEXT_TO_NOTHING = 1e-9  # sizes must stay above 0: their tail is one of logarithms


@dataclass(frozen=True, slots=True)
class Setup:
    """How the engine is run.

    Attributes:
        settings: All of them, the seed too.
        has_floors: Effects below a floor do not count, as always; else every trifle does.
        has_views: What every view saw is kept.
    """

    settings: Settings
    has_floors: bool = True
    has_views: bool = False


def run_seeds(
    recordings: Sequence[Recording], settings: Settings, seeds: Sequence[int], progress: Callable[[int, int], None]
) -> dict[int, list[Scored]]:
    """Run the engine once per seed.

    Args:
        recordings: One stream each.
        settings: All but the seed.
        seeds: Seeds of initial weights and window sampling.
        progress: Told the seed at work, and how many more readings of its run are done.

    Returns:
        Scored files in the order of the recordings, by seed.

    Raises:
        ForetellError: A process died, as for lack of memory.
    """
    return run_setups(recordings, {seed: Setup(with_seed(settings, seed)) for seed in seeds}, progress)


def run_setups(
    recordings: Sequence[Recording], setups: Mapping[Name, Setup], progress: Callable[[Name, int], None]
) -> dict[Name, list[Scored]]:
    """Run the engine once per setup.

    Args:
        recordings: One stream each.
        setups: By name.
        progress: Told the name at work, and how many more readings of its run are done.

    Returns:
        Scored files in the order of the recordings, by name.

    Raises:
        ForetellError: A process died, as for lack of memory.
    """
    n_processes = n_processors()
    if n_processes == 1 or not recordings:
        return {name: run(recordings, setup, partial(progress, name)) for name, setup in setups.items()}
    context = get_context("spawn")
    try:
        with context.Manager() as manager, ProcessPoolExecutor(n_processes, mp_context=context) as pool:
            done: Queue[tuple[Name, int]] = manager.Queue()
            jobs = {
                pool.submit(_job, part, setups[name], name, done): name
                for name, part in _parts(recordings, setups, n_processes)
            }
            try:
                for name, n in _told(done, jobs):
                    progress(name, n)
                found: dict[Name, list[Scored]] = {name: [] for name in setups}
                for job, name in jobs.items():
                    found[name] += job.result()
            finally:
                pool.shutdown(cancel_futures=True)
    except RuntimeError as error:  # a broken pool
        raise ForetellError(f"a run of the engine ended early: {error}") from None
    return found


def _parts(
    recordings: Sequence[Recording], setups: Mapping[Name, Setup], n_processes: int
) -> Iterator[tuple[Name, Sequence[Recording]]]:
    """Yield each run's name and files, in order: whole, or one part after the other."""
    n_whole = len(setups) - len(setups) % n_processes
    for number, (name, setup) in enumerate(setups.items()):
        can_part = setup.settings.forecast.sharing == "stream" and not setup.settings.forecast.context
        n_parts = n_processes if number >= n_whole and can_part else 1
        n_before = np.cumsum([0, *(len(recording.readings) for recording in recordings)])[:-1]
        part_of = n_before * n_parts // max(sum(len(recording.readings) for recording in recordings), 1)
        for own in np.split(np.arange(len(recordings)), np.flatnonzero(np.diff(part_of)) + 1):
            yield name, [recordings[i] for i in own]


def run_seed(
    recordings: Sequence[Recording], settings: Settings, seed: int, progress: Callable[[int], None]
) -> list[Scored]:
    """Replay all recordings with one seed; return them scored, in their order."""
    return run(recordings, Setup(with_seed(settings, seed)), progress)


def run(recordings: Sequence[Recording], setup: Setup, progress: Callable[[int], None]) -> list[Scored]:
    """Replay all recordings with one setup; return them scored, in their order."""
    session = Session(setup.settings, has_detail=setup.has_views)
    with _floors(has_floors=setup.has_floors):
        result = replay(recordings, setup.settings, progress, session)
    steps = result.steps
    ends = np.cumsum([len(recording.readings) for recording in recordings])
    return [
        Scored(
            time=result.readings.time[rows],
            value=result.readings.value[rows],
            score=steps.score[rows],
            is_accepted=steps.outcome[rows] == Outcome.ACCEPTED,
            is_opening=steps.event[rows] == Event.OPEN,
            views=None if steps.detail is None else steps.detail.views[rows],
        )
        for rows in np.split(np.arange(len(result.readings)), ends[:-1])
    ]


@contextmanager
def _floors(*, has_floors: bool) -> Iterator[None]:
    """Take the floors away while the block runs, or leave them.

    They are constants, for nobody should set them: only to see what they are worth they are changed where they are,
    in this process and for this run.
    """
    kept = views.FLOOR_OF_SPREAD, views.FLOOR_OF_ACTIVITY
    try:
        if not has_floors:
            views.FLOOR_OF_SPREAD = views.FLOOR_OF_ACTIVITY = _NEXT_TO_NOTHING
        yield
    finally:
        views.FLOOR_OF_SPREAD, views.FLOOR_OF_ACTIVITY = kept


def _job(recordings: Sequence[Recording], setup: Setup, name: Name, done: "Queue[tuple[Name, int]]") -> list[Scored]:
    """Do one run in a process of its own."""
    return run(recordings, setup, lambda n: done.put((name, n)))


def _told(done: "Queue[tuple[Name, int]]", jobs: Mapping[Future[list[Scored]], Name]) -> Iterator[tuple[Name, int]]:
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
