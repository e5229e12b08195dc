"""The ingest log: whole segments or none, read in the order of positions."""

import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import Readings
from pipeline.scaleout.segments import (
    Logged,
    next_position,
    read_segment,
    segment_name,
    segments,
    write_segment,
)

pytest.importorskip("pyarrow")


def _logged(first: int, n: int = 6) -> Logged:
    readings = Readings(
        ["b/flow", "a/temperature"],
        (np.arange(n) % 2).astype(np.int32),
        1e9 + np.arange(n, dtype=np.float64),
        np.append(np.linspace(-1.0, 7.0, n - 1), np.inf),
        (np.arange(n) % 3).astype(np.uint8),
    )
    return Logged(np.arange(first, first + 2 * n, 2), 1e9 + np.arange(n, dtype=np.float64), readings)


def test_what_is_written_is_read_again_to_the_last_bit(tmp_path: Path) -> None:
    logged = _logged(10)
    again = read_segment(write_segment(tmp_path / "log", logged))
    assert [again.readings.names[i] for i in again.readings.stream] == ["b/flow", "a/temperature"] * 3
    for column in ("time", "value", "flags"):
        assert getattr(again.readings, column).tobytes() == getattr(logged.readings, column).tobytes()
    assert again.seq.tolist() == logged.seq.tolist()
    assert again.arrival.tolist() == logged.arrival.tolist()


def test_the_order_is_that_of_names_whatever_the_times_of_files(tmp_path: Path) -> None:
    for i, first in enumerate((900, 20, 1000)):
        os.utime(write_segment(tmp_path, _logged(first)), (1e9 - i, 1e9 - i))
    (tmp_path / "segment-00000000000000002000.tmp").touch()
    (tmp_path / "notes.txt").touch()
    assert [segment.first for segment in segments(tmp_path)] == [20, 900, 1000]
    assert [segment.first for segment in segments(tmp_path, start=21)] == [900, 1000]
    assert next_position(tmp_path) == 1011


def test_a_log_that_is_not_there_begins_at_zero(tmp_path: Path) -> None:
    assert segments(tmp_path / "log") == []
    assert next_position(tmp_path / "log") == 0


@pytest.mark.parametrize("seq", [[], [3, 3], [4, 2], [-1, 0]])
def test_positions_must_ascend(tmp_path: Path, seq: list[int]) -> None:
    n = len(seq)
    readings = Readings(["a"], np.zeros(n, np.int32), np.zeros(n), np.zeros(n), np.zeros(n, np.uint8))
    with pytest.raises(ValueError, match="positions"):
        write_segment(tmp_path, Logged(np.array(seq, np.int64), np.zeros(n), readings))
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_segment_is_named(tmp_path: Path) -> None:
    path = write_segment(tmp_path, _logged(0, n=1000))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UsageError, match=r"segment-0{20}\.parquet: not a sound segment"):
        read_segment(path)


def test_a_segment_under_another_name_is_refused(tmp_path: Path) -> None:
    path = write_segment(tmp_path, _logged(0))
    other = path.rename(tmp_path / segment_name(7))
    with pytest.raises(UsageError, match="not those that its name says"):
        read_segment(other)
