"""What ``foretell evaluate skab`` shows and writes.

Comes in: runs. Goes out: tables, lines of key figures, a JSON document, and what is drawn. Refuses to know how
figures came about.
"""

from collections.abc import Iterator, Sequence
from math import isfinite
from statistics import fmean
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.evaluate.skab_files import Experiment
from pipeline.evaluate.skab_judge import N_CLEAN, AtLevel, FileResult, Point, SkabRun, windows_of
from pipeline.evaluate.skab_metric import PROFILES, WINDOW_S
from pipeline.evaluate.span_plot import Strip


def files_table(runs: Sequence[SkabRun]) -> Table:
    """Lay out every experiment at the engine's own level, means over the seeds."""
    table = _table("Experiments at the engine's own level", "experiment", "rows", "changes", "met", "alerts", "outside")
    for same in zip(*(run.files for run in runs), strict=True):
        met, n_alerts, outside = (
            fmean(x) for x in zip(*((f.n_met, len(f.alerts), f.n_outside) for f in same), strict=True)
        )
        first = same[0]
        counts = (f"{x:.4g}" for x in (met, n_alerts, outside))
        table.add_row(Text(first.name), f"{first.n_rows:,}", str(first.n_changes), *counts)
    return table


def levels_table(runs: Sequence[SkabRun]) -> Table:
    """Lay out the alerts at every level beside as many blind ones, means over the seeds."""
    headings = ("alerts", *PROFILES, *(f"blind {name}" for name in PROFILES), "lead", "alerts per clean hour")
    table = _table(f"Changepoints ({WINDOW_S:g} s), beside as many blind alerts", "level", *headings)
    columns = {"own": [run.own for run in runs], "as changes": [run.matched for run in runs]}
    columns |= {f"{same[0].level:g}": list(same) for same in zip(*(run.at for run in runs), strict=True)}
    for level, same in columns.items():
        scores = [fmean(at.scores[name] for at in same) for name in PROFILES]
        blind = [fmean(at.blind[name] for at in same) for name in PROFILES]
        cells = [f"{fmean(at.n_alerts for at in same):.4g}", *(f"{score:.1f}" for score in (*scores, *blind))]
        lead, rate = fmean(at.lead for at in same), fmean(at.clean_alerts_per_hour for at in same)
        table.add_row(level, *cells, f"{lead:+.1f}", f"{rate:.2f}")
    return table


def _table(title: str, first: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def summary_lines(runs: Sequence[SkabRun], took_s: float) -> Iterator[str]:
    """Yield the key figures, one per line."""
    first = runs[0]
    seeds = f"seed {first.seed}" if len(runs) == 1 else f"{len(runs)} seeds"
    n_rows = sum(file.n_rows for file in first.files)
    yield f"{len(first.files)} experiments, {n_rows:,} rows after the first {N_CLEAN} of each, {seeds}, {took_s:.0f} s"
    yield from _at_lines("at the engine's own level", [run.own for run in runs])
    yield from _at_lines("at about as many alerts as changes", [run.matched for run in runs])
    yield f"open episodes as a claim row by row: {_points([run.state for run in runs])}"
    yield f"always on, which wins this: {_points([first.always_on])}"


def _at_lines(where: str, own: Sequence[AtLevel]) -> Iterator[str]:
    """Yield what alerts at a level are worth."""
    parts = []
    for name in PROFILES:
        ours, blind = fmean(at.scores[name] for at in own), fmean(at.blind[name] for at in own)
        parts.append(f"{name} {ours:.1f} (blind {blind:.1f})")
    leads = [at.lead for at in own]
    worst = f", worst seed {min(leads):+.1f}" if len(own) > 1 else ""
    yield f"{where}: {fmean(at.n_alerts for at in own):.4g} alerts, {', '.join(parts)}"
    yield f"  lead of the standard profile {fmean(leads):+.1f}{worst}"
    yield (
        f"  false alarms per clean hour {fmean(at.clean_alerts_per_hour for at in own):.2f} "
        f"({fmean(at.n_clean_alerts for at in own):.4g} in {own[0].clean_h:.2f} h)"
    )


def _points(points: Sequence[Point]) -> str:
    f1, false, missed = (
        fmean(getattr(point, name) for point in points) for name in ("f1", "false_alarm_rate", "missed_rate")
    )
    return f"F1 {f1:.2f}, false {false:.0%}, missed {missed:.0%}"


def as_json(runs: Sequence[SkabRun]) -> dict[str, Any]:
    """Return all figures as what JSON can hold: null for what is undefined."""
    return {
        "window_s": WINDOW_S,
        "n_clean": N_CLEAN,
        "lead": _plain(fmean(run.matched.lead for run in runs)),
        "lead_worst": _plain(min(run.matched.lead for run in runs)),
        "always_on": _point(runs[0].always_on),
        "seeds": [
            {
                "seed": run.seed,
                "own": _at(run.own),
                "matched": _at(run.matched),
                "at": [_at(at) for at in run.at],
                "state": _point(run.state),
                "files": [_file(file) for file in run.files],
            }
            for run in runs
        ],
    }


def _at(at: AtLevel) -> dict[str, Any]:
    return {
        "level": at.level,
        "n_alerts": at.n_alerts,
        "scores": {name: _plain(score) for name, score in at.scores.items()},
        "blind": {name: _plain(score) for name, score in at.blind.items()},
        "n_clean_alerts": at.n_clean_alerts,
        "clean_h": at.clean_h,
    }


def _point(point: Point) -> dict[str, float | None]:
    return {name: _plain(getattr(point, name)) for name in ("f1", "false_alarm_rate", "missed_rate")}


def _file(file: FileResult) -> dict[str, Any]:
    counts = {"n_rows": file.n_rows, "n_changes": file.n_changes, "n_met": file.n_met, "n_outside": file.n_outside}
    return {"experiment": file.name, **counts, "alert_rows": list(file.alerts)}


def _plain(number: float) -> float | None:
    return number if isfinite(number) else None


def strips(experiments: Sequence[Experiment], run: SkabRun) -> list[Strip]:
    """Return what is drawn of one run: sensors, windows of the changes, alerts; seconds since the begin."""
    drawn = []
    for experiment, file in zip(experiments, run.files, strict=True):
        time = experiment.time - experiment.time[0]
        at = [(float(time[row]), float(time[row])) for row in file.alerts]
        spans = [(first - experiment.time[0], last - experiment.time[0]) for first, last in windows_of(experiment)]
        drawn.append(Strip(experiment.name, time, tuple(experiment.value.T), tuple(spans), tuple(at)))
    return drawn
