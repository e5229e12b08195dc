"""What a batch came to, read from the scores that Spark wrote of it: counts, alerts, and how far it went.

Comes in: a folder of Parquet files. Goes out: figures, and the batch's alerts as a file of their own. What is written
is a function of the batch alone, so a batch that is run again writes the same again.
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.records import Outcome
from pipeline.store.files import write_file

_ALERT_KEYS = ("stream", "episode", "event", "at", "opened_at", "severity", "peak_score", "view", "device")


@dataclass(frozen=True, slots=True)
class BatchOutcome:
    """What a batch came to.

    Attributes:
        counts: Readings by outcome name.
        alerts: JSON of the episodes that opened or closed, in the order of the log.
        position: Of the last reading; -1 for an empty batch.
        newest_s: Newest event time, Unix seconds; NaN for an empty batch.
    """

    counts: Counter[str]
    alerts: list[str]
    position: int
    newest_s: float


def read_outcome(folder: Path) -> BatchOutcome:
    """Return what a batch came to, from its scores."""
    import pyarrow.parquet as pq

    counts: Counter[str] = Counter()
    alerts: list[tuple[int, str]] = []
    position, newest_s = -1, float("nan")
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path, columns=["seq", "outcome", "alert", "timestamp"], partitioning=None)
        if not table.num_rows:
            continue
        codes = np.bincount(table["outcome"].to_numpy(), minlength=len(Outcome))
        counts.update({outcome.name.lower(): int(codes[outcome]) for outcome in Outcome})
        seq = table["seq"].to_numpy()
        position = max(position, int(seq.max()))
        newest_s = np.fmax(newest_s, table["timestamp"].cast("int64").to_numpy().max() / 1e6)
        told = table["alert"]
        rows = np.flatnonzero(told.is_valid().to_numpy())
        alerts += zip(seq[rows].tolist(), told.take(rows).to_pylist(), strict=True)
    return BatchOutcome(counts, [text for _, text in sorted(alerts)], position, float(newest_s))


def write_alerts(folder: Path, alerts: list[str]) -> None:
    """Write a batch's alerts as Parquet: what one looks for in columns, and the JSON as it is published."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parsed: list[dict[str, Any]] = [json.loads(text) for text in alerts]
    cells: dict[str, Any] = {
        key: pa.array([row[key] for row in parsed], pa.float64() if key == "peak_score" else pa.string())
        for key in _ALERT_KEYS
    }
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(cells | {"alert": pa.array(alerts, pa.string())}), sink, compression="zstd")
    write_file(folder / "alerts.parquet", bytes(sink.getvalue()))
