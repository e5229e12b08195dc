"""What the journal forgets by age: the oldest, and nothing in between."""

from pathlib import Path

from pipeline.core.store_settings import StoreSettings
from pipeline.store.store import Checkpoint, Commit, Store

DAY_S = 86_400.0


class Kept:
    """A store with a clock that is set, and a snapshot after each commit."""

    def __init__(self, folder: Path, journal_days: float) -> None:
        self.now_s = 1.8e9
        settings = StoreSettings(journal_days=journal_days)
        self.store = Store(folder / "state", settings, now_s=lambda: self.now_s)

    def commit(self, *entries: bytes) -> None:
        self.store.commit(Commit(journal=list(entries)))
        names = [self.store.write_state([b"state"])[0], self.store.write_model([b"model"])[0]]
        self.store.point(Checkpoint(self.store.position, *names))

    def entries(self) -> list[bytes]:
        return list(self.store.newest_first())[::-1]


def test_what_is_too_old_goes_and_what_a_snapshot_needs_stays(tmp_path: Path) -> None:
    kept = Kept(tmp_path, journal_days=2.0)
    for day in b"abcdefgh":
        kept.commit(bytes([day]))
        kept.now_s += DAY_S
    assert kept.entries() == [b"f", b"g", b"h"]
    kept.store.close()


def test_a_clock_that_was_far_back_for_a_while_leaves_no_gap(tmp_path: Path) -> None:
    kept = Kept(tmp_path, journal_days=2.0)
    kept.commit(b"a")
    kept.now_s -= 1e9
    kept.commit(b"b")
    kept.now_s += 1e9
    for entry in (b"c", b"d", b"e", b"f"):
        kept.commit(entry)
    assert kept.entries() == [b"a", b"b", b"c", b"d", b"e", b"f"]
    assert None not in list(kept.store.journal(0))
    kept.store.close()
