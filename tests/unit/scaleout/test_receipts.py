"""Receipts count where their segment is there, and in the session that they belong to."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.runtime.repeats import Received
from pipeline.scaleout.receipts import N_RECEIPTS, Receipts


def received(*mids: int) -> Received:
    return Received(
        is_new_session=False, mids=np.array(mids, np.uint16), digests=np.array(mids, np.uint64) * np.uint64(1 << 40)
    )


def recalled(folder: Path, firsts: set[int]) -> list[list[int]]:
    """Open a folder as the next bridge does; return packet identifiers, newest first."""
    receipts = Receipts(folder)
    try:
        return [each.mids.tolist() for each in receipts.recall(firsts)]
    finally:
        receipts.close()


def test_the_next_bridge_knows_what_was_received_newest_first(tmp_path: Path) -> None:
    receipts = Receipts(tmp_path)
    receipts.note(0, received(1, 2), 0)
    receipts.note(2, received(3), 0)
    receipts.close()
    again = Receipts(tmp_path)
    found = list(again.recall({0, 2}))
    again.close()
    assert [each.mids.tolist() for each in found] == [[3], [1, 2]]
    assert found[1].digests.tolist() == received(1, 2).digests.tolist()


def test_receipts_without_their_segment_were_never_made_good(tmp_path: Path) -> None:
    receipts = Receipts(tmp_path)
    receipts.note(0, received(1), 0)
    receipts.note(1, received(2), 0)
    receipts.close()
    assert recalled(tmp_path, {0}) == [[1]]
    assert recalled(tmp_path, {0, 1}) == [[1]], "nor when another segment begins there later"


def test_a_new_session_of_the_broker_ends_what_is_known(tmp_path: Path) -> None:
    receipts = Receipts(tmp_path)
    receipts.note(0, received(1), 0)
    receipts.begin_session(1)
    assert list(receipts.recall({0})) == []
    receipts.note(1, received(1), 0)  # of the session before, written late
    receipts.note(2, received(1), 1)
    receipts.close()
    assert recalled(tmp_path, {0, 1, 2}) == [[1]]
    again = Receipts(tmp_path)
    again.begin_session(1)  # the first of this process, the second of all
    again.close()
    assert recalled(tmp_path, {0, 1, 2}) == []


@pytest.mark.parametrize("at", [0, 5, 12, 16, 20, -1])
def test_damaged_receipts_are_none(tmp_path: Path, at: int) -> None:
    receipts = Receipts(tmp_path)
    receipts.note(0, received(1), 0)
    receipts.note(1, received(2), 0)
    receipts.close()
    path = tmp_path / f"received-{1:020d}"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert recalled(tmp_path, {0, 1}) == [[1]]
    path.write_bytes(data[:at])
    assert recalled(tmp_path, {0, 1}) == [[1]]


def test_only_as_many_are_kept_as_a_broker_may_send_again(tmp_path: Path) -> None:
    receipts = Receipts(tmp_path)
    many = received(*range(1, 10_001))
    for i in range(8):
        receipts.note(i, many, 0)
        receipts.prune()
    kept = sorted(int(path.name.removeprefix("received-")) for path in tmp_path.glob("received-*"))
    assert kept == [4, 5, 6, 7]
    assert 4 * 10_000 >= N_RECEIPTS > 3 * 10_000
    receipts.close()


def test_one_bridge_at_a_time(tmp_path: Path) -> None:
    receipts = Receipts(tmp_path)
    with pytest.raises(UsageError, match=r"scale\.folder: another daemon uses"):
        Receipts(tmp_path)
    receipts.close()
    Receipts(tmp_path).close()
