"""Where ``foretell alerts`` reads from: a file, or the standard input line by line as it comes."""

import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.core.errors import UsageError

#: Characters of a line that are read at most; what is beyond counts as another line.
_MAX_CHARACTERS = 1 << 20
STDIN = Path("-")


def lines_from(path: Path) -> Iterator[str]:
    """Yield the lines of a file, or of the standard input for ``-``; bytes that are no UTF-8 are replaced.

    Raises:
        UsageError: The file cannot be read.
    """
    if path == STDIN:
        while line := sys.stdin.buffer.readline(_MAX_CHARACTERS):
            yield line.decode("utf-8", "replace")
        return
    try:
        with path.open("rb") as file:
            while line := file.readline(_MAX_CHARACTERS):
                yield line.decode("utf-8", "replace")
    except FileNotFoundError:
        raise UsageError(str(path), "no such file", "check the path") from None
    except OSError as error:
        raise UsageError(str(path), f"cannot be read ({error.strerror})", "name a file that you may read") from None
