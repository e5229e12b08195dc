"""The comparison of sharings, as a table and as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table

from pipeline.core.errors import ForetellError
from pipeline.evaluate.forecast_report import figure
from pipeline.evaluate.sharing import Row
from pipeline.sinks.outfile import replacing

_HEADINGS = ("networks", "LSTM", "league", "beats persistence", "windows met", "outside", "KiB/stream", "us/reading")


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
