"""Parquet to table chunks.

Comes in: a path. Goes out: ``Chunk`` after ``Chunk``, typed as the file types them. Needs the extra
``parquet`` (pyarrow). Refuses to know which column is which; columns that are neither numbers, times
nor text are left out.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.sources.recording_table import CHUNK_CELLS, Cells, Chunk, Problems

PARQUET_MAGIC = b"PAR1"
PARQUET_REMEDY = "install it with: pip install 'foretell[parquet]'"


def parquet_chunks(path: Path) -> Iterator[Chunk]:
    """Read a Parquet file in bounded pieces.

    Raises:
        UsageError: pyarrow is not installed, or the file is no sound Parquet file.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UsageError(str(path), "Parquet needs pyarrow", PARQUET_REMEDY) from None
    first = 1
    try:
        with pq.ParquetFile(path) as file:
            Problems(str(path)).refuse_width(len(file.schema_arrow.names), 1)
            n_rows = max(1, CHUNK_CELLS // max(1, len(file.schema_arrow.names)))
            for batch in file.iter_batches(batch_size=n_rows):
                yield _chunk(batch, first)
                first += batch.num_rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        problem = f"not a sound Parquet file: {str(error).splitlines()[0]}"
        raise UsageError(f"{path}:{first}", problem, "write the file again, or give CSV or JSON lines") from None


def _chunk(batch: Any, first: int) -> Chunk:  # noqa: ANN401 - pyarrow ships no types
    """Turn a record batch into columns."""
    columns: dict[str, Cells] = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        cells = _cells(column)
        if cells is not None:
            columns[name] = cells
    return Chunk(columns, np.arange(first, first + batch.num_rows))


def _cells(column: Any) -> Cells | None:  # noqa: ANN401 - pyarrow ships no types
    """Turn an Arrow array into cells; None for a type that is neither number, time nor text."""
    import pyarrow as pa
    import pyarrow.types as kinds

    kind = column.type
    if kinds.is_dictionary(kind):
        return _cells(column.dictionary_decode())
    if kinds.is_timestamp(kind) or kinds.is_date(kind):
        array = column.cast(pa.timestamp(kind.unit if kinds.is_timestamp(kind) else "ms"))
        return np.asarray(array.to_numpy(zero_copy_only=False))
    if kinds.is_integer(kind) and column.null_count == 0:
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind) or kinds.is_decimal(kind):
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        return [None if cell is None else str(cell) for cell in column.to_pylist()]
    return None
