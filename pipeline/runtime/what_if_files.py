"""The files of ``foretell what-if``: scores that replay wrote, or recordings that are replayed once.

Comes in: paths that the user gave. Goes out: scored readings, or one clear line about what cannot be read. Refuses to
know what is decided.
"""

import csv
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, Event
from pipeline.runtime.what_if import Scored
from pipeline.sinks.scores import COLUMNS

_NEEDED = ("stream", "timestamp", "score", "level", "event", "health")
_EVENTS = {"": Event.NONE, "open": Event.OPEN, "close": Event.CLOSE}
_STUCK = "stuck"
_Row = tuple[str, float, float, float, int, bool]


def is_scores_file(path: Path) -> bool:
    """Say whether a file holds scores: its columns are those that ``replay --scores`` writes."""
    try:
        return _columns(path) == list(COLUMNS)
    except (OSError, ValueError):
        return False


def read_scores(paths: Sequence[Path]) -> Scored:
    """Read scores files; equal names of streams are one stream.

    Args:
        paths: CSV or Parquet files with the columns of ``replay --scores``.

    Raises:
        UsageError: A file cannot be read, or a row makes no sense; the message names file and line.
    """
    rows: list[_Row] = []
    for path in paths:
        rows.extend(row for row in _rows(path) if not math.isnan(row[3]))  # what was not accepted has no level
    return _scored(rows)


def _rows(path: Path) -> Iterator[_Row]:
    """Yield the rows of a file."""
    try:
        cells = _parquet_cells(path) if path.suffix.lower() == ".parquet" else _csv_cells(path)
        for number, row in enumerate(cells, 2):
            try:
                yield _row(row)
            except (ValueError, KeyError, TypeError, OverflowError):
                remedy = "give a file that replay --scores wrote"
                raise UsageError(f"{path}:{number}", "is no row of scores", remedy) from None
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise UsageError(str(path), f"cannot be read ({error})", "give a file that replay --scores wrote") from None


def _row(cells: Sequence[Any]) -> _Row:
    """Turn the needed cells of a row into values."""
    stream, at, score, level, event, health = cells
    moment = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    time_s = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return stream, time_s, _number(score), _number(level), _EVENTS[event or ""], _STUCK in (health or "").split("|")


def _number(cell: object) -> float:
    """Return a finite number, or NaN for an empty cell."""
    if cell is None or cell == "":
        return math.nan
    number = float(cell)  # type: ignore[arg-type]  # text or number; anything else is a TypeError
    if not math.isfinite(number):
        raise ValueError(number)
    return number


def _csv_cells(path: Path) -> Iterator[Sequence[str]]:
    """Yield the needed cells of each row of a CSV file."""
    at = [COLUMNS.index(name) for name in _NEEDED]
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        next(reader, None)
        for row in reader:
            yield [row[i] for i in at] if len(row) == len(COLUMNS) else []


def _parquet_cells(path: Path) -> Iterable[Sequence[Any]]:
    """Yield the needed cells of each row of a Parquet file."""
    import pyarrow.parquet as pq

    batches = pq.ParquetFile(path).iter_batches(columns=list(_NEEDED))
    return chain.from_iterable(
        zip(*(batch.column(name).to_pylist() for name in _NEEDED), strict=True) for batch in batches
    )


def _columns(path: Path) -> list[str]:
    """Return the column names of a CSV or Parquet file.

    Raises:
        OSError: It cannot be read.
        ValueError: It is neither.
    """
    if path.suffix.lower() == ".parquet":
        import pyarrow.parquet as pq

        return list(pq.read_schema(path).names)
    with path.open("rb") as file:
        return file.readline(1000).decode("utf-8").strip().split(",")


def _scored(rows: list[_Row]) -> Scored:
    """Put rows into columns, by stream and time."""
    ids: dict[str, int] = {}
    stream = np.array([ids.setdefault(row[0], len(ids)) for row in rows], np.int32)
    columns: list[F64] = [np.array([row[i] for row in rows], np.float64) for i in (1, 2, 3)]
    event = np.array([row[4] for row in rows], np.int64)
    is_stuck = np.array([row[5] for row in rows], np.bool_)
    order = np.lexsort((columns[0], stream))
    time, score, level = (column[order] for column in columns)
    return Scored(list(ids), stream[order], time, score, level, is_stuck[order], event[order])
