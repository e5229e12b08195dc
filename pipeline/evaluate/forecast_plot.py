"""A picture of scaled errors: one place per stream, sorted by the league's, with everybody else's beside it.

Comes in: the errors of streams. Goes out: a PNG file; the same errors give the same bytes. Needs the extra
``plot`` (matplotlib).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.core.records import F64
from pipeline.evaluate.forecast_judge import LEAGUE, LSTM, StreamErrors
from pipeline.sinks.chart import INK, MUTED, STYLE
from pipeline.sinks.outfile import replacing

#: Scaled errors outside are drawn at the edge.
RANGE = (0.05, 20.0)
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10)
COLOURS = ("#2f7ed8", "#e0523f", "#8d6bc4", "#2a9d6f", "#d9a021", "#7b8794", "#c45a9c")


def write_plot(path: Path, streams: Sequence[StreamErrors], peers: Mapping[str, str]) -> None:
    """Draw the scaled errors of league, LSTM and each family of peers, the best of the family.

    Args:
        path: PNG file.
        streams: Errors by stream; those without a scale are left out.
        peers: Peers that ran, by name, with their family.

    Raises:
        OSError: The file cannot be written.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    series = curves(streams, peers)
    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(12, 6), dpi=120, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.axhline(1.0, color=MUTED, linewidth=1.2, linestyle=(0, (4, 3)), label="persistence")
        place = np.arange(len(series[LEAGUE]))
        axes.plot(place, series.pop(LEAGUE), color=INK, marker="o", markersize=4, linewidth=1.2, label=LEAGUE)
        for (name, errors), colour in zip(series.items(), COLOURS, strict=False):
            axes.plot(place, errors, "x", color=colour, markersize=5, label=name)
        axes.set_yscale("log")
        axes.set_yticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axes.minorticks_off()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_ylim(RANGE[0], RANGE[1] * 1.1)
        axes.set_ylabel("mean absolute error over persistence's")
        axes.set_xlabel("streams, by the league's error; what diverged is at the top")
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=7)
        with replacing(path) as draft:
            figure.savefig(draft, format="png", metadata={"Software": None})


def curves(streams: Sequence[StreamErrors], peers: Mapping[str, str]) -> dict[str, F64]:
    """Return what is drawn: clipped scaled errors by name, NaN for none, streams sorted by the league's."""
    known = [errors for errors in streams if not np.isnan(errors.mase(LEAGUE))]
    known.sort(key=lambda errors: errors.mase(LEAGUE))
    families = {family: [peer for peer in peers if peers[peer] == family] for family in peers.values()}
    groups = {LEAGUE: [LEAGUE], LSTM: [LSTM], **families}
    return {
        name: np.clip([_best(errors, members) for errors in known], *RANGE).astype(np.float64)
        for name, members in groups.items()
    }


def _best(errors: StreamErrors, members: Sequence[str]) -> float:
    """Return the smallest scaled error of a family; NaN when none of it ran."""
    return min((mase for name in members if not np.isnan(mase := errors.mase(name))), default=np.nan)
