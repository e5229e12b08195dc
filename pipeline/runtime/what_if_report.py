"""What ``foretell what-if`` shows.

Comes in: what each budget would have told. Goes out: tables, a line of summary, plain values for JSON. Refuses to know
the terminal.
"""

import math
from collections.abc import Sequence

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.detect.wording import duration, moment
from pipeline.runtime.what_if import Outlook, Told, WhatIf
from pipeline.sinks.alerts import JsonValue, iso_time

#: New and gone alerts that are listed per budget at most.
MAX_LISTED = 20


def count_table(found: WhatIf) -> Table:
    """Lay out the number of alerts per stream and week: as told, and under each budget."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("stream", overflow="fold")
    table.add_column("as told\n(a week)", justify="right")
    for outlook in found.outlooks:
        table.add_column(f"{outlook.budget}\n(a week)", justify="right")
        table.add_column("new\ngone", justify="right")
    everybody = range(len(found.names))
    of_any = [found.recorded, *(outlook.told for outlook in found.outlooks)]
    some = sorted({told.stream for all_told in of_any for told in all_told}, key=lambda i: found.names[i])
    for stream in some:
        table.add_row(Text(found.names[stream]), *_cells(found, {stream}))
    if len(some) != 1:
        table.add_section()
        table.add_row(Text(f"all {len(found.names)} streams"), *_cells(found, set(everybody)))
    return table


def change_table(found: WhatIf, outlook: Outlook) -> Table:
    """Lay out the alerts that are new or gone under a budget, in order of time."""
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=f"against what was told, {outlook.budget}", title_justify="left"
    )
    for title in ("", "stream", "opened", "lasted", "score", "level"):
        table.add_column(title, justify="right" if title in {"score", "level"} else "left", overflow="fold")
    for word, told in _changes(outlook)[:MAX_LISTED]:
        lasted = duration(told.closed_s - told.opened_s) if math.isfinite(told.closed_s) else "still open"
        name, numbers = found.names[told.stream], (f"{told.score:.1f}", f"{told.level:.1f}")
        table.add_row(word, Text(name), moment(told.opened_s), lasted, *numbers)
    n_more = len(_changes(outlook)) - MAX_LISTED
    if n_more > 0:
        table.add_row("", f"and {n_more} more; --json has them all")
    return table


def summary(found: WhatIf) -> list[str]:
    """Say in a line per budget what it would have changed."""
    n_weeks = float(found.weeks.sum())
    lines = [f"as told: {_counted(len(found.recorded))} in {n_weeks:.1f} stream-weeks"]
    for outlook in found.outlooks:
        changes = f"{len(outlook.new)} new, {len(outlook.gone)} gone"
        lines.append(f"{outlook.budget}: {_counted(len(outlook.told))}, {changes}")
    return lines


def as_json(found: WhatIf) -> dict[str, JsonValue]:
    """Return everything as plain values."""
    return {
        "streams": list(found.names),
        "weeks": [float(weeks) for weeks in found.weeks],
        "is_same": found.is_same,
        "as_told": _values(found, found.recorded),
        "budgets": [
            {
                "budget": outlook.budget,
                "alerts": _values(found, outlook.told),
                "new": _values(found, outlook.new),
                "gone": _values(found, outlook.gone),
            }
            for outlook in found.outlooks
        ],
    }


def _cells(found: WhatIf, streams: set[int]) -> list[str]:
    """Return the cells of a row for some streams together."""
    weeks = float(found.weeks[np.array(sorted(streams), np.int64)].sum())
    cells = [_rate(_n(found.recorded, streams), weeks)]
    for outlook in found.outlooks:
        n_new, n_gone = _n(outlook.new, streams), _n(outlook.gone, streams)
        signs = " ".join([*([f"+{n_new}"] if n_new else []), *([f"-{n_gone}"] if n_gone else [])])
        cells += [_rate(_n(outlook.told, streams), weeks), signs]
    return cells


def _n(told: Sequence[Told], streams: set[int]) -> int:
    return sum(each.stream in streams for each in told)


def _rate(n: int, weeks: float) -> str:
    return f"{n} ({n / weeks:.2g})" if weeks else f"{n}"


def _changes(outlook: Outlook) -> list[tuple[str, Told]]:
    """Return what is new and gone, in order of time."""
    both = [*(("new", told) for told in outlook.new), *(("gone", told) for told in outlook.gone)]
    return sorted(both, key=lambda pair: (pair[1].opened_s, pair[1].stream))


def _counted(n: int) -> str:
    return f"{n} alert{'' if n == 1 else 's'}"


def _values(found: WhatIf, told: Sequence[Told]) -> JsonValue:
    """Return episodes as plain values."""
    return [
        {
            "stream": found.names[each.stream],
            "opened_at": iso_time(each.opened_s),
            "closed_at": iso_time(each.closed_s) if math.isfinite(each.closed_s) else None,
            "score": each.score if math.isfinite(each.score) else None,
            "level": each.level if math.isfinite(each.level) else None,
        }
        for each in told
    ]
