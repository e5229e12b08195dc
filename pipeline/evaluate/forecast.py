"""Forecast errors over recordings: every reading is foretold, then learnt from, by the engine and by peers.

Comes in: recordings and settings. Goes out: errors of every forecaster on every stream. The engine runs all
streams side by side, each with a network of its own, through the very replay that users run, fine-tuning
included. Refuses to know files and terminals.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.core.records import F64, I64, Detail, Outcome, Readings, Steps
from pipeline.core.settings import Settings
from pipeline.evaluate.deep_river import NAME, PEER, deep_river_python, run_deep_river
from pipeline.evaluate.forecast_errors import season_s, seasonal_persistence
from pipeline.evaluate.forecast_judge import (
    LEAGUE,
    LSTM,
    SEASONAL_PERSISTENCE,
    Forecasts,
    StreamErrors,
    judge,
    mean_over_seeds,
)
from pipeline.evaluate.forecast_summary import Summary, median, summarise
from pipeline.evaluate.peers import RIVER_PEERS, Peer, run_river
from pipeline.forecast.baselines import Forecaster
from pipeline.runtime.replay import batches, joined, replay
from pipeline.runtime.session import Session
from pipeline.sources.recording import Recording

#: Told what is at work, and how many readings of it are done.
Progress = Callable[[str, int], None]
#: The league's own forecasters that are no baselines: what is judged, and what is made of all of them.
NO_BASELINES = frozenset({Forecaster.LSTM, Forecaster.BLEND})


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of an evaluation.

    Attributes:
        streams: Errors per stream, averaged over seeds, in input order.
        summary: Key figures.
        n_readings: Readings given, over all streams.
        seeds: Seeds that were run.
        peers: Other libraries' forecasters that ran, by name.
        absent: Peers that could not run, by name, each with what to do about it.
    """

    streams: Sequence[StreamErrors]
    summary: Summary
    n_readings: int
    seeds: Sequence[int]
    peers: Mapping[str, Peer]
    absent: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Stream:
    """The accepted readings of a stream: its rows in the input, and their columns."""

    name: str
    rows: I64
    time: F64
    value: F64


class _Witness(Session):
    """A session that keeps what every forecaster foretold, batch after batch."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, has_detail=True)
        self.details: list[Detail] = []

    def process(self, readings: Readings, now: float) -> Steps:
        """Score readings and keep the detail."""
        steps = super().process(readings, now)
        if steps.detail is not None:
            self.details.append(steps.detail)
        return steps


def evaluate_forecasts(
    recordings: Sequence[Recording],
    settings: Settings,
    n_seeds: int,
    *,
    has_peers: bool,
    limit: int | None,
    progress: Progress,
) -> Evaluation:
    """Measure forecasts over recordings.

    Args:
        recordings: In the order in which results are wanted.
        settings: Those of the engine; the seed is the first of several.
        n_seeds: How many runs of the engine, with seeds one after the other.
        has_peers: Run river's models, and deep-river's LSTM where it is installed.
        limit: Readings of each stream that are used, the first ones; None for all.
        progress: Told what is at work and how far it is.

    Returns:
        Errors by stream, and key figures.
    """
    recordings = [replace(recording, readings=_first(recording.readings, limit)) for recording in recordings]
    seeds = range(settings.forecast.seed, settings.forecast.seed + n_seeds)
    streams: list[_Stream] = []
    foreign: list[dict[str, F64]] = []
    runs: list[list[StreamErrors]] = []
    for seed in seeds:
        readings, steps, detail = _run(recordings, _with_seed(settings, seed), seed, progress)
        if not runs:  # what is accepted does not depend on the seed
            streams = list(_accepted(readings, steps))
            foreign = _foreign(streams, progress) if has_peers else [{} for _ in streams]
        runs.append([judge(_forecasts(s, steps, detail, by)) for s, by in zip(streams, foreign, strict=True)])
    errors = [mean_over_seeds(same) for same in zip(*runs, strict=True)]
    peers = _known_peers(foreign)
    luck = [median([stream.mase(LSTM) for stream in run]) for run in runs]
    summary = summarise(errors, luck, {name: peer.family for name, peer in peers.items()})
    absent = {NAME: "not installed: make peers"} if has_peers and deep_river_python() is None else {}
    n_readings = sum(len(recording.readings) for recording in recordings)
    return Evaluation(errors, summary, n_readings, list(seeds), peers, absent)


def _first(readings: Readings, limit: int | None) -> Readings:
    """Return the first readings of every stream, in file order."""
    if limit is None:
        return readings
    order = np.argsort(readings.stream, kind="stable")
    starts = np.searchsorted(readings.stream[order], np.arange(len(readings.names)))
    position = np.arange(len(order)) - starts[readings.stream[order]]
    return readings.rows(np.sort(order[position < limit]))


def _with_seed(settings: Settings, seed: int) -> Settings:
    """Return the settings with another seed of initial weights and window sampling."""
    return settings.model_copy(update={"forecast": settings.forecast.model_copy(update={"seed": seed})})


def _run(
    recordings: Sequence[Recording], settings: Settings, seed: int, progress: Progress
) -> tuple[Readings, Steps, Detail]:
    """Replay with one seed; the detail is brought into input order, as steps are."""
    session = _Witness(settings)
    result = replay(recordings, settings, lambda n: progress(f"engine, seed {seed}", n), session)
    readings = joined([recording.readings for recording in recordings])
    detail = Detail.blank(len(readings), len(Forecaster))
    if session.details:
        rows = np.concatenate(list(batches(readings, settings)))
        for name in ("forecasts", "shown", "half_widths"):
            getattr(detail, name)[rows] = np.concatenate([getattr(part, name) for part in session.details])
    return readings, result.steps, detail


def _accepted(readings: Readings, steps: Steps) -> Iterator[_Stream]:
    """Yield the accepted readings of each stream, in input order, which is that of time."""
    is_in = steps.outcome == Outcome.ACCEPTED
    for i, name in enumerate(readings.names):
        rows = np.flatnonzero(is_in & (readings.stream == i))
        yield _Stream(name, rows, readings.time[rows], readings.value[rows])


def _foreign(streams: Sequence[_Stream], progress: Progress) -> list[dict[str, F64]]:
    """Run the other libraries' forecasters on what the engine accepted."""
    found = run_river([(s.time, s.value) for s in streams], lambda n: progress("river", n))
    python = deep_river_python()
    if python is not None:
        more = run_deep_river(python, [s.value for s in streams], lambda n: progress("deep-river", n))
        found = [a | b for a, b in zip(found, more, strict=True)]
    return found


def _forecasts(stream: _Stream, steps: Steps, detail: Detail, foreign: Mapping[str, F64]) -> Forecasts:
    """Put all forecasts of a stream side by side."""
    own = {who.name.lower(): detail.forecasts[stream.rows, who] for who in Forecaster}
    last_season = seasonal_persistence(stream.time, stream.value, season_s(stream.time))
    looks_back = {name for name in foreign if name in RIVER_PEERS and RIVER_PEERS[name].is_seasonal}
    return Forecasts(
        stream=stream.name,
        value=stream.value,
        by={LEAGUE: steps.forecast[stream.rows], **own, SEASONAL_PERSISTENCE: last_season, **foreign},
        seasonal=frozenset({Forecaster.SEASONAL.name.lower(), SEASONAL_PERSISTENCE, *looks_back}),
        baselines=frozenset(who.name.lower() for who in Forecaster if who not in NO_BASELINES),
        half_widths=detail.half_widths[stream.rows],
    )


def _known_peers(foreign: Sequence[Mapping[str, F64]]) -> dict[str, Peer]:
    """Return the peers that ran on any stream, in the order of their tables."""
    ran = {name for by in foreign for name in by}
    return {name: peer for name, peer in {**RIVER_PEERS, NAME: PEER}.items() if name in ran}
