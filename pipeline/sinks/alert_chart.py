"""A picture of one alert: its evidence, what was foretold, where the change began and where it was noticed.

Comes in: the evidence of an alert and its words. Goes out: a PNG file; the same alert gives the same bytes. Needs the
extra ``plot`` (matplotlib). Refuses to know where the alert came from.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.evidence import Evidence
from pipeline.sinks.chart import FORECAST, INK, LONG_NAME, MUTED, STYLE, SURPRISE
from pipeline.sinks.outfile import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MAX_CAPTION = 150


def write_alert_chart(
    path: Path, title: str, caption: str, evidence: Evidence, *, onset_s: float, opened_s: float
) -> None:
    """Draw an alert.

    Args:
        path: PNG file.
        title: Name of the stream.
        caption: One line about it.
        evidence: The readings, at least one.
        onset_s: When the change began, Unix seconds; NaN for unknown.
        opened_s: When it was noticed, Unix seconds.

    Raises:
        OSError: The file cannot be written.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(12, 5), dpi=120, facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0.07, 0.1, 0.91, 0.68))
        figure.text(0.07, 0.93, _plain(title), fontsize=15 if len(title) <= LONG_NAME else 9, fontweight="bold")
        short = caption if len(caption) <= _MAX_CAPTION else caption[: _MAX_CAPTION - 1] + "…"
        figure.text(0.07, 0.87, _plain(short), fontsize=10, color=MUTED)
        _draw(axes, evidence.parted())
        _mark(axes, evidence, onset_s=onset_s, opened_s=opened_s)
        with replacing(path) as draft:
            figure.savefig(draft, format="png", metadata={"Software": None})


def _draw(axes: "Axes", evidence: Evidence) -> None:
    """Draw readings over the forecast band; readings outside of it stand out."""
    time = _times(evidence.time)
    axes.fill_between(
        time, evidence.lower, evidence.upper, color=FORECAST, alpha=0.22, linewidth=0, label="forecast band"
    )
    axes.plot(time, evidence.forecast, color=FORECAST, linewidth=1.0, label="forecast")
    axes.plot(time, evidence.value, color=INK, linewidth=1.1, marker=".", markersize=4, label="reading")
    with np.errstate(invalid="ignore"):
        is_outside = (evidence.value < evidence.lower) | (evidence.value > evidence.upper)
    outside = np.ma.masked_where(~is_outside, evidence.value)
    axes.plot(time, outside, "o", color=SURPRISE, markersize=4, label="outside of the band")
    axes.set_ylabel("reading, sensor's unit")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2)


def _mark(axes: "Axes", evidence: Evidence, *, onset_s: float, opened_s: float) -> None:
    """Draw a line where the change began, and one where it was noticed."""
    first, last = float(evidence.time[0]), float(evidence.time[-1])
    for at_s, word, height in ((onset_s, "began", 0.02), (opened_s, "noticed", 0.09)):
        if math.isfinite(at_s) and first <= at_s <= last:
            at: Any = _times(np.array([at_s]))[0]
            axes.axvline(at, color=SURPRISE, linewidth=1.1, linestyle=(0, (4, 3)))
            place = (at, height)
            axes.annotate(
                word,
                place,
                xycoords=("data", "axes fraction"),
                xytext=(4, 0),
                textcoords="offset points",
                color=SURPRISE,
            )
    if last > first:
        margin_s = 0.02 * (last - first)
        low, high = _times(np.array([first - margin_s, last + margin_s])).tolist()
        axes.set_xlim(low, high)


def _times(time_s: NDArray[np.float64]) -> NDArray[np.datetime64]:
    """Round Unix seconds to whole milliseconds."""
    return np.rint(time_s * 1e3).astype(np.int64).astype("datetime64[ms]")


def _plain(text: str) -> str:
    """Return text that matplotlib does not take for a formula."""
    return text.replace("$", r"\$")
