"""What a network's training, a stream's memory and a restart cost, each beside a yardstick of the same run.

Comes in: nothing. Goes out: a line each. Refuses to know the terminal.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, process_time

import numpy as np

from pipeline.core.columns import SlotArrays
from pipeline.core.records import Readings
from pipeline.evaluate.bench import SHARINGS, warmed_up, white_noise
from pipeline.evaluate.bench_memory import IS_COUNTED, further_kib
from pipeline.flow.learning import fine_tune_groups
from pipeline.flow.schedule import due_groups
from pipeline.flow.snapshot import copy_model, copy_state, parse_model, parse_state
from pipeline.runtime.session import Session

_N_TAUGHT, _TRAIN_ROUNDS, _N_OLD = 64, 3, 500
_N_RESTARTED = 10_000
_N_FIRST, _N_MORE = 100, {"stream": 300, "fleet": 9_900}
_KIB = 1024


@dataclass(frozen=True)
class Cost:
    """What one thing costs.

    Attributes:
        what: In words, with the unit.
        value: In that unit.
        baseline: What it is held against, in words.
        of_baseline: The baseline, in the same unit.
        ratio: Value over baseline.
    """

    what: str
    value: float
    baseline: str
    of_baseline: float
    ratio: float

    def as_dict(self) -> dict[str, float | str]:
        """Return the columns by name."""
        return {"bench": "cost", **asdict(self)}


def bench_costs(n_taught: int = _N_TAUGHT, n_restarted: int = _N_RESTARTED) -> list[Cost]:
    """Measure all of them."""
    of_streams = [cost for sharing in SHARINGS for cost in memory(sharing)]
    return [_training(n_taught), *of_streams, *_restart(n_restarted)]


def _cost(what: str, value: float, baseline: str, of_baseline: float) -> Cost:
    return Cost(what, value, baseline, of_baseline, value / of_baseline)


def _training(n_streams: int) -> Cost:
    """Fine-tune a network pair per stream as the default schedule says, beside bare forward steps over as much."""
    from pipeline.forecast.by_torch.rectangles import Plan
    from pipeline.forecast.by_torch.yardstick import bare_loop

    session = warmed_up(n_streams, "stream")
    training, n_members = session.settings.training, session.settings.forecast.ensemble
    batches = white_noise(n_streams, training.every, int(session.state.windows.n[0]))
    while session.state.windows.n[0] < _N_OLD:  # young networks train twice as long
        _taught_s(session, next(batches))
    taught_s, bare_s = [], []
    plan = Plan(slice(0, n_streams), n_streams, training.batch, None)
    n_steps = training.steps * training.window
    for _ in range(_TRAIN_ROUNDS):
        taught_s.append(_taught_s(session, next(batches)))
        bare_s.append(_seconds(lambda: bare_loop(session.model.network, session.model.bank, plan, n_steps)))
    n = n_streams * training.every
    us, bare_us = 1e6 * min(taught_s) / (n * n_members), 1e6 * min(bare_s) / n
    return _cost("fine-tune, us per reading and network", us, "bare forward steps over its windows", bare_us)


def _taught_s(session: Session, readings: Readings) -> float:
    """Process readings; return the processor time of the fine-tunes that fell due, in lessons as a child gets them."""
    session.process(readings, now=np.inf)
    groups = due_groups(session.model, session.state)
    return _seconds(lambda: fine_tune_groups(session.model, session.state, groups))


def _seconds(work: Callable[[], object]) -> float:
    """Return the processor time that work takes, of this process."""
    began_s = process_time()
    work()
    return process_time() - began_s


def memory(sharing: str) -> list[Cost]:
    """Add up the arrays of one stream, all that grows with their number but names; then ask the system."""
    session = warmed_up(1, sharing)
    parts: list[SlotArrays] = [*session.state.parts().values()]
    if sharing == "stream":
        parts.append(session.model.bank)
    size = sum(array.nbytes / part.capacity for part in parts for array in part.arrays().values())
    bare = 2 * session.state.windows.value[0].nbytes / _KIB
    what = f"memory per further stream, network per {sharing}, KiB"
    costs = [_cost(what, size / _KIB, "its readings and times", bare)]
    if IS_COUNTED:
        counted = further_kib(sharing, _N_FIRST, _N_MORE[sharing])
        costs.append(_cost(f"{what}, as the system counts", counted, "its arrays", size / _KIB))
    return costs


def _restart(n_streams: int) -> list[Cost]:
    """Write a fleet as a snapshot is, read it again, and score a reading of every stream."""
    session = warmed_up(n_streams, "fleet")
    batch = next(white_noise(n_streams, 1, int(session.state.windows.n[0])))
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in ("state", "model")]
        began_s = perf_counter()
        for path, copied in zip(paths, (copy_state(session.state, {}), copy_model(session.model)), strict=True):
            with path.open("wb") as file:
                file.writelines(copied.chunks())
        written_s = perf_counter() - began_s
        began_s = perf_counter()
        for path in paths:
            path.read_bytes()
        read_s = perf_counter() - began_s
        began_s = perf_counter()
        _started(session, paths).process(batch, now=np.inf)
        started_s = perf_counter() - began_s
    bare = "reading the files"
    of = f"{n_streams:,} streams, fleet"
    return [
        _cost(f"snapshot of {of}, s", written_s, bare, read_s),
        _cost(f"start to first score with a snapshot of {of}, s", started_s, bare, read_s),
        _cost("importing the engine, s", _import_s("pipeline.runtime.session"), "torch", _import_s("torch")),
    ]


def _started(session: Session, paths: list[Path]) -> Session:
    """Return a session that goes on from a snapshot, as after a restart."""
    again = Session(session.settings)
    state, _ = parse_state(paths[0].read_bytes(), session.settings)
    again.restore(parse_model(paths[1].read_bytes(), session.settings), state, session.tallies())
    return again


def _import_s(module: str) -> float:
    """Return how long a fresh interpreter takes to import a module, seconds."""
    began_s = perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)  # noqa: S603 - our own
    return perf_counter() - began_s
