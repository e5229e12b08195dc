"""Independent jobs in as many processes as there are processors.

Comes in: a function and its jobs. Goes out: results as they end, the same however many processes there are.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TypeVar

from pipeline.core.errors import ForetellError

Job = TypeVar("Job")
Result = TypeVar("Result")


def n_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not everywhere
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def each(
    function: Callable[[Job], Result], jobs: Sequence[Job], n_processes: int | None = None
) -> Iterator[tuple[int, Result]]:
    """Yield the number and the result of each job, as they end.

    Args:
        function: Of a module, for a process of its own must find it.
        jobs: What it is called with, one after the other.
        n_processes: At most; as many as there are processors when None; with 1 all is done here.

    Raises:
        ForetellError: A process died, as for lack of memory.
    """
    n = min(n_processes or n_processors(), len(jobs))
    if n <= 1:
        yield from ((i, function(job)) for i, job in enumerate(jobs))
        return
    pool = ProcessPoolExecutor(n, mp_context=get_context("spawn"))
    try:
        numbers = {pool.submit(function, job): i for i, job in enumerate(jobs)}
        for future in as_completed(numbers):
            yield numbers[future], future.result()
    except RuntimeError as error:  # a broken pool
        raise ForetellError(f"a run of the engine ended early: {error}") from None
    finally:
        pool.shutdown(cancel_futures=True)
