"""A session that is kept, killed and started again is the one that never stopped."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fault_kept import Kept, batch

from pipeline.core.priors import Prior
from pipeline.core.settings import Settings
from pipeline.flow.snapshot import fingerprint
from pipeline.runtime.session import Session
from pipeline.sources.inbox import Message, Receipt


@pytest.fixture
def settings() -> Settings:
    return Settings.model_validate({"streams": {"window_len": 256}, "store": {"checkpoint_s": 1}})


def test_after_any_crash_the_session_is_the_one_that_never_stopped(tmp_path: Path, settings: Settings) -> None:
    through = Session(settings)
    kept = Kept(tmp_path, settings)
    draw = np.random.default_rng(1)
    for i in range(60):
        readings = batch(i)
        through.process(readings, 2e9)
        kept.take([], readings)
        if i % 3 == 0:  # networks change, here as there
            assert through.fine_tune(2) == kept.session.fine_tune(2)
            kept.keeper.commit([])
        if draw.random() < 0.2:
            kept.keeper.checkpoint()
        if draw.random() < 0.2:
            kept.crash()
            kept = Kept(tmp_path, settings)
            assert kept.losses == []
            assert kept.fingerprint == fingerprint(through.model, through.state)
    assert through.fine_tunes == kept.session.fine_tunes
    assert through.fine_tunes["accepted"] > 0
    assert through.counts == kept.session.counts
    kept.keeper.close()


def test_what_publishers_said_is_known_after_any_crash(tmp_path: Path, settings: Settings) -> None:
    through = Session(settings)
    kept = Kept(tmp_path, settings)
    told = {"pump-0/s0": Prior("bar", -0.5, 0.5), "pump-1/s1": Prior("rpm"), "nobody": Prior("K", 0.0, 1.0)}
    for i in range(12):
        through.process(batch(i), 2e9)
        kept.take([], batch(i))
        if i in {2, 9}:
            told["pump-0/s2"] = Prior("bar", None, float(i))
            through.tell(told)
            kept.session.tell(told)
            kept.keeper.commit([])
        if i == 5:
            kept.keeper.close()  # a snapshot
        if i in {3, 5, 9}:
            if i != 5:
                kept.crash()
            kept = Kept(tmp_path, settings)
            assert kept.fingerprint == fingerprint(through.model, through.state)
            assert kept.session.told == through.told
    assert kept.session.told == {name: prior for name, prior in told.items() if name != "nobody"}
    slot = int(kept.session.state.table.admit(["pump-0/s2"])[0])
    assert kept.session.state.reach.ceiling[slot] == 9.0
    kept.crash()


def test_a_clean_stop_leaves_nothing_to_replay(tmp_path: Path, settings: Settings) -> None:
    kept = Kept(tmp_path, settings)
    for i in range(20):
        kept.take([], batch(i))
    expected = kept.fingerprint
    kept.keeper.close()
    again = Kept(tmp_path, settings)
    assert again.fingerprint == expected
    assert again.session.counts["accepted"] == 20 * 24
    again.crash()


def test_what_was_not_committed_is_as_if_it_had_never_come(tmp_path: Path, settings: Settings) -> None:
    kept = Kept(tmp_path, settings)
    kept.take([], batch(0))
    expected = kept.fingerprint
    _, note = kept.keeper.sift([])
    note(batch(1), 2e9)
    kept.session.process(batch(1), 2e9)
    kept.crash()
    again = Kept(tmp_path, settings)
    assert again.fingerprint == expected
    again.crash()


def message(mid: int, payload: bytes = b"1", **more: int) -> Message:
    receipt = Receipt(more.get("epoch", 1), more.get("session", 0), mid, bool(more.get("is_again", 0)))
    return Message("t", payload, retained=False, arrival_s=1.0, receipt=receipt)


def test_a_message_whose_acknowledgement_was_lost_counts_once_over_a_crash(tmp_path: Path, settings: Settings) -> None:
    kept = Kept(tmp_path, settings)
    one = dataclasses.replace(batch(0, 1))
    assert kept.take([message(1), message(2)], one)
    kept.crash()
    again = Kept(tmp_path, settings)
    before = again.fingerprint
    assert again.take([message(2, epoch=1, is_again=1)], one), "it is acknowledged all the same"
    assert again.keeper.repeats.n_dropped == 1
    assert again.fingerprint == before
    for other in (message(2, b"2", is_again=1), message(3, is_again=1), message(1)):
        again.take([other], one)  # another payload, another identifier, not sent before
    assert again.keeper.repeats.n_dropped == 1
    again.take([message(2, b"2", session=1, is_again=1)], one)  # the broker forgot the session: identifiers begin anew
    assert again.keeper.repeats.n_dropped == 1
    again.crash()


@pytest.mark.parametrize("n_left", [0, 1])
def test_an_identifier_of_a_session_that_is_over_hides_no_message_after_a_crash(
    tmp_path: Path, settings: Settings, n_left: int
) -> None:
    kept = Kept(tmp_path, settings)
    one = dataclasses.replace(batch(0, 1))
    kept.take([message(7, session=1)], one)
    late = [message(8, session=1)] * n_left  # still in the inbox when the broker forgets session 1
    kept.keeper.sift(late)[1](one, 2e9)
    kept.keeper.commit([each.receipt for each in late if each.receipt], session=2)
    kept.crash()
    again = Kept(tmp_path, settings)
    for mid in (7, 8):  # they look the same, and are new
        again.take([message(mid, is_again=1)], one)
    assert again.keeper.repeats.n_dropped == 0
    again.crash()


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def kept_with_three_snapshots(folder: Path, settings: Settings) -> str:
    """Leave a store with three snapshots and some journal; return the fingerprint of what it holds."""
    for k in range(3):
        kept = Kept(folder, settings)
        for i in range(15):
            kept.take([], batch(15 * k + i))
        kept.session.fine_tune()
        kept.keeper.commit([])
        kept.keeper.close()
    kept = Kept(folder, settings)
    kept.take([], batch(45))
    kept.crash()
    return kept.fingerprint


def newest(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)


@pytest.mark.parametrize(
    "damage",
    [flip, Path.unlink, lambda path: path.write_bytes(b""), lambda path: path.write_bytes(path.read_bytes()[:-7])],
)
@pytest.mark.parametrize("part", ["states", "models"])
def test_a_damaged_snapshot_costs_nothing(
    tmp_path: Path, settings: Settings, part: str, damage: Callable[[Path], object]
) -> None:
    expected = kept_with_three_snapshots(tmp_path, settings)
    damage(newest(tmp_path / part))
    kept = Kept(tmp_path, settings)
    assert [what for what, _ in kept.losses] == ["snapshot_refused"]
    assert kept.fingerprint == expected
    kept.crash()


def test_a_snapshot_of_other_sizes_is_not_used_and_said(tmp_path: Path, settings: Settings) -> None:
    kept_with_three_snapshots(tmp_path, settings)
    other = settings.model_copy(update={"streams": settings.streams.model_copy(update={"window_len": 512})})
    kept = Kept(tmp_path, other)
    assert [what for what, _ in kept.losses] == ["snapshot_refused"]
    assert "other settings" in kept.losses[0][1]
    assert len(kept.session.view().names) == 0
    kept.take([], batch(50))
    expected = kept.fingerprint
    kept.keeper.close()
    again = Kept(tmp_path, other)
    assert (again.losses, again.fingerprint) == ([], expected)
    again.crash()


def test_a_database_that_is_none_is_put_aside_and_the_newest_snapshot_is_used(
    tmp_path: Path, settings: Settings
) -> None:
    kept = Kept(tmp_path, settings)
    for i in range(5):
        kept.take([], batch(i))
    expected = kept.fingerprint
    kept.keeper.close()
    (tmp_path / "foretell.db").write_bytes(b"no database" * 1000)
    again = Kept(tmp_path, settings)
    assert [what for what, _ in again.losses] == ["store_damaged"]
    assert again.fingerprint == expected
    assert list(tmp_path.glob("foretell.db.corrupt-*"))
    again.take([], batch(5))
    again.keeper.checkpoint()
    expected = again.fingerprint
    again.keeper.close()
    last = Kept(tmp_path, settings)
    assert (last.losses, last.fingerprint) == ([], expected)
    last.crash()
