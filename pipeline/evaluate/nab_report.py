"""What ``foretell evaluate nab`` shows and writes.

Comes in: an evaluation. Goes out: tables, lines and a JSON document. Refuses to know how figures came about.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.evaluate.nab import N_SPLITS, Judgement, NabEvaluation, Published, Split, Standing


def files_table(found: NabEvaluation) -> Table:
    """Lay out the files under the first profile: windows, false alarms, and what is lost where; means over seeds."""
    first = found.profiles[0]
    title = f"By file, at each run's best level for {first.profile.name}; means over seeds"
    table = _table(title, "file", ("readings", "windows", "met", "false alarms", "points", "lost"))
    met, false = (np.mean([getattr(run.files, n) for run in first.best], axis=0) for n in ("n_met", "n_false"))
    columns = (found.names, found.n_readings, found.n_windows, met, false, first.points, first.lost)
    for name, n, n_windows, *figures in zip(*columns, strict=True):
        table.add_row(Text(name), f"{n:,}", str(n_windows), *map(figure, figures))
    return table


def summary_table(found: NabEvaluation) -> Table:
    """Lay out the profiles: at the level that NAB's search would choose, and at the engine's own."""
    headings = (
        "mean",
        "worst seed",
        "level",
        "windows met",
        "false alarms",
        "own level: mean",
        "worst",
        "met",
        "false",
    )
    table = _table(f"NAB, {seeds_text(found.seeds)}: 0 is silence, 100 is perfect", "profile", headings)
    n_windows = int(found.n_windows.sum())
    for judged in found.profiles:
        best, own = judged.best, judged.budget
        level = f"{min(_levels(best)):.2f} to {max(_levels(best)):.2f}"
        counts = [f"{_met(runs)} of {n_windows}" for runs in (best, own)]
        chosen = (figure(_mean(best)), figure(_worst(best)), level, counts[0], _false(best))
        table.add_row(judged.profile.name, *chosen, figure(_mean(own)), figure(_worst(own)), counts[1], _false(own))
    return table


def published_table(published: Sequence[Published], n_windows: int) -> Table:
    """Lay out the detectors whose scores are published, each profile at its best threshold."""
    names = [*published[0].by] if published else []
    headings = [heading for name in names for heading in (name, "met", "false alarms")]
    table = _table(f"Published detectors on the same files, {n_windows} windows", "detector", headings)
    for detector in published:
        figures = [
            text for run in detector.by.values() for text in (figure(run.score), str(run.n_met), str(run.n_false))
        ]
        table.add_row(Text(detector.name), *figures)
    return table


def summary_lines(found: NabEvaluation, took_s: float) -> Iterator[str]:
    """Yield what the tables do not hold, one figure per line."""
    n_readings = sum(found.n_readings)
    yield f"{len(found.names)} files, {n_readings:,} readings, {seeds_text(found.seeds)}, {took_s:.0f} s"
    for judged in found.profiles:
        by_seed = ", ".join(figure(run.score) for run in judged.best)
        common = f"{figure(_mean(judged.common))} at level {_levels(judged.common)[0]:.2f}"
        yield f"{judged.profile.name} by seed: {by_seed}; one level for all: {common}"
    for judged in found.profiles:
        yield f"{judged.profile.name}, level chosen on half of the files ({N_SPLITS} splits): {_split(judged.split)}"


def _split(split: Split) -> str:
    return f"{figure(split.other)} ± {figure(split.other_sd)} on the other half, {figure(split.chosen)} on its own"


def _table(title: str, first: str, headings: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(first, overflow="fold")
    for heading in headings:
        table.add_column(heading, justify="right")
    return table


def seeds_text(seeds: Sequence[int]) -> str:
    """Say which seeds were run.

    Example:
        >>> seeds_text([1]), seeds_text([1, 2])
        ('seed 1', '2 seeds')
    """
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"{len(seeds)} seeds"


def _mean(runs: Sequence[Standing]) -> float:
    return float(np.mean([run.score for run in runs]))


def _worst(runs: Sequence[Standing]) -> float:
    return float(np.min([run.score for run in runs]))


def _met(runs: Sequence[Standing]) -> str:
    return f"{np.mean([run.n_met for run in runs]):.1f}"


def _false(runs: Sequence[Standing]) -> str:
    return f"{np.mean([run.n_false for run in runs]):.1f}"


def _levels(runs: Sequence[Standing]) -> list[float]:
    return [run.level for run in runs if run.level is not None]


def figure(number: float) -> str:
    """Format a score or count; scores are compared to a hundredth.

    Example:
        >>> figure(74.8538), figure(float("nan"))
        ('74.85', 'n/a')
    """
    return "n/a" if np.isnan(number) else f"{number:.2f}"


def as_json(found: NabEvaluation) -> dict[str, Any]:
    """Return all figures as what JSON can hold: null where there is none."""
    return {
        "seeds": list(found.seeds),
        "n_readings": sum(found.n_readings),
        "n_windows": int(found.n_windows.sum()),
        "profiles": {judged.profile.name: _profile(judged) for judged in found.profiles},
        "published": published_json(found.published),
        "levels": plain(found.levels),
        "n_false": plain(found.n_false),
        "files": [_file(found, i) for i in range(len(found.names))],
    }


def published_json(published: Sequence[Published]) -> dict[str, Any]:
    """Return the standings of published detectors by name and profile."""
    return {detector.name: {name: _standing(run) for name, run in detector.by.items()} for detector in published}


def _profile(judged: Judgement) -> dict[str, Any]:
    kinds = {"best": judged.best, "own_level": judged.budget, "common_level": judged.common}
    runs = {
        kind: {"mean": plain(_mean(own)), "worst": plain(_worst(own)), "by_seed": [_standing(run) for run in own]}
        for kind, own in kinds.items()
    }
    split = {key: plain(value) for key, value in asdict(judged.split).items()}
    return {**runs, "half_split": split, "curve": plain(judged.curve)}


def _standing(run: Standing) -> dict[str, Any]:
    own = {} if run.level is None else {"level": plain(run.level)}
    return {"score": plain(run.score), **own, "n_met": run.n_met, "n_false": run.n_false}


def _file(found: NabEvaluation, i: int) -> dict[str, Any]:
    """Return one file's figures, per profile and seed at the best level."""
    by = {
        judged.profile.name: {
            "points": plain(judged.points[i]),
            "lost": plain(judged.lost[i]),
            "n_met": [int(run.files.n_met[i]) for run in judged.best],
            "n_false": [int(run.files.n_false[i]) for run in judged.best],
        }
        for judged in found.profiles
    }
    return {"file": found.names[i], "n_readings": found.n_readings[i], "n_windows": int(found.n_windows[i]), **by}


def plain(value: Any) -> Any:  # noqa: ANN401 - JSON holds anything
    """Return numbers as JSON has them: null for what is none, six digits behind the point."""
    if isinstance(value, np.ndarray):
        return [plain(number) for number in value.tolist()]
    return round(float(value), 6) if np.isfinite(value) else None
