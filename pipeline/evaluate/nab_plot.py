"""A picture of NAB's score over the number of false alarms, as the alert level moves.

Comes in: an evaluation. Goes out: a PNG file; the same figures give the same bytes. Needs the extra ``plot``
(matplotlib).
"""

from pathlib import Path

import numpy as np

from pipeline.evaluate.nab import NabEvaluation
from pipeline.sinks.chart import FORECAST, INK, MUTED, STYLE, SURPRISE
from pipeline.sinks.outfile import replacing


def write_plot(path: Path, found: NabEvaluation) -> None:
    """Draw the mean score of the first profile at every level, each run at its best and own level, and others.

    Args:
        path: PNG file.
        found: The evaluation.

    Raises:
        OSError: The file cannot be written.
    """
    from matplotlib import style
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    first = found.profiles[0]
    with style.context(STYLE, after_reset=True):
        figure = Figure(figsize=(10, 6), dpi=120, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.plot(found.n_false, first.curve, color=FORECAST, linewidth=1.5, label="mean of the seeds, level by level")
        for runs, marker, colour, label in (
            (first.best, "o", FORECAST, "a seed at its best level"),
            (first.budget, "D", SURPRISE, "a seed at the engine's own level"),
        ):
            axes.plot([r.n_false for r in runs], [r.score for r in runs], marker, color=colour, ms=5, label=label)
        for detector in found.published:
            run = detector.by[first.profile.name]
            axes.plot(run.n_false, run.score, "^", color=INK, ms=6)
            axes.annotate(detector.name, (run.n_false, run.score), (6, 4), textcoords="offset points", color=MUTED)
        axes.set_ylim(0, 100)
        axes.set_xlim(0, _right_edge(found))
        axes.set_xlabel("false alarms")
        axes.set_ylabel(f"NAB score, {first.profile.name}")
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
        with replacing(path) as draft:
            figure.savefig(draft, format="png", metadata={"Software": None})


def _right_edge(found: NabEvaluation) -> float:
    """Return where the picture ends: past all points, and where the curve has come down from its best."""
    first = found.profiles[0]
    points = [run.n_false for run in (*first.best, *first.budget)]
    points += [detector.by[first.profile.name].n_false for detector in found.published]
    is_worth_seeing = np.nan_to_num(first.curve) > np.nan_to_num(first.curve).max() / 2
    return 1.1 * max(*points, float(found.n_false[is_worth_seeing].max(initial=1.0)), 1.0)
