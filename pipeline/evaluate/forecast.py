"""Forecast errors over recordings: every reading is foretold, then learnt from, by the engine and by peers.

Comes in: recordings and settings. Goes out: errors of every forecaster on every stream. The engine runs all
streams side by side, each with a network of its own, through the very replay that users run, fine-tuning
included. Refuses to know files and terminals.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import process_time

import numpy as np

from pipeline.core.records import F64, I64, Detail, Outcome, Readings
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
from pipeline.runtime.replay import ReplayResult, replay
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
class Stream:
    """The accepted readings of a stream: its rows in the input, and their columns."""

    name: str
    rows: I64
    time: F64
    value: F64


@dataclass(frozen=True, slots=True)
class EngineRun:
    """Recordings replayed through the engine.

    Attributes:
        result: Of the replay, with the detail of every step.
        session: As it was at the end.
        cpu_s: Processor time it took, seconds.
    """

    result: ReplayResult
    session: Session
    cpu_s: float

    def streams(self) -> "list[Stream]":
        """Return the accepted readings of each stream, in input order, which is that of time."""
        readings = self.result.readings
        is_in = self.result.steps.outcome == Outcome.ACCEPTED
        rows = [np.flatnonzero(is_in & (readings.stream == i)) for i in range(len(readings.names))]
        return [
            Stream(name, own, readings.time[own], readings.value[own])
            for name, own in zip(readings.names, rows, strict=True)
        ]

    def judged(self, foreign: Sequence[Mapping[str, F64]]) -> list[StreamErrors]:
        """Judge every stream; ``foreign`` holds other libraries' forecasts of each."""
        return [judge(self._forecasts(stream, by)) for stream, by in zip(self.streams(), foreign, strict=True)]

    def _forecasts(self, stream: "Stream", foreign: Mapping[str, F64]) -> Forecasts:
        """Put all forecasts of a stream side by side."""
        steps, detail = self.result.steps, self.result.steps.detail
        if detail is None:  # not a reading came
            detail = Detail.blank(0, len(Forecaster))
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


def run_engine(recordings: Sequence[Recording], settings: Settings, progress: Callable[[int], None]) -> EngineRun:
    """Replay recordings, keeping what every forecaster foretold."""
    session = Session(settings, has_detail=True)
    began = process_time()
    result = replay(recordings, settings, progress, session)
    return EngineRun(result, session, process_time() - began)


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
    recordings = first_readings(recordings, limit)
    seeds = range(settings.forecast.seed, settings.forecast.seed + n_seeds)
    foreign: list[dict[str, F64]] | None = None
    runs: list[list[StreamErrors]] = []
    for seed in seeds:
        run = run_engine(recordings, with_seed(settings, seed), partial(progress, f"engine, seed {seed}"))
        if foreign is None:  # what is accepted does not depend on the seed
            streams = run.streams()
            foreign = _foreign(streams, progress) if has_peers else [{} for _ in streams]
        runs.append(run.judged(foreign))
    errors = [mean_over_seeds(same) for same in zip(*runs, strict=True)]
    peers = _known_peers(foreign or [])
    luck = [median([stream.mase(LSTM) for stream in run]) for run in runs]
    summary = summarise(errors, luck, {name: peer.family for name, peer in peers.items()})
    absent = {NAME: "not installed: make peers"} if has_peers and deep_river_python() is None else {}
    n_readings = sum(len(recording.readings) for recording in recordings)
    return Evaluation(errors, summary, n_readings, list(seeds), peers, absent)


def first_readings(recordings: Sequence[Recording], limit: int | None) -> list[Recording]:
    """Return recordings cut to the first ``limit`` readings of every stream; None cuts nothing."""
    if limit is None:
        return list(recordings)
    return [replace(recording, readings=_first(recording.readings, limit)) for recording in recordings]


def _first(readings: Readings, limit: int) -> Readings:
    """Return the first readings of every stream, in file order."""
    order = np.argsort(readings.stream, kind="stable")
    starts = np.searchsorted(readings.stream[order], np.arange(len(readings.names)))
    position = np.arange(len(order)) - starts[readings.stream[order]]
    return readings.rows(np.sort(order[position < limit]))


def with_seed(settings: Settings, seed: int) -> Settings:
    """Return the settings with another seed of initial weights and window sampling."""
    return settings.model_copy(update={"forecast": settings.forecast.model_copy(update={"seed": seed})})


def _foreign(streams: Sequence[Stream], progress: Progress) -> list[dict[str, F64]]:
    """Run the other libraries' forecasters on what the engine accepted."""
    found = run_river([(s.time, s.value) for s in streams], lambda n: progress("river", n))
    python = deep_river_python()
    if python is not None:
        more = run_deep_river(python, [s.value for s in streams], lambda n: progress("deep-river", n))
        found = [a | b for a, b in zip(found, more, strict=True)]
    return found


def _known_peers(foreign: Sequence[Mapping[str, F64]]) -> dict[str, Peer]:
    """Return the peers that ran on any stream, in the order of their tables."""
    ran = {name for by in foreign for name in by}
    return {name: peer for name, peer in {**RIVER_PEERS, NAME: PEER}.items() if name in ran}
