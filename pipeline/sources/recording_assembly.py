"""Rows of a table to readings.

Comes in: the chunks of one recording, in order. Goes out: its readings in file order, under stream
names. Keeps 21 bytes per reading. Refuses to know file formats.
"""

import numpy as np

from pipeline.core.errors import UsageError, printable
from pipeline.core.records import F64, I32, Bool, Readings
from pipeline.sources.recording_cells import holds_numbers, numbers
from pipeline.sources.recording_layout import Layout, recognise, stream_texts
from pipeline.sources.recording_names import distinct, stream_name
from pipeline.sources.recording_table import Chunk, Problems


class Assembler:
    """Collects the readings of one recording."""

    def __init__(self, path: str, label: str, problems: Problems) -> None:
        """Start with nothing read.

        Args:
            path: File name for messages.
            label: Stream name of the file.
            problems: Where rows that are left out are counted.
        """
        self._path = path
        self._label = label
        self._problems = problems
        self._layout: Layout | None = None
        self._is_value: dict[str, bool] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._parts: list[tuple[I32, F64, F64]] = []

    def add(self, chunk: Chunk) -> None:
        """Take the next rows.

        Raises:
            UsageError: The first rows have no time column.
        """
        if self._layout is None:
            self._layout = recognise(chunk, self._path)
        times = self._layout.seconds(chunk)
        self._note(chunk, np.isnan(times), "unreadable time", self._layout.time[-1])
        columns = self._value_columns(chunk, self._layout)
        if not columns:
            return
        values, keep = self._values(chunk, columns)
        keep &= ~np.isnan(times)[:, None]
        row, column = np.nonzero(keep)
        texts = stream_texts(chunk, self._layout)
        self._parts.append((self._streams(texts, columns, row, column), times[row], values[row, column]))

    def finish(self) -> Readings:
        """Return all readings in file order.

        Raises:
            UsageError: The file holds no rows, no numeric column, or no readable reading.
        """
        n = sum(len(times) for _, times, _ in self._parts)
        if n == 0:
            raise self._nothing_read()
        stream, time, value = (np.concatenate(parts) for parts in zip(*self._parts, strict=True))
        return Readings(self._names(), stream, time, value, np.zeros(n, np.uint8))

    def _value_columns(self, chunk: Chunk, layout: Layout) -> list[str]:
        """Return the columns that hold values, each judged by the first rows in which it is not empty."""
        candidates = [name for name in chunk.columns if layout.may_hold_values(name) and name not in chunk.unnamed]
        for name in candidates:
            if name not in self._is_value:
                verdict = holds_numbers(chunk.columns[name], has_decimal_comma=chunk.has_decimal_comma)
                if verdict is not None:
                    self._is_value[name] = verdict
        found = [name for name in candidates if self._is_value.get(name)]
        undecided = [name for name in candidates if name not in self._is_value]
        return undecided if not found and len(undecided) == 1 else found

    def _values(self, chunk: Chunk, columns: list[str]) -> tuple[F64, Bool]:
        """Return the values, shape (rows, columns), and which of them are readings."""
        values = np.empty((len(chunk.lines), len(columns)))
        keep = np.ones(values.shape, np.bool_)
        for j, name in enumerate(columns):
            values[:, j], bad = numbers(chunk.columns[name], has_decimal_comma=chunk.has_decimal_comma)
            self._note(chunk, bad, "unreadable number", name)
            keep[:, j] = ~bad
        if len(columns) > 1:
            keep &= ~np.isnan(values)
        return values, keep

    def _note(self, chunk: Chunk, bad: Bool, reason: str, column: str) -> None:
        """Count bad cells of one column, and quote the first."""
        n = int(bad.sum())
        if n:
            i = int(np.argmax(bad))
            cell = chunk.columns[column][i] if column in chunk.columns else None
            shown = "nothing" if cell is None else repr(printable(str(cell), 40))
            self._problems.add(reason, int(chunk.lines[i]), f"column {printable(column, 60)!r} holds {shown}", n)

    def _streams(self, texts: list[str], columns: list[str], row: np.ndarray, column: np.ndarray) -> I32:
        """Return the stream index of each reading, giving new streams the next free index."""
        codes: dict[str, int] = {}
        text_code = np.fromiter((codes.setdefault(text, len(codes)) for text in texts), np.int64, len(texts))
        pairs, inverse = np.unique(text_code[row] * len(columns) + column, return_inverse=True)
        known = list(codes)
        ids = [
            self._ids.setdefault((known[pair // len(columns)], columns[pair % len(columns)]), len(self._ids))
            for pair in pairs.tolist()
        ]
        return np.array(ids, np.int32)[inverse]

    def _names(self) -> list[str]:
        """Name the streams: by the file, by column, or by what the file calls them."""
        is_single = len({column for _, column in self._ids}) == 1
        names = []
        for text, column in self._ids:
            whole = text or self._label
            names.append(stream_name(whole if is_single else f"{whole}/{column}"))
        return distinct(names)

    def _nothing_read(self) -> UsageError:
        """Say why there are no readings."""
        bad = next(iter(self._problems.counts.items()), None)
        if bad is not None:
            problem = f"no readable row: {bad[0]}, first {bad[1].first}"
            return UsageError(self._path, problem, "mend the rows, or check that this is a recording")
        if self._layout is None:
            return UsageError(f"{self._path}:1", "holds no rows", "give a file with a time and a value in each row")
        time = printable(self._layout.time[0], 60)
        problem = f"no numeric column beside {time!r}"
        return UsageError(f"{self._path}:1", problem, "give a file with a value in each row")
