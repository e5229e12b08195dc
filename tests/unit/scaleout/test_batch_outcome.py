"""What a batch came to, read from the files that were written of it."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import Readings
from pipeline.core.settings import Settings
from pipeline.scaleout.envelopes import Envelope, close
from pipeline.scaleout.figures import Figures
from pipeline.scaleout.folders import Folders, check_output
from pipeline.scaleout.outcome import read_outcome, write_alerts
from pipeline.scaleout.rows import columns
from pipeline.scaleout.segments import Logged
from pipeline.scaleout.shard import Shard

SETTINGS = Settings.model_validate(
    {
        "streams": {"window_len": 128},
        "forecast": {"sharing": "fleet"},
        "detection": {"n_warmup": 100, "n_settled": 100},
    }
)


def _scored(folder: Path) -> Logged:
    """Score a stream with a step in it, and write what Spark would."""
    n = 150
    value = np.random.default_rng(1).normal(size=n)
    value[120:] += 40.0
    value[7] = np.inf
    time = 1.7e9 + np.arange(0.0, 60.0 * n, 60.0)
    readings = Readings(["pump/flow"], np.zeros(n, np.int32), time, value, np.zeros(n, np.uint8))
    logged = Logged(np.arange(100, 100 + n), time, readings)

    def none(name: str) -> None:
        raise AssertionError(name)

    shard = Shard(SETTINGS, none)  # type: ignore[arg-type]  # is never asked
    folder.mkdir(parents=True)
    for i, rows in enumerate((slice(0, 100), slice(100, n))):
        cells = columns(shard.take(close(Envelope(logged.rows(rows), float(time[-1])))), SETTINGS)
        pq.write_table(pa.table(cells), folder / f"part-{i}.parquet")
    return logged


def test_counts_alerts_and_position_are_those_of_the_batch(tmp_path: Path) -> None:
    logged = _scored(tmp_path / "batch=0")
    outcome = read_outcome(tmp_path / "batch=0")
    assert outcome.counts["accepted"] == 149
    assert outcome.counts["not_finite"] == 1
    assert (outcome.position, outcome.newest_s) == (249, logged.readings.time[-1])
    told = [json.loads(text) for text in outcome.alerts]
    assert [each["event"] for each in told][:1] == ["open"]
    assert told[0]["device"] == "pump"
    assert told[0]["stream"] == "pump/flow"
    assert told[0]["summary"]


def test_alerts_are_found_by_their_columns(tmp_path: Path) -> None:
    _scored(tmp_path / "batch=0")
    alerts = read_outcome(tmp_path / "batch=0").alerts
    write_alerts(tmp_path / "alerts", alerts)
    rows = pq.read_table(tmp_path / "alerts" / "alerts.parquet").to_pylist()
    assert [row["alert"] for row in rows] == alerts
    assert [row["episode"] for row in rows] == [json.loads(text)["episode"] for text in alerts]


def test_figures_count_what_was_scored(tmp_path: Path) -> None:
    _scored(tmp_path / "batch=0")
    outcome = read_outcome(tmp_path / "batch=0")
    figures = Figures("plant")
    figures.take(outcome)
    for _ in range(2):  # the same report twice
        figures.observe({"timestamp": "t", "numInputRows": 3, "durationMs": {"triggerExecution": 700}})
    seen = figures.snapshot()
    assert seen["scale_position"] == {(): 249.0}
    assert seen["scale_batches_total"] == {(): 1.0}
    assert dict(seen["readings_total"])[("accepted",)] == 149.0  # type: ignore[arg-type]  # is a map
    assert figures.n_alerts == sum(json.loads(text)["event"] == "open" for text in outcome.alerts) > 0


def test_scores_without_their_checkpoint_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    folders = Folders.of(SETTINGS, tmp_path)
    check_output(folders)
    folders.scores.mkdir()
    with pytest.raises(UsageError, match="holds scores, and not the checkpoint"):
        check_output(folders)
    folders.checkpoint.mkdir()
    check_output(folders)
