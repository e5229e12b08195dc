"""CSV and JSON lines to table chunks.

Comes in: a path. Goes out: ``Chunk`` after ``Chunk``, with rows that do not fit counted. Lines are
bounded and must be UTF-8; nothing else is believed about the file. Refuses to know which column is
which.
"""

import csv
import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from math import isnan
from pathlib import Path

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.sources.recording_cells import is_missing, numbers, time_format
from pipeline.sources.recording_names import distinct
from pipeline.sources.recording_table import CHUNK_CELLS, Cell, Chunk, Problems

MAX_LINE_BYTES = 1 << 20
SEPARATORS = (";", "\t", "|", ",")
UTF8_MARK = b"\xef\xbb\xbf"
#: Lines by which the separator is found.
HEAD_LINES = 20


def text_lines(path: Path) -> Iterator[str]:
    """Yield the lines of a text file, line ends included.

    Raises:
        UsageError: A line is too long, binary or not UTF-8; the message names line and column.
    """
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(MAX_LINE_BYTES):
            number += 1
            if b"\0" in raw:
                remedy = "give CSV, JSON lines or Parquet, uncompressed; text as UTF-8"
                raise UsageError(f"{path}:{number}", "binary data, not text", remedy)
            if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                problem = f"line of more than {MAX_LINE_BYTES} bytes"
                raise UsageError(f"{path}:{number}", problem, "check that this is a recording with line ends")
            yield _decoded(raw.removeprefix(UTF8_MARK) if number == 1 else raw, f"{path}:{number}")


def _decoded(raw: bytes, where: str) -> str:
    """Decode one line, or say which byte is wrong."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        problem = f"byte 0x{raw[error.start]:02x} in column {error.start + 1} is not UTF-8"
        raise UsageError(where, problem, "save the file as UTF-8 text") from None


def csv_chunks(path: Path, problems: Problems) -> Iterator[Chunk]:
    """Read a CSV file; the separator and whether it has a header are found from its first lines.

    Raises:
        UsageError: Not text, or too many columns.
    """
    lines = text_lines(path)
    head = list(islice(lines, HEAD_LINES))
    separator = _separator(head)
    rows = _csv_rows(chain(head, lines), separator, problems)
    first = next(rows, None)
    if first is None:
        return
    problems.refuse_width(len(first[1]), first[0])
    is_headed = _is_header(first[1])
    if not is_headed:
        rows = chain([first], rows)
    words = [cell.strip() if is_headed else "" for cell in first[1]]
    names = distinct(word or f"column_{i}" for i, word in enumerate(words, 1))
    unnamed = frozenset(name for name, word in zip(names, words, strict=True) if is_headed and not word)
    while batch := list(islice(rows, max(1, CHUNK_CELLS // len(names)))):
        fitting = [row for row in batch if len(row[1]) == len(names)]
        _note_misfits(batch, len(names), problems)
        if fitting:
            columns: list[list[Cell]] = [list(cells) for cells in zip(*(cells for _, cells in fitting), strict=True)]
            numbered = np.array([line for line, _ in fitting], np.int64)
            yield Chunk(dict(zip(names, columns, strict=True)), numbered, is_headed, unnamed, separator != ",")


def _csv_rows(lines: Iterable[str], separator: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and cells of each row that is not blank."""
    reader = csv.reader(lines, delimiter=separator)
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.add("unreadable row", reader.line_num, str(error))
            continue
        if row:
            yield reader.line_num, row


def _note_misfits(batch: list[tuple[int, list[str]]], n_columns: int, problems: Problems) -> None:
    """Count the rows with a wrong number of cells."""
    for line, cells in batch:
        if len(cells) != n_columns:
            problems.add("wrong number of cells", line, f"{len(cells)} cells where {n_columns} are named")


def _separator(head: list[str]) -> str:
    """Choose the separator that cuts most of the first lines into as many cells as the first of them.

    Of equals the comma is last: it may be a decimal comma.
    """
    return max(SEPARATORS, key=lambda separator: _agreement(head, separator))


def _agreement(head: list[str], separator: str) -> int:
    """Count the lines that have as many cells, more than one, as the first line."""
    try:
        counts = [len(row) for row in csv.reader(head, delimiter=separator) if row]
    except csv.Error:
        return 0
    return sum(n == counts[0] for n in counts) if counts and counts[0] > 1 else 0


def _is_header(cells: list[str]) -> bool:
    """Tell whether a first row holds names: no ISO 8601 time, and not only numbers."""
    if any(time_format([cell]) == 0.0 for cell in cells):
        return False
    filled: list[Cell] = [cell for cell in cells if not is_missing(cell)]
    values, _ = numbers(filled, has_decimal_comma=True)
    return not filled or any(isnan(value) for value in values.tolist())


def json_chunks(path: Path, problems: Problems) -> Iterator[Chunk]:
    """Read JSON lines: one flat object per line; nested values count as missing.

    Raises:
        UsageError: Not text, or too many keys.
    """
    rows: list[dict[str, Cell]] = []
    lines: list[int] = []
    keys: dict[str, None] = {}
    for number, line in enumerate(text_lines(path), 1):
        row = _json_row(line)
        if row is None:
            if line.strip():
                problems.add("not a JSON object", number, line.strip())
            continue
        rows.append(row)
        lines.append(number)
        keys.update(dict.fromkeys(row))
        problems.refuse_width(len(keys), number)
        if len(rows) * len(keys) >= CHUNK_CELLS:
            yield _json_chunk(rows, lines, keys)
            rows, lines = [], []
    if rows:
        yield _json_chunk(rows, lines, keys)


def _json_chunk(rows: list[dict[str, Cell]], lines: list[int], keys: Iterable[str]) -> Chunk:
    """Turn objects into columns."""
    return Chunk({key: [row.get(key) for row in rows] for key in keys}, np.array(lines, np.int64))


def _json_row(line: str) -> dict[str, Cell] | None:
    """Parse one line; None when it is no JSON object."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    return {key: value if isinstance(value, str | int | float) else None for key, value in row.items()}
