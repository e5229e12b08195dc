"""Cells to numbers and times.

Comes in: a column of cells as text, numbers or typed arrays. Goes out: float64 arrays, with what
could not be read marked. A clean column is one array conversion; only a column with a cell that
does not convert is walked cell by cell. Refuses to know rows and files.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from math import isnan, nan
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from pipeline.core.records import F64, Bool
from pipeline.sources.recording_table import Cell, Cells

MISSING = frozenset({"", "-", "na", "n/a", "nan", "nat", "null", "none"})
#: Event times outside 1900..2200 are taken for unreadable: a stray far future would make all else late.
EARLIEST_S, LATEST_S = -2_208_988_800.0, 7_258_118_400.0
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NAIVE_EPOCH = EPOCH.replace(tzinfo=None)
#: Cells looked at to tell what a column holds.
SAMPLE = 200
#: Epoch units per second, and the magnitude from which each is meant (each begins about 1973).
EPOCH_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3), (0.0, 1.0))


def numbers(cells: Cells, *, has_decimal_comma: bool = False) -> tuple[F64, Bool]:
    """Convert a column to numbers.

    Args:
        cells: The column, shape (N,).
        has_decimal_comma: Read ``1,5`` as 1.5.

    Returns:
        Values, NaN where missing or unreadable, and a mask of the unreadable.

    Example:
        >>> values, bad = numbers(["1.5", "", "x", None])
        >>> values.tolist(), bad.tolist()
        ([1.5, nan, nan, nan], [False, False, True, False])
    """
    if isinstance(cells, np.ndarray):
        is_number = cells.dtype.kind in "fiub"
        values = cells.astype(np.float64) if is_number else np.full(len(cells), np.nan)
        return values, np.full(len(cells), not is_number)
    try:
        values = np.fromiter(map(float, cast("list[float]", cells)), np.float64, len(cells))
    except (TypeError, ValueError, OverflowError):
        parsed = [_number(cell, has_decimal_comma=has_decimal_comma) for cell in cells]
        bad = np.fromiter((value is None for value in parsed), np.bool_, len(parsed))
        return np.array([nan if value is None else value for value in parsed], np.float64), bad
    return values, np.zeros(len(cells), np.bool_)


def _number(cell: Cell, *, has_decimal_comma: bool) -> float | None:
    """Convert one cell; NaN when missing, None when unreadable."""
    if is_missing(cell):
        return nan
    if isinstance(cell, str) and has_decimal_comma:
        cell = cell.replace(",", ".")
    try:
        return float(cast("str | float", cell))
    except (ValueError, OverflowError):
        return None


def is_missing(cell: Cell) -> bool:
    """Tell whether a cell says that there is no value.

    Example:
        >>> is_missing(" NaN "), is_missing("0")
        (True, False)
    """
    if isinstance(cell, str):
        return len(cell) <= 8 and cell.strip().lower() in MISSING  # noqa: PLR2004 - no missing word is longer
    return cell is None or (isinstance(cell, float) and isnan(cell))


def holds_numbers(cells: Cells, *, has_decimal_comma: bool = False) -> bool | None:
    """Tell whether at least half of a column's first cells are numbers; None when all are missing.

    Example:
        >>> holds_numbers(["", "1", "2", "x"]), holds_numbers(["warm"]), holds_numbers(["", ""])
        (True, False, None)
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind not in "fiub":
        return False
    sample = _sample(cells)
    if len(sample) == 0:
        return None
    _, bad = numbers(sample, has_decimal_comma=has_decimal_comma)
    return bool(2 * bad.sum() <= len(bad))


def time_format(cells: Cells) -> float | None:
    """Recognise how a column writes times, from its first cells.

    Args:
        cells: The column.

    Returns:
        Epoch units per second (1, 1e3, 1e6 or 1e9), 0 for ISO 8601, None when it holds no times.

    Example:
        >>> time_format(["1400029200123"]), time_format(["2014-05-14 01:14:00"]), time_format(["warm"])
        (1000.0, 0.0, None)
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        return 0.0
    sample = _sample(cells)
    if holds_numbers(sample):
        size = float(np.nanmedian(np.abs(numbers(sample)[0])))
        return next(unit for least, unit in EPOCH_UNITS if size >= least)
    n_readable = sum(not isnan(_iso_or_nan(cell)) for cell in sample)
    return 0.0 if n_readable and 2 * n_readable >= len(sample) else None


def seconds(cells: Cells, per_second: float) -> F64:
    """Convert a column of times to Unix seconds.

    Args:
        cells: The column, shape (N,).
        per_second: What ``time_format`` returned for it.

    Returns:
        Unix seconds, UTC, shape (N,); NaN where unreadable, missing or outside 1900..2200.

    Example:
        >>> seconds(["2014-05-14T01:14:00Z", "2014-05-14 03:14+02:00", "soon"], 0.0).tolist()
        [1400030040.0, 1400030040.0, nan]
    """
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        times = _array_seconds(cells)
    elif per_second:
        times = numbers(cells)[0] / per_second
    else:
        times = _iso_seconds(list(cells))
    times[~((times >= EARLIEST_S) & (times <= LATEST_S))] = np.nan
    return times


def _array_seconds(times: NDArray[Any]) -> F64:
    """Convert a datetime64 array; whole nanoseconds first, so that nothing is rounded twice."""
    counts = times.astype("datetime64[ns]").astype(np.int64)
    return np.where(np.isnat(times), np.nan, counts / 1e9)


def _iso_seconds(cells: Sequence[Cell]) -> F64:
    """Convert ISO 8601 text: all at once, and cell by cell only when that fails."""
    try:
        return np.fromiter(map(_iso, cells), np.float64, len(cells))
    except (ValueError, OverflowError):
        return np.fromiter(map(_iso_or_nan, cells), np.float64, len(cells))


def _iso(cell: Cell) -> float:
    """Convert one ISO 8601 time; naive means UTC. Bare digits are refused: they read as a date too easily."""
    if not isinstance(cell, str) or cell.isdigit():
        raise ValueError
    time = datetime.fromisoformat(cell.strip())
    return (time - (EPOCH if time.tzinfo else NAIVE_EPOCH)).total_seconds()


def _iso_or_nan(cell: Cell) -> float:
    """Convert one ISO 8601 time, or return NaN."""
    try:
        return _iso(cell)
    except (ValueError, OverflowError):
        return nan


def _sample(cells: Cells) -> Cells:
    """Return the first cells that are not missing."""
    if isinstance(cells, np.ndarray):
        return cells[~np.isnan(cells)][:SAMPLE]
    return list(islice((cell for cell in cells if not is_missing(cell)), SAMPLE))
