"""The picture: that it is drawn, of what, and with the same bytes."""

import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import Outcome, Readings, Steps
from pipeline.sinks.chart import check_chart_file, strongest_stream, write_chart

pytest.importorskip("matplotlib")
PNG = b"\x89PNG\r\n\x1a\n"


def two_streams(n: int = 50) -> tuple[Readings, Steps]:
    """Stream "calm" scores highest once, but only "pump" has an episode."""
    stream = np.tile(np.array([0, 1], np.int32), n)
    time = np.repeat(1.4e9 + 60.0 * np.arange(n), 2)
    readings = Readings(["calm", "pump"], stream, time, np.sin(time / 900), np.zeros(2 * n, np.uint8))
    steps = Steps.blank(2 * n)
    steps.forecast[:] = readings.value
    steps.lower[:], steps.upper[:] = readings.value - 1, readings.value + 1
    steps.score[:], steps.level[:] = 0.5, 4.5
    steps.score[20], steps.score[41] = 9.0, 6.0
    steps.opened[41:51:2] = time[41]
    return readings, steps


def test_the_strongest_stream_is_the_one_with_the_strongest_episode() -> None:
    readings, steps = two_streams()
    assert strongest_stream(readings, steps) == "pump"
    steps.opened[:] = np.nan
    assert strongest_stream(readings, steps) == "calm"
    steps.score[:] = np.nan
    assert strongest_stream(readings, steps) == "calm"


def test_the_same_steps_give_the_same_picture(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_chart(tmp_path / name, *two_streams(), "pump")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.png").read_bytes().startswith(PNG)


def test_a_stream_without_scores_is_drawn_too(tmp_path: Path) -> None:
    readings, _ = two_streams()
    steps = Steps.blank(len(readings))
    write_chart(tmp_path / "warming.png", readings, steps, "calm")
    steps.outcome[:] = Outcome.LATE
    write_chart(tmp_path / "nothing.png", readings, steps, "calm")
    assert (tmp_path / "nothing.png").read_bytes().startswith(PNG)


def test_a_long_stream_is_cut_around_its_peak(tmp_path: Path) -> None:
    write_chart(tmp_path / "long.png", *two_streams(2000), "pump")
    assert (tmp_path / "long.png").read_bytes().startswith(PNG)


def test_only_png_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"end it in \.png"):
        check_chart_file(tmp_path / "out.svg")


def test_a_missing_matplotlib_is_refused_with_the_line_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UsageError, match=r"pip install 'foretell\[plot\]'"):
        check_chart_file(tmp_path / "out.png")
