"""The benchmark's plumbing on a tiny shard; how fast it is, is not asked here."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.evaluate import bench_scrape
from pipeline.evaluate.bench import Result, bench_engine
from pipeline.evaluate.bench_scrape import ScrapeCost

COLUMNS = ["n_streams", "sharing", "readings_per_s", "bare_per_s", "ratio"]
CASES = [(1, "stream"), (1, "fleet"), (3, "stream"), (3, "fleet")]


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure so little that it takes a moment."""
    for name, size in {"STREAMS": (1, 3), "_ROUNDS": 2, "_READINGS_PER_ROUND": 60}.items():
        monkeypatch.setattr(f"pipeline.evaluate.bench.{name}", size)


def test_every_number_of_streams_is_measured_with_every_sharing_and_told_at_once() -> None:
    told: list[Result] = []
    results = bench_engine(told.append)
    assert results == told
    assert [(result.n_streams, result.sharing) for result in results] == CASES
    for result in results:
        assert result.readings_per_s > 0
        assert result.bare_per_s > 0
        assert result.ratio == pytest.approx(result.readings_per_s / result.bare_per_s)


def test_a_result_is_its_columns_by_name() -> None:
    columns = Result(1000, "fleet", 2e5, 1e6, 0.2).as_dict()
    assert list(columns) == COLUMNS
    assert list(columns.values()) == [1000, "fleet", 2e5, 1e6, 0.2]


def test_the_command_prints_a_table_and_writes_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.json"
    monkeypatch.setattr(sys, "argv", ["foretell", "bench", "--json", str(out)])
    cost = ScrapeCost(5000, 0, 3, 20.0, 30.0, 1000, 9.0, 9.0)
    monkeypatch.setattr(bench_scrape, "bench_scrape", lambda n: replace(cost, n_with_series=n))
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    rows = [row for row in json.loads(out.read_text()) if "sharing" in row]
    assert [list(row) for row in rows] == [COLUMNS] * len(CASES)
    assert [(row["n_streams"], row["sharing"]) for row in rows] == CASES
    decoding = [row for row in json.loads(out.read_text()) if "beyond_us" in row]
    assert len(decoding) == 3
    scrapes = [row for row in json.loads(out.read_text()) if row.get("bench") == "scrape"]
    assert [row["n_with_series"] for row in scrapes] == [500, 5000]
    printed = capsys.readouterr().out
    assert all(f"{row['ratio']:.0%}" in printed for row in rows)
