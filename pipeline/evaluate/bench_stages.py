"""What each stage of a tick costs, as a share of the tick: where the time goes.

Comes in: nothing. Goes out: a line per stage. Each stage's function is timed where the spine calls it, or by the
compiled helper; the best of a few rounds counts, and what the stages leave is the spine's own.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np

from pipeline.evaluate.bench import warmed_up, white_noise
from pipeline.flow import compiled, engine, forecasting, quick_ticks
from pipeline.runtime.session import Session

N_STREAMS = 1_000
_TICKS, _ROUNDS = 20, 5
#: Stage, and where the function lies that does it; the last one is part of one before.
_STAGES = (
    ("arrive", engine, "arrive"),
    ("judge", engine, "judge"),
    ("health", engine, "watch"),
    ("report", engine, "report"),
    ("learn", engine, "_learn"),
    ("forecast", engine, "advance"),
    ("forecast: networks", forecasting, "step"),
)
#: Stage of each phase of the compiled helper.
_PHASES = ("arrive", "judge", "judge", "health", "report", "learn", "forecast", "forecast", "forecast")


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
        with _timed(session, seconds):
            began_s = perf_counter()
            session.process(batch, now=np.inf)
            took_s = perf_counter() - began_s
        if took_s < least_s:
            best, least_s = seconds, took_s
    best["all"] = least_s
    us = {stage: 1e6 * each / (n_streams * _TICKS) for stage, each in best.items()}
    return [StageCost(sharing, stage, each, each / us["all"]) for stage, each in us.items()]


@contextmanager
def _timed(session: Session, seconds: dict[str, float]) -> Iterator[None]:
    """Add up the seconds that each stage takes."""
    is_compiled = compiled.serves(session.model)
    stages = (("gate", engine, "gate"), *(() if is_compiled else _STAGES))
    kept = [(module, name, getattr(module, name)) for _, module, name in stages]
    rest = dict(quick_ticks.REST)
    phases = compiled.Desk.of(session.model, session.state).keep_time() if is_compiled else np.zeros(0)
    seconds.update(dict.fromkeys(("gate", *(stage for stage, _, _ in _STAGES)), 0.0))
    try:
        for (stage, module, name), (_, _, work) in zip(stages, kept, strict=True):
            setattr(module, name, _clocked(work, stage, seconds))
        for phase, work in rest.items():
            quick_ticks.REST[phase] = _clocked(work, _PHASES[phase], seconds)
        yield
        for phase, took_s in enumerate(phases.tolist()):
            seconds[_PHASES[phase]] += took_s
            seconds["forecast: networks"] += took_s if phase == compiled.STEPPED else 0.0
    finally:
        quick_ticks.REST.update(rest)
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
