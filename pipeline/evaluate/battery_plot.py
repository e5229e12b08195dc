"""A picture of the battery: false alarms of every kind beside the promise, and which faults are found in time.

Comes in: a report. Goes out: a PNG file; the same report gives the same bytes. Needs the extra ``plot`` (matplotlib).
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.evaluate.battery_faults import FAULTS
from pipeline.evaluate.battery_report import SHORT, Report
from pipeline.evaluate.battery_summary import KEPT
from pipeline.sinks.chart import INK, MUTED, STYLE
from pipeline.sinks.outfile import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Ratios outside are drawn at the edge.
RANGE = (0.02, 50.0)


def write_plot(path: Path, report: Report) -> None:
    """Draw a report.

    Args:
        path: PNG file.
        report: Without faults only the clean streams are drawn.

    Raises:
        OSError: The file cannot be written.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cases = report.by_case()
    n_rows = 2 if cases else 1
    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(12, 4 + 0.3 * len(cases)), dpi=120, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(n_rows, 1, squeeze=False, height_ratios=(9, max(1, len(cases)))[:n_rows])[:, 0]
        _draw_alarms(panels[0], report)
        if cases:
            _draw_found(panels[1], report)
        with replacing(path) as draft:
            figure.savefig(draft, format="png", metadata={"Software": None})


def _draw_alarms(axes: "Axes", report: Report) -> None:
    """Draw each kind's false alarms over the promised ones, with their interval."""
    place = np.arange(len(report.kinds))
    bounds = np.clip([(row.low, row.ratio, row.high) for row in report.kinds], *RANGE)
    axes.axhspan(*KEPT, color=MUTED, alpha=0.2, linewidth=0)
    axes.axhline(1.0, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.vlines(place, bounds[:, 0], bounds[:, 2], color=INK, linewidth=1.5)
    axes.plot(place, bounds[:, 1], "o", color=INK, markersize=5)
    axes.set_yscale("log")
    axes.set_ylim(RANGE[0], RANGE[1] * 1.1)
    axes.set_xlim(-0.5, len(place) - 0.5)
    axes.set_xticks(place, [SHORT.get(row.kind, row.kind) for row in report.kinds])
    axes.set_ylabel("false alarms over promised")


def _draw_found(axes: "Axes", report: Report) -> None:
    """Draw the share of every fault that is found in time, a line per fault and size."""
    cases = report.by_case()
    kinds = [row.kind for row in report.kinds]
    share = np.full((len(cases), len(kinds)), np.nan)
    for i, by_kind in enumerate(cases.values()):
        for row in filter(lambda row: row.n, by_kind.values()):
            k = kinds.index(row.kind)
            share[i, k] = 100 * row.in_time
            text = f"({share[i, k]:.0f})" if row.hidden else f"{share[i, k]:.0f}"
            axes.text(k, i, text, ha="center", va="center", fontsize=8)
    axes.imshow(share, aspect="auto", cmap="RdYlGn", vmin=0, vmax=100, alpha=0.6)
    names = [f"{fault.replace('_', ' ')} {FAULTS[fault].label(size)}" for fault, size in cases]
    axes.set_yticks(np.arange(len(cases)), names)
    axes.set_xticks(np.arange(len(kinds)), [SHORT.get(kind, kind) for kind in kinds])
    axes.set_xlabel("found in time, %; in brackets where nobody could")
    axes.grid(visible=False)
