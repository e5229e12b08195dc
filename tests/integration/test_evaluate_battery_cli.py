"""The commands ``foretell evaluate battery`` and ``foretell evaluate power``, as a user runs them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TINY = ("--streams", "2", "--faulty", "1", "--days", "3", "--kinds", "white,constant", "--faults", "spike")


def foretell(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", "from pipeline.cli.main import main; main()", "evaluate"]
    return subprocess.run([*command, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration that is quick, and a recording of two streams."""
    folder = tmp_path_factory.mktemp("battery")
    detection = "{n_warmup: 200, n_settled: 200, false_alarms_per_stream: 1 per 300 days}"
    (folder / "quick.yaml").write_text(f"training: {{enabled: false}}\ndetection: {detection}\n")
    value = np.random.default_rng(1).standard_normal((900, 2)) + 20
    rows = "".join(f"{1_400_030_400 + 60 * i},{a!r},{b!r}\n" for i, (a, b) in enumerate(value.tolist()))
    (folder / "room.csv").write_text("timestamp,air,wall\n" + rows)
    return folder


def test_the_battery_gives_the_same_figures_however_many_processes_run_it(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    options = (*TINY, "--config", "quick.yaml", "--json")
    two = foretell("battery", *options, "two.json", "--workers", "2", "--plot", "two.png", cwd=folder)
    one = foretell("battery", *options, "one.json", "--workers", "1", cwd=folder)
    assert (two.returncode, one.returncode, two.stderr) == (0, 0, "")
    figures = [json.loads((folder / name).read_text()) for name in ("one.json", "two.json")]
    for document in figures:
        del document["took_s"]
    assert figures[0] == figures[1]
    assert [row["kind"] for row in figures[0]["kinds"]] == ["constant", "white"]
    assert {row["fault"] for row in figures[0]["faults"]} == {"spike"}
    assert "2 kinds, 4 clean streams" in two.stdout
    assert (folder / "two.png").read_bytes().startswith(b"\x89PNG")


def test_power_speaks_of_the_stream_asked_for(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    options = ("--config", "quick.yaml", "--places", "2", "--json", "power.json", "--plot", "power.png")
    run = foretell("power", "room.csv", "--stream", "room/wall", *options, cwd=folder)
    assert (run.returncode, run.stderr) == (0, "")
    assert "room/wall: 900 readings, faults planted at 2 places" in run.stdout
    assert [stream["stream"] for stream in json.loads((folder / "power.json").read_text())["streams"]] == ["room/wall"]
    assert (folder / "power.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("battery", "--kinds", "pink"), "--kinds: pink is none of them; name some of constant, quantised"),
        (("battery", "--faults", "gremlin"), "--faults: gremlin is none of them; name some of spike, step"),
        (("battery", "--json", "out.txt"), "--json out.txt: the suffix names no known format"),
        (("power", "nowhere.csv"), "nowhere.csv: "),
        (("power", "room.csv", "--stream", "room/door"), "--stream room/door: no recording holds this stream"),
        (("power", "room.csv", "--plot", "out.png"), "--plot out.png: the file holds 2 streams; choose one with"),
        (("power", "room.csv"), "room/air: 900 readings are too few"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(folder: Path, arguments: tuple[str, ...], complaint: str) -> None:
    run = foretell(*arguments, cwd=folder)
    assert run.returncode == 2
    assert f"foretell: {complaint}" in run.stderr
    assert run.stderr.count("\n") == 1
