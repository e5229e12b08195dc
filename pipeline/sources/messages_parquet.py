"""Recordings of messages as Parquet: smaller than JSON lines, and payloads are bytes; a file is whole or not there.

Comes in: messages, or a path. Goes out: a file, or messages. Needs the extra ``parquet`` (pyarrow).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.core.errors import UsageError
from pipeline.sources.inbox import Message
from pipeline.sources.messages import MessageHeader, checked_header, parsed
from pipeline.sources.recording_parquet import PARQUET_REMEDY
from pipeline.sources.recording_table import Problems

_HEADER = b"foretell"
#: Messages written together.
_ROWS = 10_000


def require_pyarrow(where: str) -> None:
    """Check that the library is installed.

    Raises:
        UsageError: It is not.
    """
    try:
        import pyarrow.parquet  # noqa: F401 - only whether it is there
    except ImportError:
        raise UsageError(where, "Parquet needs pyarrow", PARQUET_REMEDY) from None


class ParquetMessages:
    """Writes messages to a Parquet file; it is readable once closed."""

    def __init__(self, path: Path, header: MessageHeader) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        fields = [("arrival_s", pa.float64()), ("topic", pa.string()), ("payload", pa.binary())]
        fields += [("retained", pa.bool_()), ("qos", pa.int8()), ("connected_s", pa.float64())]
        fields += [("properties", pa.string())]
        self._schema = pa.schema(fields, metadata={_HEADER: header.as_json().encode()})
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def write(self, message: Message) -> None:
        """Add a message."""
        origin = message.origin
        self._rows.append(
            {
                "arrival_s": message.arrival_s,
                "topic": message.topic,
                "payload": message.payload,
                "retained": message.retained,
                "qos": origin.qos,
                "connected_s": origin.connected_s,
                "properties": json.dumps(origin.properties) if origin.properties else "",
            }
        )
        if len(self._rows) >= _ROWS:
            self._write_rows()

    def flush(self) -> None:
        """Do nothing: rows are written in groups."""

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        self._write_rows()
        self._writer.close()

    def _write_rows(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
            self._rows = []


def parquet_header(path: Path) -> MessageHeader | None:
    """Return the header of a recording of messages in Parquet; None when the file is something else.

    Raises:
        UsageError: pyarrow is not installed, or the recording is of a later version.
    """
    require_pyarrow(str(path))
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        header = (pq.read_schema(path).metadata or {}).get(_HEADER)
        return None if header is None else checked_header(json.loads(header), str(path))
    except (pa.ArrowException, ValueError):
        return None  # whoever reads it as a table says what is wrong


def parquet_messages(path: Path, problems: Problems) -> Iterator[Message]:
    """Read messages in file order.

    Raises:
        UsageError: The file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    try:
                        yield parsed(row | {"properties": json.loads(row.get("properties") or "[]")})
                    except (ValueError, KeyError, TypeError, OverflowError) as error:
                        problems.add("unreadable message", number, f"{type(error).__name__}: {error}")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        problem = f"not a sound Parquet file: {str(error).splitlines()[0]}"
        raise UsageError(f"{path}:{number}", problem, "record it again, or give JSON lines") from None
