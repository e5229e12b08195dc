"""Recordings: a file of readings that somebody kept.

Comes in: the path of a CSV, JSON lines or Parquet file. Goes out: its readings in file order, and
how many rows could not be read, with the first example of each kind. The whole file is held as
columns (21 bytes a reading). Refuses to know what the readings mean or who scores them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import UsageError
from pipeline.core.priors import Prior
from pipeline.core.records import F64, I64, Readings
from pipeline.sources.recording_assembly import Assembler
from pipeline.sources.recording_names import recording_labels
from pipeline.sources.recording_parquet import PARQUET_MAGIC, parquet_chunks
from pipeline.sources.recording_table import BadRows, Chunk, Problems
from pipeline.sources.recording_text import csv_chunks, json_chunks

JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True, slots=True)
class Came:
    """How the readings of a recording of messages came.

    Attributes:
        arrival_s: When each arrived, Unix seconds, shape (N,).
        message: Number of the message that held it, ascending, shape (N,).
        told: What publishers said of streams, each with the row of the first reading after it.
    """

    arrival_s: F64
    message: I64
    told: Sequence[tuple[int, Mapping[str, Prior]]] = ()


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file held.

    Attributes:
        path: The file, as the user named it.
        readings: Its readings in file order; the columns of one row follow each other.
        bad: Rows, cells or messages that were left out, by reason.
        came: How its readings came; None where only their event times are known.
    """

    path: str
    readings: Readings
    bad: Mapping[str, BadRows]
    came: Came | None = None


def read_recording(path: Path, label: str | None = None) -> Recording:
    """Read a recording of any supported kind; separators, times and layout are recognised.

    One value column is one stream named ``label``; several are ``label/column``; a column that
    names streams (``stream``, ``sensor``, ``device``, ...) makes one stream per name in it. A naive
    time is UTC; an epoch's unit follows from its magnitude. An empty cell or NaN beside other value
    columns is no reading; in a file of one value column it stays, as a reading that is not finite.

    Args:
        path: A regular file.
        label: Stream name of the file; its stem when None. See ``recording_labels`` for many files.

    Returns:
        Readings in file order, and what was left out.

    Raises:
        UsageError: No such file, unreadable, not text and not Parquet, no time column, no numeric
            column, or no readable row; the message names file, line and remedy.
    """
    problems = Problems(str(path))
    try:
        _refuse_irregular(path)
        assembler = Assembler(str(path), label or recording_labels([path])[0], problems)
        for chunk in _chunks(path, problems):
            assembler.add(chunk)
        readings = assembler.finish()
    except OSError as error:
        raise UsageError(str(path), error.strerror or str(error), "check the path and its permissions") from None
    return Recording(str(path), readings, problems.counts)


def _refuse_irregular(path: Path) -> None:
    """Refuse what cannot be read to an end, or at all."""
    if path.is_dir():
        raise UsageError(str(path), "is a directory", "name the files in it, for example with *.csv")
    if not path.exists():
        raise UsageError(str(path), "no such file", "check the path")
    if not path.is_file():
        raise UsageError(str(path), "is not a regular file", "save the recording to a file first")


def _chunks(path: Path, problems: Problems) -> Iterator[Chunk]:
    """Choose the reader by what the file starts with, then by its suffix."""
    with path.open("rb") as file:
        head = file.read(1024)
    if head.startswith(PARQUET_MAGIC) or path.suffix.lower() == ".parquet":
        return parquet_chunks(path)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if path.suffix.lower() in JSON_SUFFIXES or text.startswith(b"{"):
        return json_chunks(path, problems)
    return csv_chunks(path, problems)
