"""What ``foretell evaluate health`` shows and writes: two tables, a line, and a JSON document.

Comes in: the rows of an evaluation. Goes out: what a person reads and what a program reads.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from pipeline.evaluate.battery_faults import FAULTS, LATER
from pipeline.evaluate.battery_report import SHORT
from pipeline.evaluate.health import Broken, Clean


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to say.

    Attributes:
        clean: A row per kind.
        broken: A row per kind, fault and size.
        seed: Of streams and faults.
        took_s: Wall clock, seconds.
    """

    clean: Sequence[Clean]
    broken: Sequence[Broken]
    seed: int
    took_s: float


def clean_table(report: Report) -> Table:
    """Lay out what clean streams were called."""
    table = _table("Clean streams: false verdicts", "kind")
    table.add_column("streams", justify="right")
    table.add_column("days", justify="right")
    table.add_column("false verdicts")
    for row in report.clean:
        named = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in row.false.items()) or "none"
        table.add_row(row.kind, f"{row.n_streams}", f"{row.days:,.0f}", named)
    return table


def broken_table(report: Report) -> Table:
    """Lay out the share of faults that were named in time, and how long it took; a line per fault and size."""
    table = _table(f"Faults named within {LATER} readings, %, and median readings until then", "fault")
    table.add_column("size", justify="right")
    for row in report.clean:
        table.add_column(SHORT.get(row.kind, row.kind), justify="right")
    cases: dict[tuple[str, float], dict[str, str]] = {}
    for one in report.broken:
        cell = f"{100 * one.found:.0f}" + ("" if np.isnan(one.delay) else f" / {one.delay:.0f}")
        cases.setdefault((one.fault, one.size), {})[one.kind] = "-" if one.hidden else cell
    for (fault, size), by_kind in cases.items():
        cells = [by_kind.get(row.kind, "") for row in report.clean]
        table.add_row(fault.replace("_", " "), FAULTS[fault].label(size), *cells)
    return table


def summary(report: Report) -> str:
    """Return the key figures in one line."""
    n_streams, days = sum(row.n_streams for row in report.clean), sum(row.days for row in report.clean)
    false = sum((Counter(row.false) for row in report.clean), Counter[str]())
    named = ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in false.items()) or "none"
    return (
        f"{len(report.clean)} kinds, {n_streams:,} clean streams, {days:,.0f} stream-days; false verdicts: {named}; "
        f"seed {report.seed}, {report.took_s:.0f} s"
    )


def as_json(report: Report) -> dict[str, Any]:
    """Return all figures as what JSON can hold: null where there is none."""
    broken = [asdict(row) | {"delay": None if np.isnan(row.delay) else row.delay} for row in report.broken]
    return {
        "seed": report.seed,
        "took_s": report.took_s,
        "clean": [asdict(row) for row in report.clean],
        "broken": broken,
    }


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    return table
