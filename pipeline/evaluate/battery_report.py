"""What ``foretell evaluate battery`` shows and writes: tables, lines and a JSON document.

Comes in: the rows of a summary. Goes out: what a person reads and what a program reads. Refuses to know how figures
came about.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from pipeline.evaluate.battery_faults import FAULTS, LATER, SOON
from pipeline.evaluate.battery_summary import ENOUGH, KEPT, FaultRow, KindRow

#: Kinds whose names would make their columns too wide.
SHORT = {
    "quantised": "quant.",
    "heavy_tailed": "heavy",
    "daily_weekly": "weekly",
    "duty_cycle": "duty",
    "random_walk": "walk",
    "report_on_change": "on change",
    "irregular": "irreg.",
}


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to say.

    Attributes:
        kinds: Clean streams, a row per kind.
        faults: Planted faults, a row per kind, fault and size; empty where none was planted.
        promise: False alarms promised per stream, in words.
        n_readings: Readings that were run, branches included.
        seed: Of streams and faults.
        took_s: Wall clock, seconds.
    """

    kinds: Sequence[KindRow]
    faults: Sequence[FaultRow]
    promise: str
    n_readings: int
    seed: int
    took_s: float

    def by_case(self) -> dict[tuple[str, float], dict[str, FaultRow]]:
        """Return the faults by name and size, and in those by kind."""
        cases: dict[tuple[str, float], dict[str, FaultRow]] = {}
        for row in sorted(self.faults, key=lambda row: (list(FAULTS).index(row.fault), row.size)):
            cases.setdefault((row.fault, row.size), {})[row.kind] = row
        return cases


def kinds_table(report: Report) -> Table:
    """Lay out the clean streams: false alarms beside the promise, and false verdicts."""
    table = _table(f"Clean streams: false alarms; promised is {report.promise} and stream", "kind")
    for heading in ("streams", "days", "false alarms", "in 30 days", "times promised", "95 %", "streams with any"):
        table.add_column(heading, justify="right")
    table.add_column("false verdicts")
    for row in report.kinds:
        verdicts = ", ".join(f"{name} {n}" for name, n in row.verdicts.items()) or "none"
        rate, interval = 30 * row.n_alarms / row.days, f"{row.low:.2f} to {row.high:.2f}"
        figures = (f"{row.n_streams}", f"{row.days:,.0f}", f"{row.n_alarms:,}", f"{rate:.2f}", f"{row.ratio:.2f}")
        table.add_row(row.kind, *figures, interval, f"{row.n_alarming}", verdicts)
    return table


def found_table(report: Report) -> Table:
    """Lay out the share of faults found in time, a line per fault and size, a column per kind."""
    title = (
        f"Found within {SOON} readings (ramp, stuck, noise down, cycle, dropout: {LATER}), %; * must be {ENOUGH:.0%}"
    )
    return _cases(report, title, lambda row: f"({100 * row.in_time:.0f})" if row.hidden else f"{100 * row.in_time:.0f}")


def delay_table(report: Report) -> Table:
    """Lay out the median delay of those found, in readings."""
    return _cases(report, f"Median readings until found, of those found within {LATER}", lambda row: f"{row.delay:.0f}")


def _cases(report: Report, title: str, cell: Callable[[FaultRow], str]) -> Table:
    """Lay out one figure of every fault; nothing where a fault means nothing or none counted."""
    table = _table(title, "fault")
    table.add_column("size", justify="right")
    kinds = [row.kind for row in report.kinds]
    for kind in kinds:
        table.add_column(SHORT.get(kind, kind), justify="right")
    for (fault, size), by_kind in report.by_case().items():
        star = " *" if size == FAULTS[fault].required else ""
        known = {kind: row for kind, row in by_kind.items() if row.n}
        cells = [cell(known[kind]).replace("nan", "-") if kind in known else "" for kind in kinds]
        table.add_row(fault.replace("_", " "), FAULTS[fault].label(size) + star, *cells)
    return table


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, no_wrap=True)
    return table


def summary_lines(report: Report) -> Iterator[str]:
    """Yield the key figures, one per line."""
    n_streams, days = sum(row.n_streams for row in report.kinds), sum(row.days for row in report.kinds)
    yield (
        f"{len(report.kinds)} kinds, {n_streams:,} clean streams, {days:,.0f} stream-days, "
        f"{report.n_readings:,} readings with those of faults, seed {report.seed}, {report.took_s:.0f} s"
    )
    broken = [f"{row.kind} {row.ratio:.2f}" for row in report.kinds if not row.is_kept]
    n_kept = len(report.kinds) - len(broken)
    line = f"promise kept ({KEPT[0]:g} to {KEPT[1]:g} times): {n_kept} of {len(report.kinds)} kinds"
    yield line + (f"; not: {', '.join(broken)}" if broken else "")
    required = [row for row in report.faults if row.is_required]
    missed = [row for row in required if row.in_time < ENOUGH]
    if required:
        line = f"faults found as asked ({ENOUGH:.0%} in time): {len(required) - len(missed)} of {len(required)} cases"
        yield line + (f"; not: {', '.join(map(_case, missed))}" if missed else "")
    masked = sum(row.n_masked for row in report.faults)
    if masked:
        yield f"left out: {masked} faults that struck while an episode was open"
    hidden = {(row.kind, row.fault): row.hidden for row in report.faults if row.hidden}
    for (kind, fault), reason in hidden.items():
        yield f"in brackets: {fault.replace('_', ' ')} on {kind} - {reason}"
    for fault in dict.fromkeys(row.fault for row in report.faults):
        own = [row for row in report.faults if row.fault == fault]
        by_verdict = sum(row.by_verdict for row in own)
        if by_verdict:
            n = by_verdict + sum(row.by_episode for row in own)
            yield f"{fault.replace('_', ' ')}: {by_verdict} of {n} found were told by a health verdict first"


def _case(row: FaultRow) -> str:
    return f"{row.fault.replace('_', ' ')} on {row.kind} {row.in_time:.0%}"


def as_json(report: Report) -> dict[str, Any]:
    """Return all figures as what JSON can hold: null where there is none."""
    return {
        "promise": report.promise,
        "seed": report.seed,
        "n_readings": report.n_readings,
        "took_s": report.took_s,
        "kinds": [_plain(asdict(row) | {"is_kept": row.is_kept}) for row in report.kinds],
        "faults": [_plain(asdict(row) | {"is_required": row.is_required}) for row in report.faults],
    }


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """Replace what is no number by null."""
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}
