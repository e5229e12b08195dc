"""Fine-tunes on the log: what passed the gate is in force from the log's end on, in all shards alike."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import Readings
from pipeline.core.settings import Settings
from pipeline.scaleout.envelopes import cut
from pipeline.scaleout.fine_tune import fine_tune, recent_readings
from pipeline.scaleout.folders import Folders
from pipeline.scaleout.planner import Offset, Planner
from pipeline.scaleout.segments import Logged, read_segment, write_segment
from pipeline.scaleout.shard import Shard
from pipeline.scaleout.weights import read_weights, versions

pytest.importorskip("pyarrow")

N_STREAMS, N_EACH, N_SEGMENTS = 4, 40, 6


def _settings(folder: Path) -> Settings:
    return Settings.model_validate(
        {
            "streams": {"window_len": 128},
            "forecast": {"sharing": "fleet", "hidden": 8, "ensemble": 1},
            "training": {"window": 16, "steps": 2, "batch": 4},
            "scale": {"shards": 2, "folder": str(folder)},
        }
    )


def _write(folder: Path, number: int) -> None:
    """Write one segment: a wave in every stream."""
    n = N_STREAMS * N_EACH
    minute = np.repeat(np.arange(float(number * N_EACH), float((number + 1) * N_EACH)), N_STREAMS)
    stream = np.tile(np.arange(N_STREAMS, dtype=np.int32), N_EACH)
    noise = np.random.default_rng(number).normal(size=n)
    time_s = 1.7e9 + 60.0 * minute
    readings = Readings(
        [f"pump-{i}/flow" for i in range(N_STREAMS)],
        stream,
        time_s,
        np.sin(minute / 5.0 + stream) + 0.1 * noise,
        np.zeros(n, np.uint8),
    )
    write_segment(folder / "log", Logged(np.arange(number * n, (number + 1) * n), time_s, readings))


def test_what_was_accepted_is_in_force_from_the_end_of_the_log_on(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    folders = Folders.of(settings)
    for number in range(N_SEGMENTS - 1):
        _write(tmp_path, number)
    done = fine_tune(settings, folders, n_rounds=3, n_streams=3)
    assert sum(done.outcomes.values()) == 3
    assert done.outcomes["accepted"] > 0
    assert (done.n_streams, done.since) == (3, (N_SEGMENTS - 1) * N_STREAMS * N_EACH)
    assert [version.name for version in versions(folders.weights)] == [done.name]
    with pytest.raises(UsageError, match="nothing to learn from that is new"):
        fine_tune(settings, folders, n_rounds=1, n_streams=3)

    _write(tmp_path, N_SEGMENTS - 1)
    planner = Planner(folders.log, folders.weights)
    tasks = planner.tasks(Offset(), planner.end())
    assert [task.model for task in tasks] == [""] * (N_SEGMENTS - 1) + [done.name]
    weights = partial(read_weights, folders.weights, settings)
    shards = {number: Shard(settings, weights) for number in range(2)}
    for task in tasks:
        for number, envelope in cut(read_segment(Path(task.path)), 2, task.model):
            shards[number].take(envelope)
    trained = weights(done.name).bank.weights[0]
    in_use = [shard for shard in shards.values() if len(shard.session.state.table)]
    assert all((shard.session.model.bank.weights[0] == trained).all() for shard in in_use)
    assert [shard.model for shard in in_use] == [done.name] * len(in_use)

    again = fine_tune(settings, folders, n_rounds=1, n_streams=3)
    steps = read_weights(folders.weights, settings, versions(folders.weights)[-1].name).bank.n_steps[0]
    assert steps > weights(done.name).bank.n_steps[0] or not again.name


def test_the_last_readings_of_some_streams_are_learnt_from_in_order(tmp_path: Path) -> None:
    for number in range(N_SEGMENTS):
        _write(tmp_path, number)
    recent = recent_readings(tmp_path / "log", 2, 2 * N_EACH, draw=1)
    assert len(recent.names) == 2
    assert len(recent) == 2 * 2 * N_EACH
    assert (np.diff(recent.time) >= 0).all()
    assert recent.time[-1] == 1.7e9 + 60.0 * (N_SEGMENTS * N_EACH - 1)
    drawn = {tuple(sorted(recent_readings(tmp_path / "log", 2, 1, draw).names)) for draw in range(20)}
    assert len(drawn) > 1


def test_an_empty_log_teaches_nothing(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    with pytest.raises(UsageError, match="nothing to learn from"):
        fine_tune(settings, Folders.of(settings), 1, 1)
