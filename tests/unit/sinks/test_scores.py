"""The scores file: its columns, its bytes, and that it is whole or absent."""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import Event, Health, Readings, Steps, episode_id
from pipeline.sinks.scores import COLUMNS, check_scores_file, write_scores

T0 = 1_400_030_040.0


def three_rows() -> tuple[Readings, Steps]:
    """A reading while warming up, one that opens an episode, one that is not finite."""
    readings = Readings(
        ["a/b", "c"],
        np.array([0, 1, 0], np.int32),
        np.array([T0, T0 + 0.25, T0 + 60]),
        np.array([0.1 + 0.2, 5.0, np.nan]),
        np.zeros(3, np.uint8),
    )
    steps = Steps.blank(3)
    steps.level[:2] = 4.5
    steps.forecast[1], steps.lower[1], steps.upper[1], steps.score[1] = 3.0, 2.0, 4.0, 6.25
    steps.opened[1] = T0 + 0.25
    steps.event[1] = Event.OPEN
    steps.health[2] = Health.GAP | Health.NOT_FINITE
    return readings, steps


def test_csv_has_one_row_per_reading_in_input_order(tmp_path: Path) -> None:
    write_scores(tmp_path / "out.csv", *three_rows())
    episode = episode_id("c", T0 + 0.25)
    assert (tmp_path / "out.csv").read_text() == (
        "stream,timestamp,value,forecast,lower,upper,residual,score,level,episode,event,health\n"
        "a/b,2014-05-14T01:14:00Z,0.3,,,,,,4.5,,,\n"
        f"c,2014-05-14T01:14:00.250Z,5,3,2,4,2,6.25,4.5,{episode},open,\n"
        "a/b,2014-05-14T01:15:00Z,,,,,,,,,,gap|not_finite\n"
    )


def test_parquet_holds_the_same_rows_typed(tmp_path: Path) -> None:
    pq: Any = pytest.importorskip("pyarrow.parquet")
    write_scores(tmp_path / "out.parquet", *three_rows())
    table = pq.read_table(tmp_path / "out.parquet")
    assert tuple(table.column_names) == COLUMNS
    rows = table.to_pylist()
    assert [row["stream"] for row in rows] == ["a/b", "c", "a/b"]
    assert [row["timestamp"].timestamp() for row in rows] == [T0, T0 + 0.25, T0 + 60]
    assert [row["residual"] for row in rows] == [None, 2.0, None]
    assert [row["event"] for row in rows] == [None, "open", None]
    assert [row["health"] for row in rows] == [None, None, "gap|not_finite"]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_same_rows_give_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("pyarrow")
    for name in ("a", "b"):
        write_scores(tmp_path / (name + suffix), *three_rows())
    assert (tmp_path / ("a" + suffix)).read_bytes() == (tmp_path / ("b" + suffix)).read_bytes()


def test_rows_beyond_one_chunk_are_all_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sinks.scores.CHUNK_ROWS", 7)
    n = 23
    count = np.arange(n, dtype=np.float64)
    readings = Readings(["s"], np.zeros(n, np.int32), T0 + count, count, np.zeros(n, np.uint8))
    write_scores(tmp_path / "out.csv", readings, Steps.blank(n))
    with (tmp_path / "out.csv").open() as file:
        assert [row["value"] for row in csv.DictReader(file)] == [str(i) for i in range(n)]


def test_a_name_that_would_break_a_row_is_quoted(tmp_path: Path) -> None:
    one = Readings(['a,"b"'], np.zeros(1, np.int32), np.array([T0]), np.ones(1), np.zeros(1, np.uint8))
    write_scores(tmp_path / "out.csv", one, Steps.blank(1))
    with (tmp_path / "out.csv").open() as file:
        assert next(csv.DictReader(file))["stream"] == 'a,"b"'


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    readings, _ = three_rows()
    with pytest.raises(ValueError, match="broadcast"):
        write_scores(out, readings, Steps.blank(2))
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert out.read_text() == "old"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    write_scores(tmp_path / "link.csv", *three_rows())
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text().startswith("stream,")


def test_what_cannot_be_written_is_refused_beforehand(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    for name, said in [
        ("out.txt", "the suffix names no known format; end it in .csv or .parquet"),
        ("folder.csv", "is there and no regular file"),
        ("none/out.csv", "its folder does not exist"),
    ]:
        with pytest.raises(UsageError, match=said):
            check_scores_file(tmp_path / name)


def test_the_check_leaves_nothing_behind(tmp_path: Path) -> None:
    check_scores_file(tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_parquet_without_pyarrow_is_refused_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(UsageError, match=r"pip install 'foretell\[parquet\]'"):
        check_scores_file(tmp_path / "out.parquet")
