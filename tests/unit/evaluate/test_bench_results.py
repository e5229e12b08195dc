"""The benchmark's plumbing on a tiny shard; how fast it is, is not asked here."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.evaluate import bench_costs, bench_live, bench_memory, bench_replay, bench_scrape, bench_stages
from pipeline.evaluate.bench import Result, bench_engine, warmed_up
from pipeline.evaluate.bench_costs import Cost
from pipeline.evaluate.bench_live import LiveRate
from pipeline.evaluate.bench_replay import ReplayCost
from pipeline.evaluate.bench_scrape import ScrapeCost
from pipeline.evaluate.bench_stages import StageCost
from pipeline.flow import engine

COLUMNS = ["n_streams", "sharing", "readings_per_s", "bare_per_s", "ratio"]
CASES = [(1, "stream"), (1, "fleet"), (3, "stream"), (3, "fleet"), (5, "fleet")]


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure so little that it takes a moment."""
    sizes = {"STREAMS": (1, 3, 5), "N_FLEET_ONLY": 5, "_N_WARMED_UP": 2, "_ROUNDS": 2, "_READINGS_PER_ROUND": 60}
    for name, size in sizes.items():
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


def test_streams_beyond_those_warmed_up_go_on_from_copies_with_networks_of_their_own() -> None:
    state = warmed_up(5, "stream").state
    assert len(set(state.windows.n[:5].tolist())) == 1
    assert state.windows.value[4].tolist() == state.windows.value[0].tolist()
    assert len(set(state.ledger.group[:5].tolist())) == 5


def test_stages_are_parts_of_the_whole_and_the_engine_is_left_as_it_was() -> None:
    work = vars(engine)["advance"]
    costs = bench_stages.bench_stages("fleet", n_streams=2, n_rounds=2)
    assert vars(engine)["advance"] is work
    shares = {cost.stage: cost.ratio for cost in costs}
    assert shares["all"] == 1.0
    assert 0.5 < sum(share for stage, share in shares.items() if ":" not in stage) - shares["all"] < 1.0
    assert 0 < shares["forecast: networks"] < shares["forecast"]


def test_training_memory_and_a_restart_are_held_against_what_they_need_at_least(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bench_costs, "IS_COUNTED", False)
    costs = bench_costs.bench_costs(n_taught=2, n_restarted=3)
    assert len(costs) == 6
    for cost in costs:
        assert cost.ratio == pytest.approx(cost.value / cost.of_baseline)
        assert cost.ratio > 0
    assert min(cost.ratio for cost in costs[1:3]) > 1, "memory"


@pytest.mark.skipif(not bench_memory.IS_COUNTED, reason="the system does not tell the proportional set size")
def test_what_the_system_counts_of_further_streams_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert bench_memory.held_kib(2, "fleet") > 10_000, "Python and libraries alone"
    monkeypatch.setattr(bench_memory, "_apart", lambda n, _sharing: 50_000.0 + 33 * n)
    arrays, counted = bench_costs.memory("fleet")
    assert counted.value == 33
    assert counted.of_baseline == arrays.value


def test_a_replay_reads_and_writes_beside_what_the_engine_alone_takes() -> None:
    cost = bench_replay.bench_replay("fleet", n_streams=3, n_ticks=60)
    assert 0 < cost.ratio == pytest.approx(cost.readings_per_s / cost.engine_per_s)
    assert 0 < cost.read_us + cost.write_us < 1e6 / cost.readings_per_s


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
    stage = StageCost("fleet", "judge", 1.25, 0.5)
    monkeypatch.setattr(bench_stages, "bench_stages", lambda sharing: [replace(stage, sharing=sharing)])
    whole = ReplayCost("fleet", 8e4, 1e5, 0.5, 0.7, 0.8)
    monkeypatch.setattr(bench_replay, "bench_replay", lambda sharing: replace(whole, sharing=sharing))
    monkeypatch.setattr(bench_costs, "bench_costs", lambda: [Cost("a restart, s", 3.0, "reading", 1.5, 2.0)])
    live = LiveRate(1, 1000, 0, 6e3, 1e4, 99.0, 55.0, 0.6)
    monkeypatch.setattr(bench_live, "bench_live", lambda qos: replace(live, qos=qos))
    monkeypatch.setattr(bench_live, "has_broker", lambda: True)
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    rows = [row for row in json.loads(out.read_text()) if "n_streams" in row and "bench" not in row]
    assert [list(row) for row in rows] == [COLUMNS] * len(CASES)
    assert [(row["n_streams"], row["sharing"]) for row in rows] == CASES
    decoding = [row for row in json.loads(out.read_text()) if "beyond_us" in row]
    assert len(decoding) == 3
    scrapes = [row for row in json.loads(out.read_text()) if row.get("bench") == "scrape"]
    assert [row["n_with_series"] for row in scrapes] == [500, 5000]
    kinds = [row["bench"] for row in json.loads(out.read_text()) if "bench" in row]
    assert kinds == ["stage", "stage", "cost", "replay", "replay", "scrape", "scrape", "live", "live"]
    printed = capsys.readouterr().out
    assert "a restart, s" in printed
    assert all(f"{row['ratio']:.0%}" in printed for row in rows)
