"""The battery: the engine on streams of every kind, clean and with every fault, where the truth is known.

Comes in: what to run, and how many processes may run it. Goes out: what became of every clean stream and of every
planted fault, the same however many processes ran it. Refuses to know files and terminals.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from itertools import pairwise
from multiprocessing import get_context

import numpy as np

from pipeline.evaluate.battery_job import Job, Outcome, Plan, run_job
from pipeline.evaluate.branching import check_apart

_STREAMS_PER_JOB = 25  # enough for long vectors, few enough for a bar that moves


def jobs(plan: Plan) -> list[Job]:
    """Part the streams of every kind into jobs of nearly equal size."""
    n_jobs = -(-plan.n_streams // _STREAMS_PER_JOB)
    bounds = np.linspace(0, plan.n_streams, n_jobs + 1).round().astype(int).tolist()
    return [Job(plan, kind, range(start, end)) for kind in plan.kinds for start, end in pairwise(bounds)]


def run_battery(plan: Plan, n_workers: int, progress: Callable[[str, int], None] = lambda *_: None) -> Outcome:
    """Run all streams.

    Args:
        plan: What to run.
        n_workers: Processes; 1 runs everything here.
        progress: Told after each job its kind and how many streams it held.

    Returns:
        All streams, by kind and number; the same for any number of processes.

    Raises:
        UsageError: Settings under which streams touch each other.
    """
    check_apart(plan.settings)
    todo = jobs(plan)
    done: dict[int, Outcome] = {}
    for i, outcome in _each(todo, n_workers):
        done[i] = outcome
        progress("battery", len(todo[i].streams))
    parts = [done[i] for i in range(len(todo))]
    clean_streams = tuple(stream for part in parts for stream in part.clean)
    planted = tuple(planting for part in parts for planting in part.planted)
    return Outcome(clean_streams, planted, sum(part.n_readings for part in parts))


def _each(todo: Sequence[Job], n_workers: int) -> Iterator[tuple[int, Outcome]]:
    """Yield the number and the outcome of each job, as they end."""
    if n_workers == 1:
        yield from ((i, run_job(job)) for i, job in enumerate(todo))
        return
    with ProcessPoolExecutor(n_workers, mp_context=get_context("spawn")) as pool:
        number = {pool.submit(run_job, job): i for i, job in enumerate(todo)}
        try:
            for future in as_completed(number):
                yield number[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
