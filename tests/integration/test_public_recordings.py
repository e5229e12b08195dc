"""Replay of public labelled recordings: every row once and in order, and labelled windows are met."""

import csv
import json
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

N_FILES, N_ROWS = 7, 69_561
N_MET = 5  # of the seven files, at least


@pytest.fixture(scope="module")
def nab(data_dir: Path) -> Path:
    return data_dir / "nab"


@pytest.fixture(scope="module")
def scores(nab: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """What ``foretell replay`` says of the seven recordings with a known cause, by stream."""
    files = sorted((nab / "data" / "realKnownCause").glob("*.csv"))
    assert len(files) == N_FILES
    out = tmp_path_factory.mktemp("scores") / "scores.csv"
    program = [sys.executable, "-c", "from pipeline.cli.main import main; main()"]
    command = [*program, "replay", *map(str, files), "--scores", str(out)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    with out.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            rows[row["stream"]].append(row)
    return dict(rows)


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_every_row_of_seven_recordings_comes_out_once_and_in_order(
    nab: Path, scores: dict[str, list[dict[str, str]]]
) -> None:
    assert sum(map(len, scores.values())) == N_ROWS
    for path in (nab / "data" / "realKnownCause").glob("*.csv"):
        with path.open(encoding="utf-8") as file:
            expected = [(seconds(row["timestamp"]), float(row["value"])) for row in csv.DictReader(file)]
        found = [(seconds(row["timestamp"]), float(row["value"])) for row in scores[path.stem]]
        assert [time for time, _ in found] == [time for time, _ in expected]
        assert [value for _, value in found] == pytest.approx([value for _, value in expected], rel=1e-8)


def test_an_episode_overlaps_a_labelled_window_in_most_recordings(
    nab: Path, scores: dict[str, list[dict[str, str]]]
) -> None:
    labels = json.loads((nab / "labels" / "combined_windows.json").read_text(encoding="utf-8"))
    met = []
    for stream, rows in scores.items():
        windows = [(seconds(a[:19]), seconds(b[:19])) for a, b in labels[f"realKnownCause/{stream}.csv"]]
        inside = [seconds(row["timestamp"]) for row in rows if row["episode"]]
        if any(start <= time <= end for time in inside for start, end in windows):
            met.append(stream)
    assert len(met) >= N_MET, met


def test_the_shown_forecast_beats_persistence_and_its_interval_holds(scores: dict[str, list[dict[str, str]]]) -> None:
    ratios, covered = [], []
    for rows in scores.values():
        told = [row for row in rows if row["forecast"] and row["lower"]]
        value, forecast, lower, upper = (
            np.array([float(row[name]) for row in told]) for name in ("value", "forecast", "lower", "upper")
        )
        ratios.append(np.abs(value - forecast)[1:].mean() / np.abs(np.diff(value)).mean())
        covered.append(((lower <= value) & (value <= upper)).mean())
    assert sum(ratio < 1 for ratio in ratios) >= N_FILES - 1, ratios
    assert max(ratios) < 1.03, ratios
    assert min(covered) > 0.97, covered
    assert np.median(ratios) < 0.9
