"""Labelled windows as NAB writes them: JSON that maps file names to lists of first and last time.

Comes in: a path. Goes out: Unix seconds by name, or one clear line about what is wrong. Loads no engine.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipeline.core.errors import UsageError

#: Labelled windows by name: first and last event time, Unix seconds.
Windows = Mapping[str, Sequence[tuple[float, float]]]


def read_labels(path: Path) -> Windows:
    """Read labelled windows, times ISO 8601 in UTC.

    Returns:
        Windows by name as written there.

    Raises:
        UsageError: Not there, not JSON, or not of that form.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {name: [(_seconds(start), _seconds(end)) for start, end in windows] for name, windows in found.items()}
    except OSError as error:
        raise UsageError(str(path), f"cannot be read: {error.strerror}", "name a file of labels") from None
    except (ValueError, AttributeError, TypeError):
        form = '{"folder/name.csv": [["2014-04-10 07:15:00", "2014-04-11 16:45:00"]]}'
        raise UsageError(str(path), "holds no labelled windows", f"write them as {form}") from None


def read_windows(path: Path) -> Windows:
    """Read labelled windows by stream: the file's name without folder and suffix; see ``read_labels``."""
    return {Path(name).stem: windows for name, windows in read_labels(path).items()}


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
