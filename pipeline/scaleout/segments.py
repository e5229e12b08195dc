"""The ingest log: Parquet files of decoded readings, append-only, in the order of their names.

Comes in: readings with their position in the log, or a folder. Goes out: a segment that is there whole or not at all,
or readings again. The name of a segment is the position of its first reading, so that the order of names is the
order of the log, whatever a copy did to times of files. This module refuses to know who writes and who scores.
"""

import json
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.priors import Prior
from pipeline.core.records import F64, I64, Bool, Readings
from pipeline.store.files import storage_error, sync_folder

if TYPE_CHECKING:
    import pyarrow as pa

_DIGITS = 20
_NAME = re.compile(rf"segment-(\d{{{_DIGITS}}})\.parquet")
_PARTIAL = ".tmp"
_TOLD = b"told"
_COLUMNS = ("stream", "seq", "time", "arrival", "value", "flags")
_REMEDY = "install it with: pip install 'foretell[spark]'"
_DAMAGED = "restore it from a copy, or move it out of the log and lose its readings"


@dataclass(frozen=True, slots=True)
class Logged:
    """Readings of the log.

    Attributes:
        seq: Position in the log, strictly ascending, int64, shape (N,).
        arrival: When the message arrived, Unix seconds, float64, shape (N,).
        readings: The readings, in the order of the log.
        told: What publishers said of these streams with the readings: news, which may say what is known.
    """

    seq: I64
    arrival: F64
    readings: Readings
    told: Mapping[str, Prior] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return the number of readings."""
        return len(self.seq)

    def rows(self, index: slice | I64 | Bool) -> Self:
        """Return the readings at ``index``, with the same names."""
        return type(self)(self.seq[index], self.arrival[index], self.readings.rows(index), self.told)


@dataclass(frozen=True, slots=True, order=True)
class Segment:
    """One file of the log.

    Attributes:
        first: Position of its first reading.
        path: Where it is.
    """

    first: int
    path: Path


def segment_name(first: int) -> str:
    """Return the name of the segment that begins at a position.

    Example:
        >>> segment_name(1024)
        'segment-00000000000000001024.parquet'
    """
    return f"segment-{first:0{_DIGITS}d}.parquet"


def segments(folder: Path, start: int = 0) -> list[Segment]:
    """Return the segments that begin at ``start`` or later, in the order of the log.

    Files of other names are none of ours; a folder that is not there has none.
    """
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    earliest = segment_name(start)  # names are as positions are: a long log costs little more than its listing
    fresh = sorted(name for name in names if name >= earliest)
    return [Segment(int(match[1]), folder / name) for name in fresh if (match := _NAME.fullmatch(name))]


def next_position(folder: Path) -> int:
    """Return the position that the next reading of the log gets: one after the last; 0 for an empty log.

    Raises:
        UsageError: The last segment is damaged.
    """
    found = segments(folder)
    return int(read_segment(found[-1].path).seq[-1]) + 1 if found else 0


def write_segment(folder: Path, logged: Logged) -> Path:
    """Write a segment; it is on disk, under its name, when this returns.

    Args:
        folder: The log; made if it is not there.
        logged: One reading at least, positions strictly ascending and after those of the log.

    Returns:
        Where it is.

    Raises:
        ValueError: There is no reading, or positions do not ascend.
        StoreFullError: There is no room; nothing is left behind.
        StoreError: It cannot be written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not len(logged) or logged.seq[0] < 0 or (np.diff(logged.seq) <= 0).any():
        raise ValueError("a segment needs readings whose positions ascend from 0 or more")
    path = folder / segment_name(int(logged.seq[0]))
    partial = path.with_suffix(_PARTIAL)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with partial.open("wb") as file:
            pq.write_table(pa.Table.from_batches([as_batch(logged)]), file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        sync_folder(folder)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise storage_error(folder, error) from error
    return path


def read_segment(path: Path) -> Logged:
    """Return the readings of a segment.

    Raises:
        UsageError: It is missing, damaged, or no segment.
    """
    require_pyarrow(str(path))
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, read_dictionary=["stream"]) as file:
            table = file.read(list(_COLUMNS)).combine_chunks()
        parts = table.to_batches()
        logged = from_batch(
            parts[0] if len(parts) == 1 else table.unify_dictionaries().combine_chunks().to_batches()[0]
        )
    except (pa.ArrowException, OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise _damaged(path, error) from None
    if not len(logged) or path.name != segment_name(int(logged.seq[0])) or (np.diff(logged.seq) <= 0).any():
        raise UsageError(str(path), "its positions are not those that its name says", _DAMAGED)
    return logged


def count_readings(path: Path) -> int:
    """Return how many readings a segment has, without reading them.

    Raises:
        UsageError: It is missing, damaged, or no segment.
    """
    require_pyarrow(str(path))
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def as_batch(logged: Logged) -> "pa.RecordBatch":
    """Return readings as Arrow columns: the schema of a segment."""
    import pyarrow as pa

    readings = logged.readings
    stream = pa.DictionaryArray.from_arrays(
        pa.array(readings.stream, pa.int32()), pa.array(list(readings.names), pa.string())
    )
    numbers = [
        pa.array(column) for column in (logged.seq, readings.time, logged.arrival, readings.value, readings.flags)
    ]
    batch = pa.record_batch([stream, *numbers], names=list(_COLUMNS))
    return batch.replace_schema_metadata({_TOLD: json.dumps(logged.told)}) if logged.told else batch


def from_batch(batch: "pa.RecordBatch") -> Logged:
    """Return what ``as_batch`` was given.

    Raises:
        ValueError: A number is missing, or the words beside them are none.
    """
    stream = batch.column("stream")
    if any(batch.column(name).null_count for name in _COLUMNS):
        raise ValueError("a cell is empty")
    seq, time, arrival, value, flags = (batch.column(name).to_numpy() for name in _COLUMNS[1:])
    names = stream.dictionary.to_pylist()
    return Logged(
        seq.astype(np.int64, copy=False),
        arrival.astype(np.float64, copy=False),
        Readings(
            names,
            stream.indices.to_numpy().astype(np.int32, copy=False),
            time.astype(np.float64, copy=False),
            value.astype(np.float64, copy=False),
            flags.astype(np.uint8, copy=False),
        ),
        {name: Prior(*prior) for name, prior in json.loads((batch.schema.metadata or {}).get(_TOLD, b"{}")).items()},
    )


def _damaged(path: Path, error: Exception) -> UsageError:
    problem = f"not a sound segment: {(str(error).splitlines() or [type(error).__name__])[0]}"
    return UsageError(str(path), problem, _DAMAGED)


def require_pyarrow(where: str) -> None:
    """Check that the library is installed.

    Raises:
        UsageError: It is not.
    """
    try:
        import pyarrow.parquet  # noqa: F401 - only whether it is there
    except ImportError:
        raise UsageError(where, "segments are Parquet, which needs pyarrow", _REMEDY) from None
