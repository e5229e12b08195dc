"""What each stage of a tick costs, as a share of the tick: where the time goes.

Comes in: nothing. Goes out: a line per stage. Each stage's function is timed where the spine calls it; the best of
a few rounds counts, and what the stages leave is the spine's own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np

from pipeline.evaluate.bench import warmed_up, white_noise
from pipeline.flow import engine, forecasting, scoring

N_STREAMS = 1_000
_TICKS, _ROUNDS = 20, 5
#: Stage, and where the function lies that does it; the last ones are part of one before.
_STAGES = (
    ("gate", engine, "gate"),
    ("arrive", engine, "arrive"),
    ("judge", engine, "judge"),
    ("health", engine, "watch"),
    ("report", engine, "_report"),
    ("learn", engine, "_learn"),
    ("forecast", engine, "advance"),
    ("judge: views", scoring, "look"),
    ("forecast: networks", forecasting, "step"),
)


@dataclass(frozen=True)
class StageCost:
    """What one stage costs.

    Attributes:
        sharing: ``stream`` (a network each) or ``fleet`` (one for all).
        stage: Its name; ``stage: part`` for a part that is in the stage's figure too.
        us: Microseconds per reading.
        ratio: Of the whole.
    """

    sharing: str
    stage: str
    us: float
    ratio: float

    def as_dict(self) -> dict[str, float | str]:
        """Return the columns by name."""
        return {"bench": "stage", **asdict(self)}


def bench_stages(sharing: str, n_streams: int = N_STREAMS, n_rounds: int = _ROUNDS) -> list[StageCost]:
    """Measure every stage, and last the whole."""
    session = warmed_up(n_streams, sharing)
    batches = white_noise(n_streams, _TICKS, int(session.state.windows.n[0]))
    best, least_s = dict[str, float](), np.inf
    for _ in range(n_rounds):
        batch, seconds = next(batches), dict[str, float]()
        with _timed(seconds):
            began_s = perf_counter()
            session.process(batch, now=np.inf)
            took_s = perf_counter() - began_s
        if took_s < least_s:
            best, least_s = seconds, took_s
    best["all"] = least_s
    us = {stage: 1e6 * each / (n_streams * _TICKS) for stage, each in best.items()}
    return [StageCost(sharing, stage, each, each / us["all"]) for stage, each in us.items()]


@contextmanager
def _timed(seconds: dict[str, float]) -> Iterator[None]:
    """Add up the seconds that each stage takes."""
    kept = [(module, name, getattr(module, name)) for _, module, name in _STAGES]
    try:
        for (stage, module, name), (_, _, work) in zip(_STAGES, kept, strict=True):
            seconds[stage] = 0.0
            setattr(module, name, _clocked(work, stage, seconds))
        yield
    finally:
        for module, name, work in kept:
            setattr(module, name, work)


def _clocked(work: Callable[..., Any], stage: str, seconds: dict[str, float]) -> Callable[..., Any]:
    """Return a function that does the same and notes how long it took."""

    def clocked(*args: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever the stage takes and gives
        began_s = perf_counter()
        try:
            return work(*args, **named)
        finally:
            seconds[stage] += perf_counter() - began_s

    return clocked
