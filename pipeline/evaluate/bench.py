"""Readings per second of the engine, beside a bare loop that only steps the LSTM cell, in one run.

The ratio is the figure: both are timed in turn on the same machine, the same networks, the same
number of streams, and the best of each counts, since noise only ever slows down.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from time import perf_counter

import numpy as np

from pipeline.core.records import Readings
from pipeline.core.settings import Settings
from pipeline.flow.sharing import admit
from pipeline.runtime.session import Session

STREAMS = (1, 10, 100, 1_000, 10_000, 100_000)
SHARINGS = ("stream", "fleet")
#: From so many streams on only a fleet is measured, with the shortest windows: else memory would not do.
N_FLEET_ONLY, _SHORT_WINDOW = 100_000, 128
_N_WARMED_UP = 1_000  # streams at most that are warmed up; further ones go on from copies of their state
_ROUNDS = 5
_READINGS_PER_ROUND = 50_000
_TICKS = (10, 400)  # at least, at most, per round; in ten the histories of all streams close a block


@dataclass(frozen=True)
class Result:
    """One line of the benchmark.

    Attributes:
        n_streams: Streams, all with a new reading in every tick.
        sharing: ``stream`` (a network each) or ``fleet`` (one for all).
        readings_per_s: Of the engine, everything on but fine-tuning.
        bare_per_s: Of the bare LSTM cell loop.
        ratio: Engine over bare loop.
    """

    n_streams: int
    sharing: str
    readings_per_s: float
    bare_per_s: float
    ratio: float

    def as_dict(self) -> dict[str, float | int | str]:
        """Return the columns by name."""
        return asdict(self)


def bench_engine(on_result: Callable[[Result], None]) -> list[Result]:
    """Measure every number of streams with every sharing; ``on_result`` is called after each."""
    results = []
    for n_streams in STREAMS:
        for sharing in SHARINGS if n_streams < N_FLEET_ONLY else ("fleet",):
            results.append(_measure(n_streams, sharing))
            on_result(results[-1])
    return results


def _measure(n_streams: int, sharing: str) -> Result:
    """Time engine and bare loop in turn, past the warm-up, when every stage works."""
    from pipeline.forecast.by_torch.rectangles import plan_for
    from pipeline.forecast.by_torch.yardstick import bare_loop

    session = warmed_up(n_streams, sharing)
    n_ticks = int(np.clip(_READINGS_PER_ROUND // n_streams, *_TICKS))
    batches = white_noise(n_streams, n_ticks, int(session.state.windows.n[0]))
    session.process(next(batches), now=np.inf)
    plan = plan_for(session.state.ledger.group[:n_streams])
    engine_s, bare_s = [], []
    for _ in range(_ROUNDS):
        batch = next(batches)
        engine_s.append(_seconds(partial(session.process, batch, now=np.inf)))
        bare_s.append(_seconds(partial(bare_loop, session.model.network, session.model.bank, plan, n_ticks)))
    n_readings = n_streams * n_ticks
    engine, bare = n_readings / min(engine_s), n_readings / min(bare_s)
    return Result(n_streams, sharing, engine, bare, engine / bare)


def warmed_up(n_streams: int, sharing: str) -> Session:
    """Return a session whose streams are past the warm-up, when every stage works."""
    streams = {"max_streams": n_streams} | ({"window_len": _SHORT_WINDOW} if n_streams >= N_FLEET_ONLY else {})
    session = Session(Settings.model_validate({"streams": streams, "forecast": {"sharing": sharing}}))
    n_first, n_ticks = min(n_streams, _N_WARMED_UP), 48
    batches = white_noise(n_first, n_ticks)
    for _ in range(session.settings.detection.n_warmup // n_ticks + 1):
        session.process(next(batches), now=np.inf)
    slots = admit(session.model, session.state, _names(n_streams))
    for further in np.split(slots[n_first:], range(n_first, n_streams - n_first, n_first)):
        group = session.state.ledger.group[further]
        for part in session.state.parts().values():
            part.put(further, part.take(further % n_first))
        session.state.ledger.group[further] = group
    return session


def _names(n_streams: int) -> list[str]:
    return [f"s{i}" for i in range(n_streams)]


def white_noise(n_streams: int, n_ticks: int, start: int = 0) -> Iterator[Readings]:
    """Yield batches in which every stream has ``n_ticks`` new readings, a minute apart, from minute ``start`` on."""
    rng = np.random.default_rng(1)
    names = _names(n_streams)
    stream = np.tile(np.arange(n_streams, dtype=np.int32), n_ticks)
    while True:
        time = np.repeat(np.arange(start, start + n_ticks) * 60.0, n_streams)
        yield Readings(names, stream, time, rng.normal(size=len(time)), np.zeros(len(time), np.uint8))
        start += n_ticks


def _seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start
