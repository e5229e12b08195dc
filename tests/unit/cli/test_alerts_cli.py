"""``foretell alerts``: as a user runs it, on alerts that replay would have written."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.alert_records import Alert
from pipeline.core.evidence import Evidence
from pipeline.core.records import EpisodeEvent, Event, episode_id
from pipeline.detect.explain import Spans, explanation, summary
from pipeline.sinks.alert_file import write_alerts

AT = 1772359200.0
ID = episode_id("boiler-1/pressure", AT)


def told(stream: str, opened_s: float) -> Alert:
    time = opened_s + 60.0 * np.arange(-63.0, 1.0)
    value = np.where(time > opened_s - 300, 9.0, 1.0)
    evidence = Evidence(time, value, np.ones(64), np.zeros(64), np.full(64, 2.0))
    event = EpisodeEvent(
        Event.OPEN,
        stream,
        episode_id(stream, opened_s),
        opened_s,
        opened_s,
        6.0,
        opened_s,
        9.0,
        1.0,
        0.0,
        2.0,
        5.0,
        "next_reading",
        onset_s=opened_s - 240,
        odds=4e4,
        severity="major",
        evidence=evidence,
    )
    device = stream.partition("/")[0]
    return Alert(event, device, "1" * 16, (), summary(event, Spans()), explanation(event, Spans()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with alerts.jsonl: one episode that closed, one that is open."""
    first = told("boiler-1/pressure", AT)
    closing = replace(first.event, event=Event.CLOSE, at_s=AT + 3600, reason="quiet")
    second = told("tank/level", AT + 600)
    write_alerts(tmp_path / "alerts.jsonl", [first, second, replace(first, event=closing)], "home")
    return tmp_path


def foretell(*arguments: str, cwd: Path, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-c", "from pipeline.cli.main import main; main()", "alerts", *arguments]
    return subprocess.run(command, cwd=cwd, input=given, capture_output=True, text=True, check=False)


def test_the_list_has_a_line_per_episode(folder: Path) -> None:
    got = foretell("list", "--from", "alerts.jsonl", cwd=folder)
    assert (got.returncode, got.stderr) == (0, "")
    lines = [line.split() for line in got.stdout.splitlines() if line.strip()]
    assert lines[0] == ["id", "stream", "opened", "lasted", "severity", "what"]
    assert lines[2][:6] == [ID, "boiler-1/pressure", "2026-03-01", "10:00", "1", "h"]
    assert lines[3][1:6] == ["tank/level", "2026-03-01", "10:10", "still", "open"]
    assert len(lines) == 4


def test_one_is_shown_in_words_and_drawn(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    got = foretell("show", ID[:8], "--from", "alerts.jsonl", "--plot", "one.png", cwd=folder)
    assert (got.returncode, got.stderr) == (0, "")
    assert "boiler-1/pressure  major" in got.stdout
    assert "The reading was not as foretold." in got.stdout
    assert "▲ " in got.stdout or " ▲" in got.stdout
    assert "░" in got.stdout
    assert (folder / "one.png").read_bytes().startswith(b"\x89PNG")


def test_the_same_alert_gives_the_same_picture(folder: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("one.png", "two.png"):
        foretell("show", ID, "--from", "alerts.jsonl", "--plot", name, cwd=folder)
    assert (folder / "one.png").read_bytes() == (folder / "two.png").read_bytes()


def test_alerts_that_arrive_are_shown_one_by_one(folder: Path) -> None:
    lines = (folder / "alerts.jsonl").read_text().splitlines()
    given = f"foretell/home/alert/boiler-1/pressure {lines[0]}\nnoise\n{lines[1]}\n"
    got = foretell("show", "-", cwd=folder, given=given)
    assert got.returncode == 0
    assert got.stdout.index("boiler-1/pressure") < got.stdout.index("tank/level")
    listed = foretell("list", "--from", "-", cwd=folder, given=given)
    assert listed.stdout.count("major") == 2
    assert listed.stderr == "foretell: left out 1 line that holds no alert\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["list"],
            "foretell: --from: is missing; give a file that replay --alerts wrote, - for the standard input, or the ",
        ),
        (["list", "--from", "none.jsonl"], "foretell: none.jsonl: no such file; check the path"),
        (["list", "--from", "empty.jsonl"], "foretell: empty.jsonl: holds no alerts; write them with: "),
        (
            ["show", "ffffffff", "--from", "alerts.jsonl"],
            "foretell: ID ffffffff: no alert has this id; the nearest are: ",
        ),
        (["show", "tank/level", "--from", "alerts.jsonl"], "foretell: ID tank/level: is no episode but has some; "),
        (
            ["show", ID, "--from", "alerts.jsonl", "--plot", "x.jpg"],
            "foretell: --plot x.jpg: the suffix names no known ",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_2(folder: Path, arguments: list[str], message: str) -> None:
    (folder / "empty.jsonl").write_text("\n")
    got = foretell(*arguments, cwd=folder)
    assert got.returncode == 2
    assert got.stderr.startswith(message)
    assert got.stderr.count("\n") == 1
