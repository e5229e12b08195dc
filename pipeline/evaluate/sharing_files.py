"""Labelled windows in, and the comparison of sharings out: as a table and as JSON."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich import box
from rich.table import Table

from pipeline.core.errors import ForetellError, UsageError
from pipeline.evaluate.forecast_report import figure
from pipeline.evaluate.sharing import Row, Windows
from pipeline.sinks.outfile import replacing

_HEADINGS = ("networks", "LSTM", "league", "beats persistence", "windows met", "outside", "KiB/stream", "us/reading")


def read_windows(path: Path) -> Windows:
    """Read labelled windows by stream: the file's name without folder and suffix; see ``read_labels``."""
    return {Path(name).stem: windows for name, windows in read_labels(path).items()}


def read_labels(path: Path) -> Windows:
    """Read labelled windows: JSON that maps file names to lists of first and last time, ISO 8601 in UTC.

    Returns:
        Unix seconds, by name as written there.

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


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def sharing_table(rows: Sequence[Row]) -> Table:
    """Lay out the comparison, a line per sharing."""
    table = Table(title="All streams at once", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("sharing")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right")
    for row in rows:
        shares = (row.beats_persistence.text(), row.windows_met.text(), str(row.n_outside))
        cost = (f"{row.kib_per_stream:.0f}", f"{row.us_per_reading:.0f}")
        table.add_row(row.sharing, str(row.n_networks), figure(row.lstm_mase), figure(row.league_mase), *shares, *cost)
    return table


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write the figures as JSON.

    Raises:
        ForetellError: The disk is full or the folder went away.
    """
    try:
        with replacing(path) as draft:
            draft.write_text(json.dumps([row.as_dict() for row in rows], indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ForetellError(f"results could not be written: {error.strerror}") from None
