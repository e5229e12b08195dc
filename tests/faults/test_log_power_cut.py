"""Power cuts of the bridge at any call that writes or syncs: with what the broker sends again, all is there once."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from fault_log_writer import N_STEPS, expected, messages, settings_of
from fault_power import Disk, put, trace

from pipeline.scaleout.bridge import Bridge
from pipeline.scaleout.folders import Folders
from pipeline.scaleout.segments import read_segment, segments

pytest.importorskip("pyarrow")
#: What of the unsynced is on the disk.
NOTHING, ALL, SOME = "nothing", "all", "some"


def after_resend(folder: Path, n_acknowledged: int, n_steps: int) -> list[float]:
    """Start a bridge on a folder, send again what was not acknowledged; return the readings of the log."""
    settings = settings_of(folder)
    bridge = Bridge(settings)
    try:
        bridge.go_on()
        for step in range(n_acknowledged, n_steps):
            bridge.take(messages(step, is_again=True))
        bridge.commit()
    finally:
        bridge.close()
    found = [read_segment(segment.path) for segment in segments(Folders.of(settings).log)]
    assert [seq for each in found for seq in each.seq.tolist()] == list(range(sum(map(len, found))))
    return [value for each in found for value in each.readings.value.tolist()]


def test_with_what_comes_again_every_reading_is_there_once_after_a_cut_at_any_call(
    tmp_path: Path,
    report: Callable[..., None],
    is_long: bool,  # noqa: FBT001 - a fixture
) -> None:
    root, notes = tmp_path / "scale", tmp_path / "notes"
    root.mkdir()
    calls = trace(tmp_path / "log", str(Path(__file__).with_name("fault_log_writer.py")), str(root), str(notes))
    assert len(notes.read_text().splitlines()) == N_STEPS

    disk, n_acknowledged, n_cuts, n_calls = Disk(root), 0, 0, 0
    every = 1 if is_long else 5
    for n, call in enumerate(calls):
        n_acknowledged += call.name == "write" and call.path == str(notes)
        if not disk.feed(call):
            continue
        n_calls += 1
        if n_calls % every:
            continue
        for policy in (NOTHING, ALL, *[SOME] * (3 if is_long else 1)):
            n_cuts += 1
            draw = random.Random(n_cuts) if policy == SOME else None  # noqa: S311 - which writes, not secrets
            folder = tmp_path / f"cut-{n_cuts}"
            folder.mkdir()
            put(folder, disk.after_cut(draw, has_unsynced=policy == ALL))
            n_steps = min(N_STEPS, n_acknowledged + 2)
            where = f"cut {n_cuts} after call {n}, {call.name} {call.path}; {policy} of the unsynced is there"
            assert after_resend(folder, n_acknowledged, n_steps) == expected(n_steps), where
            shutil.rmtree(folder)
    assert n_acknowledged == N_STEPS
    report(calls=n_calls, cuts=n_cuts, lost=0, doubled=0)
