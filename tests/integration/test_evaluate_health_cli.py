"""The command ``foretell evaluate health``, as a user runs it."""

import json
import subprocess
import sys
from pathlib import Path


def foretell(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", "from pipeline.cli.main import main; main()", "evaluate", "health"]
    return subprocess.run([*command, *arguments], cwd=cwd, capture_output=True, text=True, check=False)


def test_it_prints_and_writes_figures_of_the_kinds_asked_for(tmp_path: Path) -> None:
    run = foretell(
        "--streams", "2", "--faulty", "1", "--days", "6", "--kinds", "white", "--json", "out.json", cwd=tmp_path
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert "1 kinds, 2 clean streams, 12 stream-days; false verdicts: none; seed 1" in run.stdout
    document = json.loads((tmp_path / "out.json").read_text())
    assert [row["kind"] for row in document["clean"]] == ["white"]
    assert {row["fault"] for row in document["broken"]} == {"stuck", "noise_up", "noise_down", "unit"}


def test_an_unknown_kind_is_one_line(tmp_path: Path) -> None:
    run = foretell("--kinds", "pink", cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr.startswith("foretell: --kinds: pink is none of them; name some of constant, quantised")
