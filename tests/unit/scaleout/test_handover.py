"""From a daemon to shards and back: what was learnt goes on as if nobody had moved it."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, Readings
from pipeline.core.settings import Settings
from pipeline.core.sharding import shard_of
from pipeline.runtime.follow_up import FollowUp
from pipeline.runtime.restore import restore
from pipeline.runtime.session import Session
from pipeline.scaleout.envelopes import cut
from pipeline.scaleout.folders import Folders
from pipeline.scaleout.handover import join
from pipeline.scaleout.segments import Logged
from pipeline.scaleout.shard import Shard
from pipeline.scaleout.stores import export_state, import_state
from pipeline.scaleout.weights import read_weights, versions
from pipeline.store.store import Store

pq = pytest.importorskip("pyarrow.parquet")

N_STREAMS, N_READINGS = 6, 180


def _settings(folder: Path, sharing: str = "fleet") -> Settings:
    return Settings.model_validate(
        {
            "streams": {"window_len": 128},
            "forecast": {"sharing": sharing},
            "training": {"steps": 1, "batch": 2},
            "detection": {"n_warmup": 100, "n_settled": 100},
            "scale": {"shards": 3, "folder": str(folder)},
        }
    )


def _recording() -> Logged:
    n = N_STREAMS * N_READINGS
    value = np.random.default_rng(3).normal(size=n)
    time_s = np.repeat(1.7e9 + np.arange(0.0, 60.0 * N_READINGS, 60.0), N_STREAMS)
    names = [f"device-{i}/flow" for i in range(N_STREAMS)]
    stream = np.tile(np.arange(N_STREAMS, dtype=np.int32), N_READINGS)
    return Logged(np.arange(n), time_s, Readings(names, stream, time_s, value, np.zeros(n, np.uint8)))


def _process(session: Session, logged: Logged) -> F64:
    return session.process(logged.readings, float("inf")).score


def _shards(settings: Settings, folders: Folders) -> dict[int, Shard]:
    """Take up the shards that were imported."""
    weights = partial(read_weights, folders.weights, settings)
    rows = [pq.read_table(path).to_pylist()[0] for path in sorted(folders.seed.iterdir())]
    return {row["shard"]: Shard.resume(settings, weights, row["blob"]) for row in rows}


def test_a_daemons_state_goes_through_shards_and_back_and_scores_stay_the_same(tmp_path: Path) -> None:
    settings = _settings(tmp_path / "scale")
    folders, logged = Folders.of(settings), _recording()
    parts = [logged.rows(rows) for rows in np.array_split(np.arange(len(logged)), 3)]
    session = Session(settings)
    _process(session, parts[0])
    session.fine_tune()
    export_state(tmp_path / "daemon", session)  # as the daemon writes it
    expected = [_process(session, part) for part in parts[1:]]

    assert import_state(tmp_path / "daemon", settings, folders) == (N_STREAMS, 2)
    (version,) = versions(folders.weights)
    shards = _shards(settings, folders)
    score = np.full(len(logged), np.nan)
    for number, envelope in cut(parts[1], 3, version.name):
        scored = shards[number].take(envelope)
        score[scored.logged.seq] = scored.steps.score
    np.testing.assert_allclose(score[parts[1].seq], expected[0], atol=1e-6)

    export_state(tmp_path / "again", join(list(shards.values()), settings))
    with_state = Session(settings)
    store = Store(tmp_path / "again", settings.store)
    try:
        found = restore(store, with_state, FollowUp(settings))
    finally:
        store.close()
    assert found.why == ""
    assert with_state.counts["accepted"] == 2 * len(logged) // 3
    np.testing.assert_allclose(_process(with_state, parts[2]), expected[1], atol=1e-6)
    assert np.isfinite(expected[1]).sum() > 100


def test_some_streams_are_handed_over_alone(tmp_path: Path) -> None:
    settings = _settings(tmp_path)
    shards = {}
    for number, envelope in cut(_recording(), 3, ""):
        shards[number] = Shard(settings, partial(read_weights, tmp_path, settings))
        shards[number].take(envelope)
    some = join(list(shards.values()), settings, "device-[14]/*")
    assert sorted(some.view().names) == ["device-1/flow", "device-4/flow"]
    with pytest.raises(UsageError, match="no stream matches"):
        join(list(shards.values()), settings, "pump/*")
    shards[shard_of("device-1/flow", 3)].model = "other"
    with pytest.raises(UsageError, match="newer networks"):
        join(list(shards.values()), settings)


def test_streams_with_networks_of_their_own_cannot_be_imported(tmp_path: Path) -> None:
    own = _settings(tmp_path, "stream")
    session = Session(own)
    _process(session, _recording().rows(slice(0, 60)))
    export_state(tmp_path / "daemon", session)
    with pytest.raises(UsageError, match="6 networks"):
        import_state(tmp_path / "daemon", own, Folders.of(own))


def test_a_state_is_never_written_over(tmp_path: Path) -> None:
    settings = _settings(tmp_path / "scale")
    session = Session(settings)
    _process(session, _recording().rows(slice(0, 60)))
    export_state(tmp_path / "daemon", session)
    with pytest.raises(UsageError, match="is there already"):
        export_state(tmp_path / "daemon", session)
    import_state(tmp_path / "daemon", settings, Folders.of(settings))
    with pytest.raises(UsageError, match="has a state already"):
        import_state(tmp_path / "daemon", settings, Folders.of(settings))
    with pytest.raises(UsageError, match="no daemon's state"):
        import_state(tmp_path / "nowhere", settings, replace(Folders.of(settings), weights=tmp_path, output=tmp_path))
