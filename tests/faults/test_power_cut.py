"""Power cuts after every call that writes or syncs: what was acknowledged is there at the next start."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

from fault_kept import Kept
from fault_power import Call, Disk, put, trace
from fault_writer import SETTINGS, summary

#: What of the unsynced is on the disk.
NOTHING, ALL, SOME = "nothing", "all", "some"


def starts_from(folder: Path) -> tuple[str, list[tuple[str, str]]]:
    """Return what a start from a folder goes on from, and what it says that it has lost."""
    kept = Kept(folder, SETTINGS)
    try:
        return summary(kept), kept.losses
    finally:
        kept.crash()


def noted(call: Call, notes: Path) -> list[str]:
    """Return the summaries that a call to write notes held."""
    return [line.split()[1] for line in call.data.decode().splitlines()] if call.path == str(notes) else []


def test_what_was_acknowledged_is_there_after_a_power_cut_at_any_call(
    tmp_path: Path,
    report: Callable[..., None],
    is_long: bool,  # noqa: FBT001 - a fixture
) -> None:
    root, notes = tmp_path / "state", tmp_path / "notes"
    writer = Path(__file__).with_name("fault_writer.py")
    calls = trace(tmp_path / "log", str(writer), str(root), str(notes))
    summaries = [line.split()[1] for line in notes.read_text().splitlines()]
    (tmp_path / "empty").mkdir()
    begin, _ = starts_from(tmp_path / "empty")
    assert len(set(summaries)) == len(summaries) == 40

    disk, acknowledged, n_cuts, n_calls, n_synced = Disk(root), -1, 0, 0, 0
    every = 1 if is_long else 24
    for n, call in enumerate(calls):
        acknowledged += len(noted(call, notes)) if call.name == "write" else 0
        if not disk.feed(call):
            continue
        n_calls += 1
        n_synced += call.name in ("fsync", "fdatasync")
        if n_calls % every:
            continue
        for policy in (NOTHING, ALL, *[SOME] * (3 if is_long else 1)):
            n_cuts += 1
            draw = random.Random(n_cuts) if policy == SOME else None  # noqa: S311 - which writes, not secrets
            folder = tmp_path / f"cut-{n_cuts}"
            folder.mkdir()
            put(folder, disk.after_cut(draw, has_unsynced=policy == ALL))
            found, losses = starts_from(folder)
            where = f"cut {n_cuts} after call {n}, {call.name} {call.path}; {policy} of the unsynced is there"
            allowed = [begin, *summaries][acknowledged + 1 : acknowledged + 3]
            assert found in allowed, f"{where}: {losses}"
            assert losses == [], where
            shutil.rmtree(folder)
    assert acknowledged == len(summaries) - 1
    assert n_synced > len(summaries)
    report(calls=n_calls, synced=n_synced, cuts=n_cuts, lost=0)
