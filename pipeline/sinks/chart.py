"""A picture of one stream around its strongest episode.

Comes in: readings and their steps. Goes out: a PNG file: readings over the forecast band, episodes
shaded, the score under them against the alert level. The same steps give the same bytes. Needs the
extra ``plot`` (matplotlib). Refuses to know how a score came about.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, Outcome, Readings, Steps
from pipeline.sinks.outfile import check_outfile, replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Readings shown, and how many of them before the peak.
WINDOW, BEFORE_PEAK = 600, 380
#: Names longer than this are set small.
LONG_NAME = 60
INK, MUTED, FORECAST, SURPRISE = "#1f2933", "#7b8794", "#2f7ed8", "#e0523f"
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": "#cbd2d9",
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "date.converter": "concise",
}


@dataclass(frozen=True, slots=True)
class _View:
    """What is drawn of one stream: columns over the readings of the window, oldest first."""

    name: str
    time: NDArray[np.datetime64]
    value: F64
    forecast: F64
    lower: F64
    upper: F64
    score: F64
    level: F64
    opened: F64
    peak: int | None

    @classmethod
    def around_peak(cls, name: str, readings: Readings, steps: Steps) -> Self:
        """Cut the window around the strongest episode's peak, or the last readings without scores."""
        rows = np.flatnonzero(
            (readings.stream == list(readings.names).index(name)) & (steps.outcome == Outcome.ACCEPTED)
        )
        strength = _strength(steps)[rows]
        peak = int(np.nanargmax(strength)) if not np.isnan(strength).all() else None
        start = max(0, min((len(rows) if peak is None else peak) - BEFORE_PEAK, len(rows) - WINDOW))
        rows = rows[start : start + WINDOW]
        return cls(
            name,
            np.rint(readings.time[rows] * 1e3).astype(np.int64).astype("datetime64[ms]"),
            readings.value[rows],
            steps.forecast[rows],
            steps.lower[rows],
            steps.upper[rows],
            steps.score[rows],
            steps.level[rows],
            steps.opened[rows],
            None if peak is None else peak - start,
        )

    def episodes(self) -> Iterator[tuple[int, int]]:
        """Yield first and last reading of each episode in the window."""
        for opened in np.unique(self.opened[~np.isnan(self.opened)]).tolist():
            inside = np.flatnonzero(self.opened == opened)
            yield int(inside[0]), int(inside[-1])


def check_chart_file(path: Path) -> None:
    """Refuse a picture that could not be written, before the work begins.

    Raises:
        UsageError: Not ``.png``, an unwritable place, or matplotlib is not installed.
    """
    check_outfile(path, (".png",), "--plot")
    try:
        import matplotlib as mpl  # noqa: F401 - asks whether it is there
    except ImportError:
        remedy = "install it with: pip install 'foretell[plot]'"
        raise UsageError(f"--plot {path}", "a picture needs matplotlib", remedy) from None


def strongest_stream(readings: Readings, steps: Steps) -> str:
    """Return the stream with the highest score in an episode; without episodes the highest at all."""
    strength = _strength(steps)
    row = 0 if np.isnan(strength).all() else int(np.nanargmax(strength))
    return readings.names[int(readings.stream[row])]


def write_chart(path: Path, readings: Readings, steps: Steps, stream: str) -> None:
    """Draw one stream around its strongest episode.

    Args:
        path: PNG file.
        readings: Readings in input order, N of them.
        steps: Their steps, in the same order.
        stream: Name of a stream of ``readings``.

    Raises:
        OSError: The file cannot be written.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    view = _View.around_peak(stream, readings, steps)
    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(12, 6), dpi=120, facecolor="white")
        FigureCanvasAgg(figure)
        _draw(figure, view)
        with replacing(path) as draft:
            figure.savefig(draft, format="png", metadata={"Software": None})


def _strength(steps: Steps) -> F64:
    """Return the scores inside episodes; all scores when there is no episode."""
    inside = np.where(np.isnan(steps.opened), np.nan, steps.score)
    return steps.score if np.isnan(inside).all() else inside


def _draw(figure: "Figure", view: _View) -> None:
    """Lay out title, readings and scores."""
    top, bottom = figure.subplots(
        2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 1], "hspace": 0.08, "left": 0.07, "right": 0.98}
    )
    figure.subplots_adjust(top=0.84, bottom=0.09)
    figure.text(0.07, 0.945, view.name, fontsize=15 if len(view.name) <= LONG_NAME else 9, fontweight="bold")
    figure.text(0.07, 0.9, _caption(view), fontsize=10, color=MUTED)
    for axes in (top, bottom):
        for first, last in view.episodes():
            axes.axvspan(view.time[first], view.time[last], color=SURPRISE, alpha=0.13, linewidth=0)
    _draw_readings(top, view)
    _draw_scores(bottom, view)
    if len(view.time) > 1:
        bottom.set_xlim(view.time[0], view.time[-1])


def _draw_readings(axes: "Axes", view: _View) -> None:
    """Draw readings over the forecast band, the peak marked."""
    axes.fill_between(view.time, view.lower, view.upper, color=FORECAST, alpha=0.22, linewidth=0, label="forecast band")
    axes.plot(view.time, view.forecast, color=FORECAST, linewidth=1.0, label="forecast")
    axes.plot(view.time, view.value, color=INK, linewidth=1.1, label="reading")
    if view.peak is not None:
        axes.plot(view.time[view.peak], view.value[view.peak], "o", color=SURPRISE, markersize=6, label="peak")
    axes.set_ylim(*_limits(view))
    axes.set_ylabel("reading, sensor's unit")
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.2)


def _draw_scores(axes: "Axes", view: _View) -> None:
    """Draw the score against the alert level."""
    score = np.nan_to_num(view.score, nan=0.0)
    level = np.nan_to_num(view.level, nan=np.inf)
    axes.fill_between(view.time, 0, score, color=MUTED, alpha=0.45, linewidth=0, step="mid")
    axes.fill_between(view.time, 0, np.where(score >= level, score, 0), color=SURPRISE, linewidth=0, step="mid")
    axes.plot(view.time, view.level, color=SURPRISE, linewidth=1.1, linestyle=(0, (4, 3)))
    axes.set_ylim(0, 1.12 * max(float(score.max(initial=0.0)), 1.5 * float(np.nanmax(view.level, initial=1.0))))
    axes.set_ylabel("score")
    if len(view.time) and np.isfinite(level[0]):
        above = (6, 4)
        axes.annotate("alert level", (view.time[0], level[0]), xytext=above, textcoords="offset points", color=SURPRISE)


def _limits(view: _View) -> tuple[float, float]:
    """Return the value axis: all readings, and as much of the band as leaves them three fifths of it."""
    if not len(view.value):
        return 0.0, 1.0
    low, high = float(view.value.min()), float(view.value.max())
    room = (high - low) / 3 or max(1.0, 0.05 * abs(high))
    lowest = float(np.nanmin(view.lower, initial=low))
    highest = float(np.nanmax(view.upper, initial=high))
    pad = 0.15 * room
    return max(lowest, low - room) - pad, min(highest, high + room) + pad


def _caption(view: _View) -> str:
    """Say in one line what the picture shows."""
    if view.peak is None:
        return f"{len(view.time)} readings; no scores yet: the stream is warming up"
    i = view.peak
    when = str(view.time[i].astype("datetime64[s]")).replace("T", " ")
    reading = f"peak score {view.score[i]:.1f} at {when} UTC: reading {view.value[i]:.6g}"
    return f"{reading}, forecast {view.forecast[i]:.6g} ({view.lower[i]:.6g} to {view.upper[i]:.6g})"
