"""The commands ``foretell evaluate msl`` and ``foretell evaluate skab``, as a user runs them, on made-up data."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

N_TRAIN, N_TEST = 500, 600


def foretell(*arguments: str, cwd: Path, data: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", "from pipeline.cli.main import main; main()", "evaluate"]
    environment = {key: value for key, value in os.environ.items() if key != "FORETELL_DATA"}
    environment |= {"FORETELL_DATA": str(data)} if data else {}
    return subprocess.run([*command, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two channels in the form of MSL, one with a spike; two runs in the form of SKAB, one with a step."""
    folder = tmp_path_factory.mktemp("public")
    (folder / "msl").mkdir()
    rng = np.random.default_rng(1)
    for name in ("A-1", "B-2"):
        value = rng.normal(size=N_TRAIN + N_TEST).astype(np.float32)
        if name == "A-1":
            value[N_TRAIN + 300] = 80
        sent = (np.arange(len(value)) // 9 % 2).astype(np.uint8)[:, None]
        train, test = slice(N_TRAIN), slice(N_TRAIN, None)
        np.savez(
            folder / "msl" / f"{name}.npz",
            train_value=value[train],
            test_value=value[test],
            train_commands=sent[train],
            test_commands=sent[test],
        )
    labels = {name: {"anomaly_sequences": [[295, 310]], "class": ["point"]} for name in ("A-1", "B-2")}
    (folder / "msl" / "labels.json").write_text(json.dumps(labels))
    for name, height in (("valve1/0", 40.0), ("anomaly-free/anomaly-free", 0.0)):
        write_run(folder / "skab" / f"{name}.csv", height, rng)
    (folder / "quick.yaml").write_text("training: {steps: 1, every: 96, takeover: 0}\n")
    return folder


def write_run(path: Path, height: float, rng: np.random.Generator) -> None:
    """Write two sensors, both raised by ``height`` between two changes."""
    n, change, end = 800, 600, 700
    value = rng.normal(size=(n, 2))
    value[change:end] += height
    lines = ["datetime;Pressure;Flow" + (";anomaly;changepoint" if height else "")]
    for i, (pressure, flow) in enumerate(value.tolist()):
        flags = f";{float(change <= i < end)};{float(i in (change, end))}" if height else ""
        lines.append(f"2020-03-09 10:{i // 60:02}:{i % 60:02};{pressure};{flow}{flags}")
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines) + "\n")


def test_msl_gives_a_table_figures_and_a_picture(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    options = ("--seeds", "1", "-c", "quick.yaml", "--json", "msl.json", "--plot", "msl.png")
    got = foretell("msl", *options, cwd=folder, data=folder)
    assert got.returncode == 0, got.stderr
    assert got.stderr == ""
    assert "2 channels, 1,200 test readings, seed 1" in got.stdout
    assert "Telemanom, trained offline, as published: F1 0.794" in got.stdout
    assert (folder / "msl.png").read_bytes().startswith(b"\x89PNG")
    found = json.loads((folder / "msl.json").read_text())
    spiked, quiet = found["seeds"][0]["channels"]
    assert (spiked["channel"], quiet["channel"]) == ("A-1", "B-2")
    assert spiked["sequences"]["n_found"] == 1
    assert spiked["delays"] == [5.0]
    assert quiet["sequences"]["n_found"] == 0
    assert spiked["vus_pr"] > quiet["vus_pr"]


def test_skab_gives_tables_figures_and_a_picture(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    options = ("--seeds", "1", "-c", "quick.yaml", "--json", "skab.json", "--plot", "skab.png")
    got = foretell("skab", *options, cwd=folder, data=folder)
    assert got.returncode == 0, got.stderr
    assert got.stderr == ""
    assert "2 experiments, 800 rows after the first 400 of each, seed 1" in got.stdout
    assert "always on, which wins this" in got.stdout
    assert (folder / "skab.png").read_bytes().startswith(b"\x89PNG")
    run = json.loads((folder / "skab.json").read_text())["seeds"][0]
    assert [file["n_changes"] for file in run["files"]] == [2, 0]
    assert all(at["scores"]["standard"] > at["blind"]["standard"] + 15 for at in run["at"] if at["level"] >= 4)
    assert run["matched"]["scores"]["standard"] > run["matched"]["blind"]["standard"] + 15


def test_parts_can_be_chosen_and_what_does_not_fit_is_told_in_a_line(folder: Path) -> None:
    got = foretell(
        "msl", "--seeds", "1", "-c", "quick.yaml", "--files", "A-*", "--commands", "0", cwd=folder, data=folder
    )
    assert "1 channels, 600 test readings" in got.stdout
    for arguments, problem in (
        (("msl", "--files", "Z-*"), "--files Z-*: fits no channel"),
        (("skab", "--files", "Z-*"), "--files Z-*: fits no experiment"),
        (("msl", "--json", "out.txt"), "names no known format"),
        (("skab", "--json", "nowhere/out.json"), "folder does not exist"),
    ):
        got = foretell(*arguments, cwd=folder, data=folder)
        assert got.returncode == 2
        assert problem in got.stderr
        assert len(got.stderr.splitlines()) == 1


@pytest.mark.parametrize("what", ["msl", "skab"])
def test_without_data_one_line_says_where_they_are_looked_for(what: str, tmp_path: Path) -> None:
    got = foretell(what, cwd=tmp_path, data=tmp_path)
    assert got.returncode == 2
    assert "FORETELL_DATA" in got.stderr
    assert len(got.stderr.splitlines()) == 1
