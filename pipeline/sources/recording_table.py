"""What the file readers hand to the assembler: a stretch of a table, and notes on bad rows.

Comes in: rows of any file format. Goes out: ``Chunk``, columns by name with the line each row
stood in. Refuses to know which column is which.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from pipeline.core.errors import UsageError, printable
from pipeline.core.records import I64

#: A cell of a text format; None is missing.
Cell = str | float | None
#: A column: cells of a text format, or an array that its format already typed.
Cells = list[Cell] | NDArray[Any]

#: Cells converted together: bounds memory whatever the shape of the file.
CHUNK_CELLS = 20_000
#: A file with more columns than this is refused.
MAX_COLUMNS = 4096


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a table.

    Attributes:
        columns: Cells by column name; all columns have the same length.
        lines: Line (or row) number of each row in the file, from 1, shape (N,).
        is_headed: The names stood in the file.
        unnamed: Columns whose name was empty in the file: an index, at best a time.
        has_decimal_comma: A comma in a number can only be a decimal comma.
    """

    columns: Mapping[str, Cells]
    lines: I64
    is_headed: bool = True
    unnamed: frozenset[str] = frozenset()
    has_decimal_comma: bool = False


@dataclass(frozen=True, slots=True)
class BadRows:
    """How many rows or cells were left out for one reason, and the first of them."""

    n: int
    first: str


@dataclass(slots=True)
class Problems:
    """Counts what was left out of one file, by reason.

    Example:
        >>> problems = Problems("a.csv")
        >>> problems.add("unreadable time", 7, "'yesterday'")
        >>> problems.add("unreadable time", 9, "'today'")
        >>> problems.counts
        {'unreadable time': BadRows(n=2, first="a.csv:7: 'yesterday'")}
    """

    path: str
    counts: dict[str, BadRows] = field(default_factory=dict)

    def add(self, reason: str, line: int, what: str, n: int = 1) -> None:
        """Count ``n`` more; ``line`` and ``what`` are kept when they are the first."""
        known = self.counts.get(reason)
        first = known.first if known else f"{self.path}:{line}: {printable(what, 120)}"
        self.counts[reason] = BadRows((known.n if known else 0) + n, first)

    def refuse_width(self, n_columns: int, line: int) -> None:
        """Refuse a table too wide to be one.

        Raises:
            UsageError: More than ``MAX_COLUMNS`` columns.
        """
        if n_columns > MAX_COLUMNS:
            problem = f"has more than {MAX_COLUMNS} columns"
            raise UsageError(f"{self.path}:{line}", problem, "split the file, or use a stream column")
