"""``store.keep``: what spares a memory card, and what it costs after a crash."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from fault_kept import Kept, batch

from pipeline.core.settings import Settings
from pipeline.sinks.outgoing import Outgoing, outgoing

N_BATCHES, SNAPSHOT_AT, STEP_S = 30, 20, 5.0
KEEPS = ("readings", "alerts", "snapshots")


def settings(keep: str) -> Settings:
    small = {"streams": {"window_len": 128}, "forecast": {"hidden": 4, "ensemble": 1}, "training": {"enabled": False}}
    return Settings.model_validate(small | {"store": {"keep": keep, "checkpoint_s": STEP_S * 8}})


def alert(i: int) -> Outgoing:
    return outgoing(f"alert/{i}", "{}", retain=False, severity=1)


class Box:
    """A kept session under a clock of ours, with a batch every five seconds."""

    def __init__(self, folder: Path, keep: str) -> None:
        self.now_s = 0.0
        self.kept = Kept(folder, settings(keep), lambda: self.now_s)

    def run(self, first: int, last: int) -> str:
        """Deal with batches, each with an alert; return what tells states apart."""
        for i in range(first, last):
            self.kept.outbox.add([alert(i)])
            self.kept.take([], batch(i))
            self.now_s += STEP_S
        return self.kept.fingerprint

    def snapshot(self) -> None:
        """Let the snapshot that is due be written."""
        self.kept.keeper.checkpoint()
        self.kept.keeper._checkpoints.wait()  # type: ignore[union-attr]  # noqa: SLF001 - the daemon just comes again later
        self.kept.keeper.checkpoint()


@contextmanager
def started(folder: Path, keep: str) -> Iterator[Box]:
    box = Box(folder, keep)
    try:
        assert box.kept.losses == []
        yield box
    finally:
        box.kept.crash()


@pytest.mark.parametrize("keep", KEEPS)
def test_a_crash_costs_what_the_setting_says(tmp_path: Path, keep: str) -> None:
    with started(tmp_path, keep) as box:
        at_snapshot = box.run(0, SNAPSHOT_AT)
        box.snapshot()
        at_the_end = box.run(SNAPSHOT_AT, N_BATCHES)
        n_entries = len(list(box.kept.store.newest_first()))
        assert n_entries == N_BATCHES + 1 if keep == "readings" else 0 < n_entries <= N_BATCHES // 8, n_entries
    with started(tmp_path, keep) as box:
        assert box.kept.fingerprint == (at_the_end if keep == "readings" else at_snapshot)
        waiting = box.kept.outbox.take(100)
        assert waiting == ([] if keep == "snapshots" else [alert(i) for i in range(N_BATCHES)])
        box.run(N_BATCHES, N_BATCHES + 2)  # and it goes on


@pytest.mark.parametrize("keep", KEEPS)
def test_a_clean_stop_costs_nothing(tmp_path: Path, keep: str) -> None:
    with started(tmp_path, keep) as box:
        at_the_end = box.run(0, 3)
        box.kept.keeper.close()
    with started(tmp_path, keep) as box:
        assert box.kept.fingerprint == at_the_end


def test_alerts_kept_by_an_earlier_configuration_are_sent_once(tmp_path: Path) -> None:
    with started(tmp_path, "alerts") as box:
        box.run(0, 2)
    with started(tmp_path, "snapshots") as box:
        assert len(box.kept.outbox.take(100)) == 2
    with started(tmp_path, "snapshots") as box:
        assert box.kept.outbox.take(100) == []


def test_receipts_are_given_back_whatever_is_kept(tmp_path: Path) -> None:
    for keep in KEEPS:
        with started(tmp_path / keep, keep) as box, closing(box.kept.store):
            box.kept.outbox.add([alert(1)])
            assert box.kept.keeper.commit([]) == []
            assert len(box.kept.outbox.take(9)) == 1, "what is not to be kept is sent all the same"
