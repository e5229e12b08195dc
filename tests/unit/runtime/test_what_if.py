"""What-if: alerts decided anew from scores alone are those that the engine would have given."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, Readings
from pipeline.core.settings import Settings
from pipeline.runtime.replay import ReplayResult, replay
from pipeline.runtime.what_if import Scored, Told, decided, recorded_episodes, what_if
from pipeline.runtime.what_if_files import is_scores_file, read_scores
from pipeline.runtime.what_if_report import MAX_LISTED, as_json, change_table, summary
from pipeline.sinks.scores import write_scores
from pipeline.sources.recording import Recording

N = 1800
NAMES = ("noise", "wave", "meter", "late")
DETECTION = {"n_warmup": 128, "n_settled": 200, "false_alarms_per_stream": "1 per 2 days"}


def settings(**more: object) -> Settings:
    return Settings.model_validate(
        {"training": {"enabled": False}, "streams": {"window_len": 256}, "detection": DETECTION | more}
    )


def signals() -> F64:
    """Noise with spikes and a step, a wave that gets stuck, a counter that falls, a stream that begins later."""
    rng = np.random.default_rng(5)
    noise, wave = rng.normal(0, 1, N), 3 * np.sin(np.arange(N) / 20) + rng.normal(0, 0.3, N)
    noise[[700, 1200, 1500]] += 12
    noise[1000:1100] += 4
    wave[900:930] += 5
    wave[1300:1420] = wave[1300]
    meter = 1e6 + np.cumsum(rng.integers(1, 9, N)).astype(float)
    meter[1300:] -= 40  # no counter after all, as it seems
    late = rng.laplace(0, 1, N)
    late[1600] += 30
    return np.column_stack((noise, wave, meter, late))


def recording() -> Recording:
    value = signals()
    stream = np.tile(np.arange(len(NAMES), dtype=np.int32), N)
    time = np.repeat(1.7e9 + 300.0 * np.arange(N), len(NAMES))
    keep = (stream < 3) | (time > 1.7e9 + 300.0 * 400)
    flags = np.zeros(keep.sum(), np.uint8)
    readings = Readings(NAMES, stream[keep], time[keep], value.ravel()[keep], flags)
    again = np.concatenate((np.arange(900), np.arange(850, len(readings))))  # a stretch comes twice
    return Recording("test", readings.rows(again), {})


@pytest.fixture(scope="module")
def played() -> ReplayResult:
    return replay([recording()], settings())


def openings(told: list[Told]) -> list[tuple[int, float, float]]:
    return [(each.stream, each.opened_s, each.closed_s) for each in told]


def test_the_recording_holds_what_deciding_anew_could_miss(played: ReplayResult) -> None:
    """A sensor that is stuck, and a stream that the engine starts anew: its scores go missing again."""
    scored = Scored.of(played.readings, played.steps)
    assert scored.is_stuck[scored.stream == 1].any()
    has_score = ~np.isnan(scored.score[scored.stream == 2])
    assert (np.diff(has_score.astype(int)) < 0).any()


def test_the_same_budget_gives_the_same_episodes(played: ReplayResult) -> None:
    scored = Scored.of(played.readings, played.steps)
    recorded = recorded_episodes(scored)
    assert len(recorded) > 4
    assert {each.stream for each in recorded} >= {0, 1, 3}
    assert openings(decided(scored, settings().detection, ["1 per 2 days"])[0]) == openings(recorded)


@pytest.mark.parametrize("budget", ["1 per day", "1 per 20 days"])
def test_another_budget_gives_what_a_replay_under_it_gives(played: ReplayResult, budget: str) -> None:
    scored = Scored.of(played.readings, played.steps)
    truth = replay([recording()], settings(false_alarms_per_stream=budget))
    expected = recorded_episodes(Scored.of(truth.readings, truth.steps))
    got = decided(scored, settings().detection, ["1 per 9 days", budget])[1]
    assert openings(got) == openings(expected)
    assert openings(got) != openings(recorded_episodes(scored))


def test_a_larger_budget_tells_more_and_a_smaller_one_less(played: ReplayResult) -> None:
    scored = Scored.of(played.readings, played.steps)
    found = what_if(scored, settings().detection, ["1 per 12 hours", "1 per 2 days", "1 per 90 days"])
    assert found.is_same
    many, same, few = found.outlooks
    assert len(many.told) > len(same.told) > len(few.told)
    assert many.new
    assert not same.new
    assert not same.gone
    assert few.gone
    assert not few.new


def test_scores_of_other_settings_are_noticed(played: ReplayResult) -> None:
    scored = Scored.of(played.readings, played.steps)
    assert not what_if(scored, settings(false_alarms_per_stream="1 per hour").detection, []).is_same


def test_since_counts_only_what_opened_then(played: ReplayResult) -> None:
    scored = Scored.of(played.readings, played.steps)
    everything = what_if(scored, settings().detection, ["1 per day"])
    newest = what_if(scored, settings().detection, ["1 per day"], 86_400.0)
    begin_s = scored.time.max() - 86_400
    for whole, part in ((everything.recorded, newest.recorded), (everything.outlooks[0].new, newest.outlooks[0].new)):
        assert list(part) == [each for each in whole if each.opened_s >= begin_s]
    assert newest.weeks == pytest.approx(1 / 7)
    assert everything.weeks[3] < everything.weeks[0]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_scores_files_hold_all_that_is_needed(played: ReplayResult, tmp_path: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    file = tmp_path / f"scores{suffix}"
    write_scores(file, played.readings, played.steps)
    assert is_scores_file(file)
    read, direct = read_scores([file]), Scored.of(played.readings, played.steps)
    assert list(read.names) == list(direct.names)
    assert np.array_equal(read.stream, direct.stream)
    assert np.array_equal(read.event, direct.event)
    assert read.time == pytest.approx(direct.time, abs=1e-3)
    assert read.score == pytest.approx(direct.score, rel=1e-8, nan_ok=True)
    assert what_if(read, settings().detection, []).is_same


def test_other_files_are_no_scores_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("timestamp,value\n1,2\n")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    assert not any(is_scores_file(tmp_path / name) for name in ("a.csv", "b.csv", "c.parquet", "none.csv"))


HEADER = "stream,timestamp,value,forecast,lower,upper,residual,score,level,episode,event,health\n"


@pytest.mark.parametrize(
    "row",
    [
        "a,2026-03-01T10:00:00Z,1,1,1,1,0,1,4,,burst,",
        "a,noon,1,1,1,1,0,1,4,,,",
        "a,2026-03-01T10:00:00Z,1,1,1,1,0,much,4,,,",
        "a,2026-03-01T10:00:00Z,1,1,1,1,0,inf,4,,,",
        "a,2026-03-01T10:00:00Z",
    ],
)
def test_a_row_that_makes_no_sense_is_named(tmp_path: Path, row: str) -> None:
    (tmp_path / "scores.csv").write_text(f"{HEADER}a,2026-03-01T09:55:00Z,1,1,1,1,0,,4,,,\n{row}\n")
    with pytest.raises(UsageError, match=r"scores.csv:3: is no row of scores; give a file that replay"):
        read_scores([tmp_path / "scores.csv"])


def test_nothing_gives_nothing(tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text(HEADER)
    found = what_if(read_scores([tmp_path / "scores.csv"]), settings().detection, ["1 per day"])
    assert summary(found) == ["as told: 0 alerts in 0.0 stream-weeks", "1 per day: 0 alerts, 0 new, 0 gone"]


def test_a_long_list_is_cut_and_json_has_it_all(played: ReplayResult) -> None:
    found = what_if(Scored.of(played.readings, played.steps), settings().detection, ["1 per day"])
    one = Told(0, 1.7e9, float("inf"), 5.0, 4.0)
    outlook = replace(found.outlooks[0], new=[one] * (MAX_LISTED + 5), gone=[])
    assert change_table(found, outlook).row_count == MAX_LISTED + 1
    shown = json.loads(json.dumps(as_json(replace(found, outlooks=[outlook])), allow_nan=False))
    assert len(shown["budgets"][0]["new"]) == MAX_LISTED + 5
    assert shown["budgets"][0]["new"][0]["closed_at"] is None


def test_events_that_overlap_are_neither_new_nor_gone() -> None:
    opened = Told(0, 100.0, 200.0, 5.0, 4.0)
    assert opened.overlaps(Told(0, 200.0, 300.0, 5.0, 4.0))
    assert not opened.overlaps(Told(0, 201.0, 300.0, 5.0, 4.0))
    assert not opened.overlaps(Told(1, 100.0, 200.0, 5.0, 4.0))


def foretell(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", "from pipeline.cli.main import main; main()", "what-if", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_command_shows_counts_changes_and_a_line_per_budget(played: ReplayResult, tmp_path: Path) -> None:
    write_scores(tmp_path / "scores.csv", played.readings, played.steps)
    (tmp_path / "edge.yaml").write_text(json.dumps({"detection": DETECTION}))
    options = ("-b", "1 per 90 days", "-b", "1 per 12 hours", "--since", "90d", "-c", "edge.yaml", "--json", "w.json")
    got = foretell("scores.csv", *options, cwd=tmp_path)
    assert (got.returncode, got.stderr) == (0, "")
    shown = json.loads((tmp_path / "w.json").read_text())
    few, many = shown["budgets"]
    lines = got.stdout.splitlines()
    assert lines[-2] == f"1 per 90 days: {len(few['alerts'])} alerts, {len(few['new'])} new, {len(few['gone'])} gone"
    assert {"new", "gone"} <= {line.split()[0] for line in lines if line.strip()}
    assert len(many["new"]) > 0


def test_with_another_configuration_it_says_so(played: ReplayResult, tmp_path: Path) -> None:
    write_scores(tmp_path / "scores.csv", played.readings, played.steps)
    got = foretell("scores.csv", "-b", "1 per day", cwd=tmp_path)
    assert got.returncode == 0
    assert got.stderr.startswith("foretell: these scores were told with other settings; give the configuration")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s.csv", "-b", "often"], "foretell: --budget often: is no rate; it must be a rate such as"),
        (["s.csv", "-b", "1 per day", "--since", "long"], "foretell: --since long: is no duration; it must be"),
        (["s.csv", "-b", "1 per day", "--json", "x.txt"], "foretell: --json x.txt: the suffix names no known format"),
        (["none.csv", "-b", "1 per day"], "foretell: none.csv: no such file"),
        (["s.csv", "r.csv", "-b", "1 per day"], "foretell: s.csv: scores files and recordings are mixed; give the one"),
    ],
)
def test_wrong_usage_of_what_if_is_one_line_and_exit_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "s.csv").write_text(HEADER)
    (tmp_path / "r.csv").write_text("timestamp,value\n2026-03-01,1\n")
    got = foretell(*arguments, cwd=tmp_path)
    assert got.returncode == 2
    assert got.stderr.startswith(message)
    assert got.stderr.count("\n") == 1
