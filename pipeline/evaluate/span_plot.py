"""A picture of recordings under each other: readings, what is labelled, and where alerts were.

Comes in: strips. Goes out: a PNG file; the same strips give the same bytes. Needs the extra ``plot`` (matplotlib).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.records import F64
from pipeline.evaluate.events import Span
from pipeline.sinks.chart import INK, MUTED, STYLE, SURPRISE
from pipeline.sinks.outfile import replacing

_LABEL = "#f7d070"
_MOST_SPREADS = 6.0  # one outlier must not flatten a whole strip
_HEIGHT = 0.8  # of a strip, inches


@dataclass(frozen=True, slots=True)
class Strip:
    """One recording.

    Attributes:
        name: What stands on the left.
        time: Of every reading, in the unit of the axis, shape (N,).
        lines: Readings of each stream, shape (N,) each.
        labels: Labelled stretches.
        alerts: Alerts, each from its opening to its end.
    """

    name: str
    time: F64
    lines: tuple[F64, ...]
    labels: tuple[Span, ...]
    alerts: tuple[Span, ...]


def write_strips(path: Path, strips: Sequence[Strip], axis: str) -> None:
    """Draw strips under each other, each stream on a scale of its own.

    Args:
        path: PNG file.
        strips: One per recording.
        axis: What the horizontal axis shows.

    Raises:
        OSError: The file cannot be written.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(14, 1 + _HEIGHT * len(strips)), dpi=100, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        for axes, strip in zip(figure.subplots(len(strips), squeeze=False)[:, 0], strips, strict=True):
            for first, last in strip.labels:
                axes.axvspan(first, last, color=_LABEL, linewidth=0)
            for line in strip.lines:
                axes.plot(strip.time, scaled(line), color=INK if len(strip.lines) == 1 else MUTED, linewidth=0.6)
            for first, last in strip.alerts:
                axes.plot([first, last], [1.08, 1.08], color=SURPRISE, linewidth=2, clip_on=False)
                axes.plot(first, 1.08, "v", color=SURPRISE, markersize=4, clip_on=False)
            axes.set(ylim=(-0.05, 1.15), yticks=[], xlim=(strip.time.min(initial=0), strip.time.max(initial=1)))
            axes.set_ylabel(strip.name, rotation=0, ha="right", va="center")
        axes.set_xlabel(f"{axis}; yellow: labelled, red: alerts from their opening on")
        with replacing(path) as draft:
            figure.savefig(draft, format="png", metadata={"Software": None})


def scaled(line: F64) -> F64:
    """Return readings between 0 and 1, extreme ones at the edge.

    Example:
        >>> scaled(np.array([2.0, 4.0, 3.0])).tolist()
        [0.0, 1.0, 0.5]
    """
    known = line[np.isfinite(line)]
    if not len(known):
        return line
    middle, spread = np.median(known), known.std()
    bounded = np.clip(line, middle - _MOST_SPREADS * spread, middle + _MOST_SPREADS * spread)
    low, high = np.nanmin(bounded), np.nanmax(bounded)
    return (bounded - low) / (high - low) if high > low else np.full(len(line), 0.5)
