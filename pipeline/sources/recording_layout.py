"""Which column of a table is the time, which name streams, which hold values.

Comes in: the first rows of a recording. Goes out: a ``Layout`` that the rest of it is read by.
Refuses to know what becomes of the readings.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import cast

import numpy as np

from pipeline.core.errors import UsageError, printable
from pipeline.core.records import F64
from pipeline.sources.recording_cells import holds_numbers, is_missing, seconds, time_format
from pipeline.sources.recording_table import Cell, Cells, Chunk

TIME_NAME = re.compile(
    r"(?:event|unix|utc|iso)?(?:timestamp|datetime|time|date|epoch|ts|t)(?:utc|iso|unix|s|ms|us|ns)?"
)
STREAM_NAMES = frozenset(
    {"stream", "sensor", "sensorid", "sensorname", "device", "deviceid", "devicename", "topic", "tag", "tagname"}
    | {"series", "metric", "measurement", "channel", "name", "itemid", "entityid"}
)
VALUE_NAMES = frozenset({"value", "val", "reading", "measuredvalue"})
TIME_REMEDY = "name it timestamp, and write ISO 8601 (2014-05-14T01:14:00Z) or a Unix epoch"


@dataclass(frozen=True, slots=True)
class Layout:
    """The roles of a table's columns.

    Attributes:
        time: The time column; or the date's and the time of day's, joined.
        per_second: Format of the times, as ``time_format`` tells it.
        streams: Columns whose cells, joined by ``/``, name the stream; may be empty.
        value: The only value column of a long table; empty when every numeric column is one.
    """

    time: tuple[str, ...]
    per_second: float
    streams: tuple[str, ...]
    value: str

    def seconds(self, chunk: Chunk) -> F64:
        """Return the event time of each row, Unix seconds; NaN where unreadable."""
        return seconds(_joined(chunk, self.time), self.per_second)

    def may_hold_values(self, column: str) -> bool:
        """Tell whether a column has no other role; a second time column is no sensor."""
        if self.value:
            return column == self.value
        return column not in (*self.time, *self.streams) and (_plain(column) == "t" or not _is_time_name(column))


def recognise(chunk: Chunk, path: str) -> Layout:
    """Find the roles of the columns from a recording's first rows.

    The time is the first column with the name of one that holds times; without such a name the first that
    holds ISO 8601 times; without any names the first numeric column beside another. Streams are
    named by columns called ``stream``, ``sensor``, ``device`` and the like, when they hold text, or
    whole numbers beside a column of values. In a table without names one column of text is that.

    Raises:
        UsageError: No column holds times; the message names file, line and the nearest thing to one.
    """
    time, per_second = _find_time(chunk, path)
    others = [name for name in chunk.columns if name not in time and name not in chunk.unnamed]
    streams = _find_streams(chunk, others)
    values = [name for name in others if _plain(name) in VALUE_NAMES and name not in streams]
    return Layout(time, per_second, streams, values[0] if streams and values else "")


def _find_time(chunk: Chunk, path: str) -> tuple[tuple[str, ...], float]:
    """Find the time column and its format."""
    named = [name for name in chunk.columns if chunk.is_headed and _is_time_name(name)]
    named.sort(key=lambda name: _plain(name) == "t")  # last: beside a better name it is a temperature
    plain = {_plain(name): name for name in named}
    pairs = [(plain["date"], plain["time"])] if {"date", "time"} <= plain.keys() else []
    for names in (*pairs, *((name,) for name in named)):
        per_second = time_format(_joined(chunk, names))
        if per_second is not None:
            return names, per_second
    for name in chunk.columns:
        if time_format(chunk.columns[name]) == 0.0:
            return (name,), 0.0
    numeric = [name for name, cells in chunk.columns.items() if holds_numbers(cells)]
    if not chunk.is_headed and len(numeric) > 1:
        return (numeric[0],), time_format(chunk.columns[numeric[0]]) or 1.0
    raise _no_time(chunk, named, path)


def _no_time(chunk: Chunk, named: Sequence[str], path: str) -> UsageError:
    """Say what came nearest to a time column."""
    line = int(chunk.lines[0])
    if not named:
        names = printable(", ".join(chunk.columns), 120)
        return UsageError(f"{path}:{line}", f"no time column among: {names}", TIME_REMEDY)
    cells = [str(cell) for cell in chunk.columns[named[0]] if not is_missing(cell)]
    holds = f"holds {printable(cells[0], 40)!r}, not a time" if cells else "is empty"
    return UsageError(f"{path}:{line}", f"column {printable(named[0], 60)!r} {holds}", TIME_REMEDY)


def _find_streams(chunk: Chunk, others: Sequence[str]) -> tuple[str, ...]:
    """Find the columns that name streams."""
    text = {name for name in others if holds_numbers(chunk.columns[name]) is False}
    if not chunk.is_headed:
        return tuple(text) if len(text) == 1 and len(others) > 1 else ()
    named = [name for name in others if _plain(name) in STREAM_NAMES]
    whole = [name for name in named if name in text or _is_whole(chunk.columns[name])]
    has_values = any(name not in text and name not in whole for name in others)
    return tuple(name for name in whole if name in text or has_values)


def _is_whole(cells: Cells) -> bool:
    """Tell whether a column holds bare digits, as an id does."""
    if isinstance(cells, np.ndarray):
        return cells.dtype.kind in "iu"
    return all(str(cell).strip().isdigit() for cell in cells)


def _joined(chunk: Chunk, names: Sequence[str]) -> Cells:
    """Return one column, or a date's and a time of day's cells joined."""
    columns = [chunk.columns.get(name, _nothing(chunk)) for name in names]
    if len(columns) == 1:
        return columns[0]
    return [f"{str(date).strip()}T{str(time).strip()}" for date, time in zip(*columns, strict=True)]


def _nothing(chunk: Chunk) -> list[Cell]:
    """Return a column of missing cells: JSON lines may leave a key out."""
    return [None] * len(chunk.lines)


def stream_texts(chunk: Chunk, layout: Layout) -> list[str]:
    """Return the name of each row's stream as the file writes it; empty when no column names streams."""
    if not layout.streams:
        return [""] * len(chunk.lines)
    columns = [chunk.columns.get(name, _nothing(chunk)) for name in layout.streams]
    if len(columns) == 1:
        return _words(columns[0])
    return ["/".join(_word(cell) for cell in row) for row in zip(*columns, strict=True)]


def _words(cells: Cells) -> list[str]:
    """Return a column of ids as texts; of one that comes again and again the text is made once."""
    if isinstance(cells, np.ndarray):
        return [_word(cell) for cell in cells]
    known = {cell: _word(cell) for cell in set(cells) if isinstance(cell, str)}
    return [known[cell] if isinstance(cell, str) else _word(cell) for cell in cells]


def _word(cell: object) -> str:
    """Write an id as text: without the ``.0`` that a typed table may have given it."""
    if isinstance(cell, float) and not isnan(cell) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cast("str | float", cell)).strip()


def _is_time_name(name: str) -> bool:
    """Tell whether a column is called what times are called."""
    return TIME_NAME.fullmatch(_plain(name)) is not None


def _plain(name: str) -> str:
    """Return a column name's letters and digits, lower case."""
    return "".join(filter(str.isalnum, name.lower()))
