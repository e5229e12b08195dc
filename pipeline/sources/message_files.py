"""Files of messages: which format, opened for writing and reading.

Comes in: a path. Goes out: a writer, or the header and the messages. The suffix of a new file chooses its format; a
file that is there says itself what it is.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from pipeline.core.errors import UsageError
from pipeline.sources.inbox import Message
from pipeline.sources.messages import MessageHeader, header_of, line_messages, message_line
from pipeline.sources.messages_parquet import ParquetMessages, parquet_header, parquet_messages, require_pyarrow
from pipeline.sources.recording_parquet import PARQUET_MAGIC
from pipeline.sources.recording_table import Problems

SUFFIXES = (".jsonl", ".parquet")


class MessageWriter(Protocol):
    """Takes messages, and keeps them in a file."""

    def write(self, message: Message) -> None:
        """Add a message."""

    def flush(self) -> None:
        """Hand everything to the operating system, where the format allows it."""

    def close(self) -> None:
        """Finish the file."""


class LineMessages:
    """Writes messages as JSON lines; what was flushed is readable at any time."""

    def __init__(self, path: Path, header: MessageHeader) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._file.write(f"{header.as_json()}\n")

    def write(self, message: Message) -> None:
        """Add a message."""
        self._file.write(f"{message_line(message)}\n")

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def new_message_file(path: Path, header: MessageHeader, option: str, *, force: bool = False) -> MessageWriter:
    """Open a file for messages.

    Args:
        path: File to write; ``.jsonl`` or ``.parquet``.
        header: What it says of itself.
        option: The option that named it, for the message.
        force: Replace a file that is there.

    Raises:
        UsageError: Another suffix, no pyarrow, the file is there, or it cannot be written.
    """
    where = f"{option} {path}"
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(where, "the suffix names no known format", f"end it in {' or '.join(SUFFIXES)}")
    if path.exists() and not (force and path.is_file()):
        raise UsageError(where, "is there already", "name another file, or --force to overwrite it")
    try:
        if path.suffix.lower() == ".parquet":
            require_pyarrow(where)
            return ParquetMessages(path, header)
        return LineMessages(path, header)
    except OSError as error:
        raise UsageError(where, f"cannot be written: {error.strerror}", "name a file in a folder of yours") from None


def message_header(path: Path) -> MessageHeader | None:
    """Return the header of a recording of messages; None when the file is something else, or none at all.

    Raises:
        UsageError: It is of a later version, or Parquet cannot be read here.
    """
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            is_parquet = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
        return parquet_header(path) if is_parquet else header_of(path)
    except OSError:
        return None  # whoever reads it as a table says what is wrong


def read_messages(path: Path, problems: Problems) -> Iterator[Message]:
    """Read a file of which ``message_header`` returned a header, in file order.

    Raises:
        UsageError: It is damaged.
    """
    with path.open("rb") as file:
        is_parquet = file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC
    return parquet_messages(path, problems) if is_parquet else line_messages(path, problems)
