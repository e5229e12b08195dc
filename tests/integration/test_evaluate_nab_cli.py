"""The command ``foretell evaluate nab``, as a user runs it, on a corpus of two made-up files."""

import csv
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.settings import Settings
from pipeline.evaluate import nab_run
from pipeline.evaluate.nab_corpus import read_nab
from pipeline.evaluate.nab_run import Setup, run_seed, run_seeds, run_setups

N, START_S, STEP_S = 900, 1_400_030_400, 300
FAULT = range(700, 760)
PROFILES = {
    name: {"CostMatrix": {"tpWeight": 1.0, "fpWeight": fp, "fnWeight": fn, "tnWeight": 1.0}}
    for name, fp, fn in (("standard", 0.11, 1.0), ("reward_low_FP_rate", 0.22, 1.0), ("reward_low_FN_rate", 0.11, 2.0))
}


def foretell(*arguments: str | Path, cwd: Path, data: Path) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-W", "error", "-c", "from pipeline.cli.main import main; main()", "evaluate", "nab"]
    environment = os.environ | {"FORETELL_DATA": str(data)}
    return subprocess.run(
        [*program, *map(str, arguments)], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def utc(row: int) -> str:
    return datetime.fromtimestamp(START_S + STEP_S * row, UTC).strftime("%Y-%m-%d %H:%M:%S")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wave that stands still at another level for a while, which is labelled, and noise without a fault."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(1)
    wave = 50 + 5 * np.sin(np.arange(N) / 8) + 0.3 * rng.standard_normal(N)
    wave[FAULT.start : FAULT.stop] = 90
    nab = folder / "data" / "nab"
    for name, values in (("made/wave", wave), ("made/noise", rng.standard_normal(N))):
        path = nab / "data" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("timestamp,value\n" + "".join(f"{utc(i)},{v!r}\n" for i, v in enumerate(values.tolist())))
    (nab / "labels").mkdir()
    window = [utc(FAULT.start - 10), utc(FAULT.stop)]
    (nab / "labels" / "combined_windows.json").write_text(json.dumps({"made/wave.csv": [window], "made/noise.csv": []}))
    (nab / "profiles.json").write_text(json.dumps(PROFILES))
    (nab / "published_scores").mkdir()
    perfect = np.isin(np.arange(N), [FAULT.start - 10]).astype(float)
    scores: dict[str, Any] = {"made/wave.csv": perfect, "made/noise.csv": np.zeros(N)}
    np.savez(nab / "published_scores" / "oracle.npz", **scores)
    (folder / "quick.yaml").write_text("training: {steps: 1, every: 96}\n")
    return folder


def test_a_run_gives_tables_figures_a_picture_and_results_for_nabs_own_scorer(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    options = ("--seeds", "2", "-c", "quick.yaml", "--json", "out.json", "--plot", "out.png", "--results", "results")
    done = foretell(*options, cwd=folder, data=folder / "data")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for text in ("made/wave.csv", "reward_low_FP_rate", "oracle", "2 seeds", "on the other half"):
        assert text in done.stdout
    found = json.loads((folder / "out.json").read_text())
    standard = found["profiles"]["standard"]
    assert [run["n_met"] for run in standard["best"]["by_seed"]] == [1, 1]
    assert standard["best"]["worst"] > 80
    assert found["published"]["oracle"]["standard"]["score"] == pytest.approx(100)
    assert (folder / "out.png").read_bytes().startswith(b"\x89PNG")

    written = folder / "results" / "foretellStandard" / "made" / "foretellStandard_wave.csv"
    with written.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == N
    alerts = [i for i, row in enumerate(rows) if row["anomaly_score"] == "1.0"]
    assert any(FAULT.start <= i < FAULT.stop for i in alerts)


def test_published_detectors_are_scored_without_a_run(folder: Path) -> None:
    done = foretell("--published", "--json", "published.json", cwd=folder, data=folder / "data")
    assert done.returncode == 0, done.stderr
    assert "oracle" in done.stdout
    assert "by seed" not in done.stdout
    assert json.loads((folder / "published.json").read_text())["published"]["oracle"]["standard"]["n_met"] == 1


def test_an_ablation_has_a_row_for_every_part_and_the_default_scores_as_it_does_alone(folder: Path) -> None:
    options = ("--files", "wave", "-c", "quick.yaml", "--json")
    done = foretell("--ablation", *options, "ablation.json", cwd=folder, data=folder / "data")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for text in ("without level", "nothing but the vote", "one network per stream", "trifles count", "| difference |"):
        assert text in done.stdout
    found = json.loads((folder / "ablation.json").read_text())
    assert found["seeds"] == [1]
    parts = {row["part"] for row in found["variants"]}
    assert parts == {"all", "views", "networks", "floors", "quarantine", "rests"}
    default = found["variants"][0]["profiles"]["standard"]
    assert default["difference"] == 0
    assert default["n_met"] == [1]

    alone = foretell("--seeds", "1", *options, "alone.json", cwd=folder, data=folder / "data")
    assert alone.returncode == 0, alone.stderr
    (run,) = json.loads((folder / "alone.json").read_text())["profiles"]["standard"]["best"]["by_seed"]
    assert (default["score"], default["level"]) == ([run["score"]], [run["level"]])


def test_a_run_keeps_what_every_view_saw_only_when_asked_and_their_largest_is_the_score(folder: Path) -> None:
    files = read_nab(folder / "data" / "nab", ["wave"], pytest.fail)
    settings = Settings.model_validate({"forecast": {"sharing": "stream"}, "training": {"enabled": False}})
    runs = run_setups(files.recordings, {key: Setup(settings, has_views=key) for key in (True, False)}, lambda *_: None)
    (seen,), (bare,) = runs[True], runs[False]
    assert bare.views is None
    assert seen.views is not None
    np.testing.assert_array_equal(seen.score, bare.score)
    np.testing.assert_allclose(seen.views.max(axis=1), seen.score, rtol=1e-6)
    assert np.isnan(seen.views[0]).all()


def test_wrong_usage_is_told_in_one_line_before_the_long_work(folder: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (("--files", "nothing"), "--files nothing: fits no labelled file"),
        (("--json", "out.txt"), "--json out.txt: the suffix names no known format"),
        (("--ablation", "--plot", "out.png"), "--ablation: has a table and --json only"),
    ):
        done = foretell(*arguments, cwd=folder, data=folder / "data")
        assert done.returncode == 2
        assert done.stderr.startswith(f"foretell: {message}")
        assert done.stderr.count("\n") == 1
    done = foretell(cwd=folder, data=tmp_path)
    assert done.returncode == 2
    assert "set FORETELL_DATA" in done.stderr


def test_a_run_parted_by_files_gives_the_scores_of_a_whole_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nab_run, "n_processors", lambda: 2)
    files = read_nab(folder / "data" / "nab", [], pytest.fail)
    settings = Settings.model_validate({"forecast": {"sharing": "stream"}, "training": {"steps": 1, "every": 96}})
    told: list[int] = []
    runs = run_seeds(files.recordings, settings, [1], lambda _, n: told.append(n))
    assert sum(told) == 2 * N
    for parted, whole in zip(runs[1], run_seed(files.recordings, settings, 1, lambda _: None), strict=True):
        np.testing.assert_array_equal(parted.value, whole.value)
        np.testing.assert_allclose(parted.score, whole.score, rtol=0, atol=1e-6)  # rounding: vectors of other lengths


def test_processes_give_the_scores_that_one_run_gives_and_tell_how_far_they_are(folder: Path) -> None:
    files = read_nab(folder / "data" / "nab", ["wave"], pytest.fail)
    settings = Settings.model_validate({"forecast": {"sharing": "stream"}, "training": {"steps": 1, "every": 96}})
    told: dict[int, int] = {}

    def count(seed: int, n: int) -> None:
        told[seed] = told.get(seed, 0) + n

    runs = run_seeds(files.recordings, settings, [1, 2], count)
    assert told == {1: N, 2: N}
    (alone,) = run_seed(files.recordings, settings, 2, lambda _: None)
    np.testing.assert_array_equal(runs[2][0].score, alone.score)
    assert not np.array_equal(runs[1][0].score, alone.score, equal_nan=True)
    assert alone.is_accepted.all()
