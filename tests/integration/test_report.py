"""``foretell replay --report``: one file that a browser shows without asking anybody."""

import json
import math
import random
import re
from pathlib import Path

import numpy as np
import pytest
from chromium import Browser
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.core.records import Readings, Steps
from pipeline.core.settings import Settings
from pipeline.runtime.replay import ReplayResult
from pipeline.web import report
from pipeline.web.report import report_data, report_html

N, FAULT = 480, slice(440, 460)


def recording(folder: Path) -> Path:
    """Write a wide recording of two sensors, one of which has a fault."""
    noise = random.Random(1)  # noqa: S311 - a seeded signal, not a secret
    lines = ["timestamp,oil,shaft"]
    for i in range(N):
        oil = 20 + 2 * math.sin(i / 20) + noise.gauss(0, 0.1) + (8.0 if i in range(N)[FAULT] else 0.0)
        lines.append(f"{1772359200 + 60 * i},{oil:.4f},{40 + noise.gauss(0, 0.1):.4f}")
    file = folder / "press.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def data_of(html: str) -> dict[str, object]:
    match = re.search(r'<script id="data" type="application/json">(.*?)</script>', html, re.DOTALL)
    assert match is not None
    return dict(json.loads(match[1]))


def test_a_report_shows_readings_band_scores_and_the_episode(tmp_path: Path, browser: Browser, axe: str) -> None:
    file = tmp_path / "report.html"
    config = tmp_path / "quick.yaml"
    config.write_text("training: {enabled: false}\n")
    done = CliRunner().invoke(app, ["replay", str(recording(tmp_path)), "--report", str(file), "-c", str(config)])
    assert done.exit_code == 0, done.output
    browser.look(1280, 800)
    browser.open(file.as_uri())
    browser.wait_for("document.querySelectorAll('.stream .spark-line').length === 2")
    assert browser.run("document.querySelectorAll('.episode').length") == 1
    assert browser.run("document.getElementById('detail-title').textContent") == "press/oil"
    assert browser.run("document.querySelectorAll('#chart canvas').length") == 2
    browser.run("document.querySelector('.episode .link').click()")
    low, high = browser.run("(({min, max}) => [min, max])(Foretell.shown.plots[1].scales.x)")
    first, last = 1772359200.0, 1772359200.0 + 60 * N
    assert first < low < first + 60 * FAULT.start < high < last + 3700
    assert browser.serious_faults(axe) == []
    browser.look(390, 844, is_dark=True, is_phone=True)
    browser.wait_for("document.documentElement.dataset.theme === 'dark'")
    assert browser.run("document.documentElement.scrollWidth") <= 390
    assert browser.serious_faults(axe) == []
    assert browser.complaints == []
    assert [url for url in browser.requests if not url.startswith(("file:", "about:"))] == []


def result_of(names: list[str], n: int) -> ReplayResult:
    """Return a replay in which nothing was foretold."""
    stream = np.tile(np.arange(len(names), dtype=np.int32), n)
    time = np.repeat(np.arange(float(n)), len(names))
    readings = Readings(names, stream, time, np.sin(time), np.zeros(len(time), np.uint8))
    return ReplayResult(readings, Steps.blank(len(time)), [], {}, {})


def test_no_name_and_no_text_can_begin_a_tag() -> None:
    hostile = "</script><script>alert(1)</script>&@SCRIPT@@DATA@"
    html = report_html(report_data(result_of([hostile], 3), Settings(), hostile))
    assert "<script>alert" not in html
    assert html.count("</script>") == 2
    data = data_of(html)
    assert data["summary"] == hostile


def test_the_policy_names_the_scripts_that_are_there() -> None:
    html = report_html(report_data(result_of(["a"], 3), Settings(), ""))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert policy[1].count("sha256-") == 2
    assert policy[1].startswith("default-src 'none'")
    assert "unsafe" not in policy[1]


def test_long_recordings_are_thinned_and_many_streams_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_ROWS", 400)
    monkeypatch.setattr(report, "MAX_STREAMS", 2)
    data = report_data(result_of(["a", "b", "c"], 1000), Settings(), "")
    assert [(stream["name"], stream["n"]) for stream in data["streams"]] == [("a", 1000), ("b", 1000)]
    assert all(100 < len(stream["data"]["time"]) <= 200 for stream in data["streams"])
    assert data["n_left_out"] == 1


def test_a_recording_is_never_replaced_and_the_suffix_counts(tmp_path: Path) -> None:
    file = recording(tmp_path)
    for name in (file, tmp_path / "report.pdf"):
        done = CliRunner().invoke(app, ["replay", str(file), "--report", str(name)])
        assert done.exit_code != 0
    assert file.read_text().startswith("timestamp")
