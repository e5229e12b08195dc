"""The command ``foretell evaluate forecast``, as a user runs it."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

N = 700


def foretell(
    *arguments: str | Path, cwd: Path, data: Path | None = None, what: str = "forecast"
) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-W",
        "error",
        "-c",
        "from pipeline.cli.main import main; main()",
        "evaluate",
        what,
    ]
    environment = {key: value for key, value in os.environ.items() if key != "FORETELL_DATA"}
    environment |= {"FORETELL_DATA": str(data)} if data else {}
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings, a wave with noise and a constant one, where NAB's would be."""
    folder = tmp_path_factory.mktemp("recordings")
    wave = 50 + 5 * np.sin(np.arange(N) / 8) + 0.3 * np.random.default_rng(1).standard_normal(N)
    nab = folder / "data" / "nab" / "data" / "some"
    nab.mkdir(parents=True)
    for name, values in (("wave", wave), ("flat", np.full(N, 3.0))):
        rows = "".join(f"{1_400_030_400 + 1800 * i},{v!r}\n" for i, v in enumerate(values.tolist()))
        (nab / f"{name}.csv").write_text("timestamp,value\n" + rows)
    (folder / "quick.yaml").write_text("training: {steps: 1, every: 96}\n")
    return folder


def test_one_run_gives_tables_figures_a_picture_and_peers(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    options = (
        "--peers",
        "--seeds",
        "2",
        "--json",
        "out.json",
        "--plot",
        "out.png",
        "--limit",
        "600",
        "-c",
        "quick.yaml",
    )
    got = foretell(*options, "-c", "quick.yaml", cwd=folder, data=folder / "data")
    assert got.returncode == 0, got.stderr
    assert got.stderr == ""
    assert "2 streams, 1,200 readings, 2 seeds" in got.stdout
    assert "n/a: 1 of them, constant or too short" in got.stdout
    assert (folder / "out.png").read_bytes().startswith(b"\x89PNG")

    found = json.loads((folder / "out.json").read_text())
    flat, wave = found["streams"]
    assert (flat["stream"], wave["stream"]) == ("flat", "wave")
    assert flat["mase"]["league"] is None
    assert wave["n_readings"] == 600
    assert 400 < wave["n_season"] < wave["n"] <= 600
    assert wave["mase"]["persistence"] == 1.0
    assert wave["mase"]["league"] < 0.8
    assert wave["mase"]["HoltWinters"] > wave["mase"]["league"]
    assert wave["mase"]["league"] * wave["mae"]["persistence"] == pytest.approx(wave["mae"]["league"])
    assert 0.8 < wave["coverage"][1] <= 1.0
    assert len(found["summary"]["seeds_mase"]) == 2
    assert found["summary"]["beats_peer"]["best HoltWinters"] == [1, 1]
    assert {"HoltWinters", "SNARIMAX 12"} <= found["peers"].keys()


def test_the_same_recordings_give_the_same_figures(folder: Path) -> None:
    runs = [foretell("--data", "data", "--limit", "300", "--json", f"{i}.json", cwd=folder) for i in range(2)]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr
    assert (folder / "0.json").read_bytes() == (folder / "1.json").read_bytes()


def test_a_stream_is_judged_alike_alone_and_beside_others(folder: Path) -> None:
    wave = folder / "data" / "nab" / "data" / "some" / "wave.csv"
    for name, files in (("alone", [wave]), ("beside", [wave.with_name("flat.csv"), wave])):
        got = foretell(*files, "-c", "quick.yaml", "--limit", "400", "--json", f"{name}.json", cwd=folder)
        assert got.returncode == 0, got.stderr
    alone, beside = (json.loads((folder / f"{name}.json").read_text())["streams"][-1] for name in ("alone", "beside"))
    assert alone["mae"] == pytest.approx(beside["mae"], rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "foretell: ../shared/data/nab/data: is no folder; name files, give --data DIR, or set FORETELL_DATA to "),
        (("--data", "."), ""),
        (("x.csv", "--data", "."), "foretell: --data: files are named as well; give files or --data, not both"),
        (("--data", "empty"), "foretell: --data empty: holds no recordings; name a folder with .csv, "),
        (("--data", ".", "--json", "x.txt"), "foretell: --json x.txt: the suffix names no known format; "),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(arguments: tuple[str, ...], said: str, tmp_path: Path) -> None:
    (tmp_path / "words.csv").write_text("timestamp,state\n2014-05-14,on\n")
    (tmp_path / "empty").mkdir()
    got = foretell(*arguments, cwd=tmp_path)
    assert got.returncode == 2
    assert got.stderr.startswith(said)
    assert got.stderr.count("\n") == 1
    assert got.stdout == ""


def test_help_is_light_and_shows_an_example(repository: Path) -> None:
    script = (
        "import sys\nfrom pipeline.cli.main import main\ntry:\n    main()\nfinally:\n    print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", script, "evaluate", "forecast", "--help"]
    got = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    assert "Example: foretell evaluate forecast" in got.stdout
    assert got.stdout.endswith("False\n")


def test_sharings_are_compared_in_one_run_with_labels(folder: Path) -> None:
    start = 1_400_030_400 + 1800 * 650
    (folder / "labels.json").write_text(json.dumps({"some/wave.csv": [[utc(start), utc(start + 1800 * 40)]]}))
    options = ("--labels", "labels.json", "--json", "sharing.json", "-c", "quick.yaml")
    done = foretell(*options, cwd=folder, data=folder / "data", what="sharing")
    assert done.returncode == 0, done.stderr
    rows = json.loads((folder / "sharing.json").read_text())
    assert [row["sharing"] for row in rows] == ["stream", "group", "fleet"]
    assert [row["n_networks"] for row in rows] == [2, 2, 1]
    assert all(row["windows_met"]["of"] == 1 for row in rows)
    assert rows[0]["kib_per_stream"] > rows[2]["kib_per_stream"] > 10
    assert all(0 < row["lstm_mase"] < 1 for row in rows)
    assert "fleet" in done.stdout


def test_labels_that_are_none_are_refused_with_their_form(folder: Path) -> None:
    (folder / "wrong.json").write_text("[1, 2]")
    done = foretell("--labels", "wrong.json", cwd=folder, data=folder / "data", what="sharing")
    assert done.returncode == 2
    assert "wrong.json: holds no labelled windows; write them as" in done.stderr


def utc(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
