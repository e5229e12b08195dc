"""The command ``foretell replay``, as a user runs it."""

import csv
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

COLUMNS = "stream,timestamp,value,forecast,lower,upper,residual,score,level,episode,event,health"
T0 = 1_400_030_040.0
N, FAULT = 900, 820


def foretell(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", "from pipeline.cli.main import main; main()", "replay"]
    return subprocess.run([*command, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings; in pump.csv the sensor jumps at reading FAULT. And a configuration that warms up early."""
    folder = tmp_path_factory.mktemp("recordings")
    rng = np.random.default_rng(1)
    for name in ("pump", "tank"):
        value = 50 + 5 * np.sin(np.arange(N) / 25) + 0.3 * rng.standard_normal(N)
        if name == "pump":
            value[FAULT : FAULT + 20] += 25
        times = (datetime.fromtimestamp(T0 + 60 * i, UTC).isoformat() for i in range(N))
        rows = "".join(f"{time},{v!r}\n" for time, v in zip(times, value.tolist(), strict=True))
        (folder / f"{name}.csv").write_text("timestamp,value\n" + rows)
    (folder / "quick.yaml").write_text("detection: {n_warmup: 200}\ntraining: {steps: 2}\n")
    return folder


def test_a_fault_is_listed_scored_and_drawn_and_a_second_run_gives_the_same_bytes(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    runs = []
    for name in ("one", "two"):
        options = ("-c", "quick.yaml", "--scores", f"{name}.csv", "--plot", f"{name}.png")
        runs.append(foretell("pump.csv", "tank.csv", *options, cwd=folder))
        assert runs[-1].returncode == 0, runs[-1].stderr
        assert runs[-1].stderr == ""
    assert (folder / "one.csv").read_bytes() == (folder / "two.csv").read_bytes()
    assert (folder / "one.png").read_bytes() == (folder / "two.png").read_bytes()

    lines = [line for line in runs[0].stdout.splitlines() if line.strip()]
    opened = datetime.fromtimestamp(T0 + 60 * FAULT, UTC).strftime("%Y-%m-%d %H:%M:%S")
    assert any("pump" in line and opened in line for line in lines)
    assert lines[-1].startswith("2 streams, 1,800 readings (1,800 accepted), ")

    text = (folder / "one.csv").read_text()
    assert text.splitlines()[0] == COLUMNS
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["stream"] for row in rows] == ["pump"] * N + ["tank"] * N
    assert [row["timestamp"] for row in rows[:2]] == ["2014-05-14T01:14:00Z", "2014-05-14T01:15:00Z"]
    assert rows[FAULT]["event"] == "open"
    assert rows[FAULT]["episode"]
    assert float(rows[FAULT]["score"]) >= float(rows[FAULT]["level"])
    assert rows[0]["score"] == ""


def test_a_bad_file_costs_one_line_and_exit_2_but_not_the_others(folder: Path) -> None:
    (folder / "words.csv").write_text("timestamp,state\n2014-05-14,on\n")
    (folder / "rough.csv").write_text("timestamp,value\n2014-05-14,1\nsoon,2\n2014-05-15,x\n2014-05-16,3\n")
    got = foretell("none.csv", "words.csv", "rough.csv", "--scores", "rest.csv", cwd=folder)
    assert got.returncode == 2
    said = got.stderr.splitlines()
    assert said[0] == "foretell: none.csv: no such file; check the path"
    assert said[1].startswith("foretell: words.csv:1: no numeric column beside 'timestamp'; ")
    assert said[2].startswith("foretell: rough.csv: left out 1 for unreadable time, the first at rough.csv:3: ")
    assert said[3].startswith("foretell: rough.csv: left out 1 for unreadable number, the first at rough.csv:4: ")
    assert len(said) == 4
    assert len((folder / "rest.csv").read_text().splitlines()) == 1 + 2
    assert got.stdout.startswith("1 stream, 2 readings (2 accepted), 0 episodes, ")


def test_only_bad_files_end_with_2_and_nothing_written(folder: Path) -> None:
    got = foretell("none.csv", "--scores", "never.csv", cwd=folder)
    assert (got.returncode, got.stdout) == (2, "")
    assert not (folder / "never.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pump.csv", "--scores", "out.txt"), "--scores out.txt: the suffix names no known format"),
        (("pump.csv", "--scores", "none/out.csv"), "--scores none/out.csv: its folder does not exist"),
        (("pump.csv", "--scores", "pump.csv"), "--scores pump.csv: is one of the recordings"),
        (("pump.csv", "--plot", "out.jpg"), "--plot out.jpg: the suffix names no known format"),
        (("pump.csv", "--stream", "pump"), "--stream: chooses what --plot draws"),
        (("pump.csv", "--plot", "out.png", "--stream", "pomp"), "--stream pomp: no recording holds this stream"),
        (("pump.csv", "-c", "none.yaml"), "none.yaml: no such file"),
    ],
)
def test_wrong_usage_is_one_line_with_a_remedy_before_the_work(
    folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    got = foretell(*arguments, cwd=folder)
    assert (got.returncode, got.stdout) == (2, "")
    assert got.stderr.startswith(f"foretell: {said}")
    assert "; " in got.stderr
    assert got.stderr.count("\n") == 1


def test_a_file_named_twice_is_read_once(folder: Path) -> None:
    (folder / "short.csv").write_text("timestamp,value\n2014-05-14,1\n")
    got = foretell("short.csv", folder / "short.csv", cwd=folder)
    assert got.returncode == 2
    assert "is named twice; name each file once" in got.stderr
    assert got.stdout.startswith("1 stream, 1 reading (1 accepted), 0 episodes")


def test_help_shows_an_example(folder: Path) -> None:
    got = foretell("--help", cwd=folder)
    assert got.returncode == 0
    assert "Example: foretell replay pump.csv" in got.stdout


def test_every_row_of_the_public_recordings_appears_once_in_order(data_dir: Path, tmp_path: Path) -> None:
    files = sorted((data_dir / "nab" / "data" / "realKnownCause").glob("rogue*.csv"))
    assert files
    (tmp_path / "still.yaml").write_text("training: {enabled: false}\n")
    got = foretell(*files, "-c", "still.yaml", "--scores", "out.csv", cwd=tmp_path)
    assert got.returncode == 0, got.stderr
    expected = []
    for path in files:
        with path.open() as file:
            expected += [(path.stem, row["timestamp"].replace(" ", "T") + "Z") for row in csv.DictReader(file)]
    with (tmp_path / "out.csv").open() as file:
        assert [(row["stream"], row["timestamp"]) for row in csv.DictReader(file)] == expected
