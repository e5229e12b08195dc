"""Disks that damage the database or are full: put aside and begun anew, or waited out; never a crash loop."""

import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fault_kept import Kept, batch
from fault_writer import SETTINGS, main

from pipeline.core.settings import Settings
from pipeline.sinks.outgoing import outgoing
from pipeline.sources.inbox import Message, Receipt
from pipeline.store.store import N_CHECKPOINTS

FILES = ("foretell.db", "foretell.db-wal")


def damage(folder: Path, draw: random.Random) -> str:
    """Damage the database or its log at one place; return what was done."""
    path = folder / draw.choice([name for name in FILES if (folder / name).exists()])
    data = bytearray(path.read_bytes())
    at = draw.randrange(len(data))
    how = draw.choice(["flip", "zeros", "noise", "cut"])
    if how == "flip":
        data[at] ^= 1 << draw.randrange(8)
    elif how == "cut":
        del data[at:]
    else:
        length = min(draw.choice([16, 512, 4096]), len(data) - at)
        data[at : at + length] = bytes(length) if how == "zeros" else draw.randbytes(length)
    path.write_bytes(data)
    return f"{how} at {at} of {path.name}"


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, list[str]]:
    """A folder as a kill left it, its log unmerged; and what each step would go on from."""
    main(tmp_path / "closed", tmp_path / "notes")
    kept = Kept(tmp_path / "closed", SETTINGS)
    for i in range(40, 52):
        kept.take([], batch(i))
    shutil.copytree(tmp_path / "closed", tmp_path / "killed")
    kept.crash()
    summaries = [line.split()[1] for line in (tmp_path / "notes").read_text().splitlines()]
    return tmp_path / "killed", summaries


def test_a_database_damaged_anywhere_is_told_and_the_next_starts_are_sound(
    tmp_path: Path,
    written: tuple[Path, list[str]],
    report: Callable[..., None],
    is_long: bool,  # noqa: FBT001 - a fixture
) -> None:
    whole, _ = written
    kept = Kept(whole, SETTINGS)
    expected = kept.fingerprint
    kept.crash()
    draw = random.Random(3)  # noqa: S311 - places, not secrets
    n_put_aside = n_unharmed = n_told = 0
    for n in range(100 if is_long else 12):
        folder = tmp_path / f"damaged-{n}"
        shutil.copytree(tmp_path / "killed", folder)
        what = damage(folder, draw)
        kept = Kept(folder, SETTINGS)
        assert kept.fingerprint == expected or kept.losses or "-wal" in what, f"{what}: lost without a word"
        n_told += bool(kept.losses)
        n_unharmed += kept.fingerprint == expected
        n_put_aside += kept.store.n_put_aside
        for i in range(60, 64):  # it goes on
            assert kept.take([message(i)], batch(i)), what
        kept.keeper.checkpoint()
        kept.keeper.close()
        for _ in range(3):
            assert kept_again(folder, kept) == [], what
        shutil.rmtree(folder)
    report(damaged=n + 1, unharmed=n_unharmed, told=n_told, put_aside=n_put_aside, crash_loops=0)
    assert n_told


def message(i: int) -> Message:
    return Message("t", str(i).encode(), retained=False, arrival_s=1.0, receipt=Receipt(1, 1, i, is_again=False))


def kept_again(folder: Path, before: Kept) -> list[tuple[str, str]]:
    """Start again, and return what that start says is lost; the state must be that of before."""
    kept = Kept(folder, before.session.settings)
    try:
        assert kept.fingerprint == before.fingerprint
        return kept.losses
    finally:
        kept.crash()


def test_damage_found_while_running_is_told_and_costs_nothing_that_is_in_memory(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "state", SETTINGS)
    kept.outbox.add([outgoing("alert/1", "{}", retain=False, severity=1)])
    for i in range(5):
        kept.take([], batch(i))
    for name in FILES:
        with (tmp_path / "state" / name).open("r+b") as file:
            file.write(bytes(1 << 16))
    kept.store._connection.execute("PRAGMA shrink_memory")  # noqa: SLF001 - SQLite would not read what it still knows
    for i in range(5, 8):
        assert kept.take([message(i)], batch(i)), "acknowledged: it is in the new database"
    assert kept.store.n_put_aside == 1
    assert [what for what, _ in kept.keeper.take_losses()] == ["store_damaged"]
    assert kept.keeper.take_losses() == []
    assert kept.keeper.trouble.startswith("the database was damaged")
    while kept.keeper.trouble:
        kept.keeper.commit([])
        kept.keeper.checkpoint()
    kept.crash()
    assert kept_again(tmp_path / "state", kept) == []
    again = Kept(tmp_path / "state", SETTINGS)
    assert [each.topic for each in again.outbox.take(9)] == ["alert/1"]
    assert len(list((tmp_path / "state" / "states").iterdir())) <= N_CHECKPOINTS
    again.crash()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "foretell-test", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("no small file system can be mounted here; run as root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_waited_out_and_nothing_acknowledged_is_lost(small_disk: Path) -> None:
    settings = Settings.model_validate(SETTINGS.model_dump() | {"store": {"ballast_mb": 1, "checkpoint_s": 1}})
    kept = Kept(small_disk / "state", settings)
    for i in range(5):
        assert kept.take([message(i)], batch(i))
    filler = small_disk / "filler"
    fill(filler)
    i, refused = 5, 0
    while refused < 3:
        refused += not take_much(kept, i)
        i += 1
        assert i < 60, "the ballast's room is filled at last"
    assert kept.keeper.is_degraded
    assert kept.keeper.trouble == "the disk is full, nothing is acknowledged"
    kept.keeper.checkpoint()  # not while something waits
    kept.crash()
    again = Kept(small_disk / "state", settings)  # a start finds all that was acknowledged, on a disk that is full
    assert again.losses == []
    n_kept = i - refused
    assert again.session.counts["accepted"] == n_kept * 24
    assert len(again.outbox) == n_kept - 5
    while not again.keeper.is_degraded:
        take_much(again, i)
        i += 1
    filler.unlink()
    again.keeper._retry_s = 0.0  # noqa: SLF001 - instead of a second's pause
    assert len(again.keeper.commit([])) == 1, "what waited is acknowledged, when there is room again"
    assert again.keeper.trouble == ""
    again.crash()
    assert kept_again(small_disk / "state", again) == []


def take_much(kept: Kept, i: int) -> list[Receipt]:
    """Deal with a batch and a long message to publish; return what may be acknowledged."""
    text = random.Random(i).randbytes(50_000).hex()  # noqa: S311 - what cannot be compressed
    kept.outbox.add([outgoing(f"alert/{i}", text, retain=False, severity=1)])
    return kept.take([message(i)], batch(i))


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb") as file, suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(4096))
