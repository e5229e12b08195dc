"""What ``foretell evaluate power`` shows and writes: a table, sentences, a JSON document and a picture.

Comes in: what is found in each stream. Goes out: what a person reads and what a program reads. Refuses to know how
figures came about.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from pipeline.core.errors import printable
from pipeline.evaluate.battery_faults import FAULTS, LATER, RAMP, SOON
from pipeline.evaluate.power import ENOUGH, PowerRow, StreamPower
from pipeline.sinks.chart import FORECAST, INK, MUTED, STYLE, SURPRISE
from pipeline.sinks.outfile import replacing

#: What a fault of some size is in plain words: ``{}`` is the size, in the sensor's unit where it has one.
WORDS = {
    "spike": "a single reading off by {}",
    "step": "a level shift of {}",
    "ramp": f"a drift by {{}} over {RAMP} readings",
    "stuck": "a sensor that repeats its last value",
    "noise_up": "noise {} times as strong",
    "noise_down": "movement down to {} of what it was",
    "lost_cycle": "a daily cycle that stops, by {} of it,",
    "phase_shift": "a daily cycle {} hours late",
    "dropout": "a silence of {} readings",
}
#: Faults whose sizes are told in the sensor's unit, and those of which larger sizes are more of the same.
_IN_UNIT = frozenset({"spike", "step", "ramp"})
_OR_MORE = _IN_UNIT | {"noise_up", "phase_shift", "dropout"}
_UNITS = {1.8: "degrees Fahrenheit for Celsius", 1000.0: "thousandths for the unit"}
_DRAWN = {"spike": INK, "step": FORECAST, "ramp": SURPRISE, "noise_up": MUTED}


def power_table(found: StreamPower) -> Table:
    """Lay out a stream: a line per fault and size."""
    n = found.n_places - found.n_alarming
    title = f"{printable(found.stream)}: faults found, of {n} plantings each; 1 sd is {found.sd:.3g}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("fault", no_wrap=True)
    headings = ("size", "sensor's unit", f"within {SOON}, %", f"within {LATER}, %", "median readings")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in found.rows:
        amount = "" if np.isnan(row.amount) else f"{row.amount:.3g}"
        shares = [("-" if np.isnan(share) else f"{100 * share:.0f}") for share in (row.soon, row.later)]
        delay = "-" if np.isnan(row.delay) else f"{row.delay:.0f}"
        table.add_row(row.fault.replace("_", " "), FAULTS[row.fault].label(row.size), amount, *shares, delay)
    return table


def summary_lines(found: StreamPower) -> Iterator[str]:
    """Yield what would be seen, a sentence per fault."""
    n = found.n_places - found.n_alarming
    yield f"{printable(found.stream)}: {found.n_readings:,} readings, faults planted at {found.n_places} places"
    if found.n_alarming:
        yield f"  not counted: {found.n_alarming} places at which the engine alerts without any fault"
    if not n:
        yield "  nothing can be said: it alerts wherever a fault was planted"
        return
    for fault in dict.fromkeys(row.fault for row in found.rows):
        yield from (f"  {line}" for line in _sentences(found, fault))
    if not found.has_cycle:
        yield "  no daily cycle was found that could be lost or late"


def _sentences(found: StreamPower, fault: str) -> Iterator[str]:
    """Say from which size on a fault is found, or how often the largest is."""
    own = [row for row in found.rows if row.fault == fault]
    if fault == "unit":
        yield from (f"{_UNITS[row.size]} {_is_seen(row)}" for row in own)
        return
    row = found.smallest(fault)
    words = WORDS[fault]
    if row is not None:
        more = " or more" if fault in _OR_MORE else ""
        yield f"{words.format(_size(row) + more)} {_is_seen(row)}"
    else:
        more = "even " if len(own) > 1 else ""
        yield f"{more}{words.format(_size(own[-1]))} {_is_seen(own[-1])}"


def _size(row: PowerRow) -> str:
    """Return a size as a person says it.

    Example:
        >>> _size(PowerRow("step", 4.0, 1.832, 10, 1.0, 1.0, 3.0)), _size(PowerRow("dropout", 30, np.nan, 1, 1, 1, 1))
        ('1.83', '30')
    """
    return f"{row.amount:.3g}" if row.fault in _IN_UNIT else f"{row.size:g}"


def _is_seen(row: PowerRow) -> str:
    """Say how often, and how fast."""
    n_found = round(row.in_time * row.n)
    fast = "" if np.isnan(row.delay) else f", half of them within {row.delay:.0f}"
    if not n_found:
        return f"is not seen within {FAULTS[row.fault].within} readings in any of {row.n} cases"
    return f"is seen within {FAULTS[row.fault].within} readings in {n_found} of {row.n} cases{fast}"


def as_json(streams: Sequence[StreamPower]) -> dict[str, Any]:
    """Return all figures as what JSON can hold: null where there is none."""
    return {"streams": [_stream(found) for found in streams]}


def _stream(found: StreamPower) -> dict[str, Any]:
    smallest = {fault: found.smallest(fault) for fault in dict.fromkeys(row.fault for row in found.rows)}
    return {
        **{name: value for name, value in asdict(found).items() if name != "rows"},
        "smallest_found": {fault: row and _plain(asdict(row)) for fault, row in smallest.items()},
        "rows": [_plain(asdict(row)) for row in found.rows],
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: None if isinstance(value, float) and np.isnan(value) else value for name, value in row.items()}


def write_plot(path: Path, found: StreamPower) -> None:
    """Draw the share found in time over the size, for the faults that have many sizes.

    Args:
        path: PNG file; the same figures give the same bytes.
        found: One stream.

    Raises:
        OSError: The file cannot be written.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(9, 5), dpi=120, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.axhline(100 * ENOUGH, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
        for fault, colour in _DRAWN.items():
            own = [row for row in found.rows if row.fault == fault]
            label = f"{fault.replace('_', ' ')}, within {FAULTS[fault].within} readings"
            shares = [100 * row.in_time for row in own]
            axes.plot([row.amount for row in own], shares, marker="o", markersize=5, color=colour, label=label)
        axes.set_xscale("log")
        axes.set_ylim(-2, 102)
        axes.set_xlabel("size, sensor's unit; of noise, its standard deviation")
        axes.set_ylabel("found, %")
        axes.set_title(printable(found.stream, 80), loc="left", color=INK)
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.06), ncols=2)
        with replacing(path) as draft:
            figure.savefig(draft, format="png", metadata={"Software": None})
