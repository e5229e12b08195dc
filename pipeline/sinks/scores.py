"""The scores file: one row per reading, in input order.

Comes in: readings and their steps. Goes out: a CSV or Parquet file with the columns of ``COLUMNS``;
an empty cell is a missing one. The same readings and steps give the same bytes. Refuses to know how
a score came about.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, I64, Event, Health, Readings, Steps, episode_id
from pipeline.sinks.outfile import check_outfile, replacing

COLUMNS = (
    "stream",
    "timestamp",
    "value",
    "forecast",
    "lower",
    "upper",
    "residual",
    "score",
    "level",
    "episode",
    "event",
    "health",
)
SUFFIXES = (".csv", ".parquet")
#: Columns whose numbers hardly ever repeat: looking for repeats takes as long as all else of writing them.
_NEVER_TWICE = ("forecast", "lower", "upper", "residual", "score")
#: Rows turned into text together.
CHUNK_ROWS = 65_536


def check_scores_file(path: Path) -> None:
    """Refuse a scores file that could not be written, before the work begins.

    Raises:
        UsageError: Unknown suffix, unwritable place, or Parquet without pyarrow.
    """
    check_outfile(path, SUFFIXES, "--scores")
    if path.suffix.lower() == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401 - asks whether it is there
        except ImportError:
            remedy = "install it with: pip install 'foretell[parquet]'"
            raise UsageError(f"--scores {path}", "Parquet needs pyarrow", remedy) from None


def write_scores(path: Path, readings: Readings, steps: Steps) -> None:
    """Write one row per reading; the suffix chooses CSV or Parquet.

    Numbers in CSV have nine significant digits. The file appears under its name when it is complete.

    Args:
        path: File ending in ``.csv`` or ``.parquet``.
        readings: Readings in input order, N of them.
        steps: Their steps, in the same order.

    Raises:
        OSError: The file cannot be written.
    """
    with replacing(path) as draft:
        if path.suffix.lower() == ".parquet":
            _write_parquet(draft, readings, steps)
        else:
            _write_csv(draft, readings, steps)


def _write_csv(path: Path, readings: Readings, steps: Steps) -> None:
    """Write the rows as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        for start in range(0, len(readings), CHUNK_ROWS):
            columns = _csv_columns(readings, steps, slice(start, start + CHUNK_ROWS))
            file.writelines(f"{','.join(row)}\n" for row in zip(*columns, strict=True))


def _csv_columns(readings: Readings, steps: Steps, rows: slice) -> Iterator[Sequence[str]]:
    """Yield the columns as text, in the order of ``COLUMNS``."""
    names = [_quoted(name) for name in readings.names]
    yield [names[i] for i in readings.stream[rows].tolist()]
    yield _time_texts(readings.time[rows])
    for numbers in _number_columns(readings, steps):
        yield _number_texts(numbers[rows])
    yield from _text_columns(readings, steps, rows)


def _write_parquet(path: Path, readings: Readings, steps: Steps) -> None:
    """Write the rows as Parquet: times in milliseconds, numbers in full, null for missing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    stream = pa.DictionaryArray.from_arrays(readings.stream, pa.array(list(readings.names), pa.string()))
    time = pa.array(_milliseconds(readings.time), pa.timestamp("ms", tz="UTC"))
    numbers = [pa.array(column, pa.float64(), from_pandas=True) for column in _number_columns(readings, steps)]
    texts: list[Any] = [
        pa.array([text or None for text in column], pa.string())
        for column in _text_columns(readings, steps, slice(None))
    ]
    table = pa.table([stream.cast(pa.string()), time, *numbers, *texts], names=COLUMNS)
    pq.write_table(table, path, use_dictionary=[name for name in COLUMNS if name not in _NEVER_TWICE])


def _number_columns(readings: Readings, steps: Steps) -> tuple[F64, ...]:
    """Return the columns ``value`` to ``level``."""
    with np.errstate(invalid="ignore"):  # inf - inf
        residual = readings.value - steps.forecast
    return readings.value, steps.forecast, steps.lower, steps.upper, residual, steps.score, steps.level


def _text_columns(readings: Readings, steps: Steps, rows: slice) -> tuple[list[str], list[str], list[str]]:
    """Return the columns ``episode``, ``event`` and ``health`` as text."""
    events = _texts(steps.event[rows], lambda code: Event(code).name.lower() if code else "")
    health = _texts(steps.health[rows], lambda bits: Health(bits).text())
    return episode_texts(readings, readings.stream[rows], steps.opened[rows]), events, health


def episode_texts(readings: Readings, stream: NDArray[np.int32], opened: F64) -> list[str]:
    """Return the id of the episode that is open at each reading, or an empty text."""
    texts = [""] * len(opened)
    ids: dict[tuple[int, float], str] = {}
    for i in np.flatnonzero(~np.isnan(opened)).tolist():
        key = (int(stream[i]), float(opened[i]))
        if key not in ids:
            ids[key] = episode_id(readings.names[key[0]], key[1])
        texts[i] = ids[key]
    return texts


def _texts(codes: NDArray[np.integer[Any]], text: Callable[[int], str]) -> list[str]:
    """Turn a column of few distinct codes into text."""
    distinct, inverse = np.unique(codes, return_inverse=True)
    words = [text(code) for code in distinct.tolist()]
    return [words[i] for i in inverse.tolist()]


def _number_texts(numbers: F64) -> list[str]:
    """Format numbers with nine significant digits; missing ones are empty.

    Example:
        >>> _number_texts(np.array([1.0, 0.1 + 0.2, 1e-12, np.nan]))
        ['1', '0.3', '1e-12', '']
    """
    return ["" if number != number else f"{number:.9g}" for number in numbers.tolist()]  # noqa: PLR0124 - NaN


def _time_texts(time_s: F64) -> list[str]:
    """Format Unix seconds as ISO 8601 in UTC, with milliseconds only where there are any.

    Example:
        >>> _time_texts(np.array([1400030040.0, 1400030040.25]))
        ['2014-05-14T01:14:00Z', '2014-05-14T01:14:00.250Z']
    """
    texts: list[str] = np.datetime_as_string(_milliseconds(time_s), unit="ms").tolist()
    return [f"{text.removesuffix('.000')}Z" for text in texts]


def _milliseconds(time_s: F64) -> NDArray[np.datetime64]:
    """Round Unix seconds to whole milliseconds."""
    counts: I64 = np.rint(time_s * 1e3).astype(np.int64)
    return counts.astype("datetime64[ms]")


def _quoted(name: str) -> str:
    """Quote a stream name where CSV needs it; names from recordings never do."""
    return f'"{name.replace(chr(34), chr(34) * 2)}"' if any(c in name for c in ',"\r\n') else name
