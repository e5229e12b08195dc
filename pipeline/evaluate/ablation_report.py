"""What ``foretell evaluate nab --ablation`` shows and writes.

Comes in: an ablation. Goes out: a table that a page can hold as it is, and a JSON document.
"""

from typing import Any

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.evaluate.ablation import Ablation, Row
from pipeline.evaluate.nab import Judgement
from pipeline.evaluate.nab_report import figure, plain, seeds_text


def ablation_table(found: Ablation) -> Table:
    """Lay out the variants in Markdown: per profile the score, what it is more than the default's, and counts."""
    title = f"Detector on NAB with one part left out or changed, {found.n_windows} windows, {seeds_text(found.seeds)}"
    table = Table(title=title, title_justify="left", box=box.MARKDOWN)
    for heading in ("part", "variant"):
        table.add_column(heading)
    for judgement in found.rows[0].profiles:
        for heading in (judgement.profile.name, "difference", "met", "false alarms"):
            table.add_column(heading, justify="right")
    for row in found.rows:
        cells = (cell for number in range(len(row.profiles)) for cell in _cells(found, row, number))
        table.add_row(Text(row.variant.part), Text(row.variant.name), *cells)
    return table


def _cells(found: Ablation, row: Row, number: int) -> tuple[str, str, str, str]:
    """Return a variant's figures under one profile, means over seeds."""
    runs = row.profiles[number].best
    difference = found.difference(row, number)
    told = "" if row is found.rows[0] else "n/a" if np.isnan(difference) else f"{difference:+.2f}"
    met, false = (float(np.mean([getattr(run, count) for run in runs])) for count in ("n_met", "n_false"))
    return figure(row.mean(number)), told, f"{met:.1f}", f"{false:.1f}"


def ablation_json(found: Ablation) -> dict[str, Any]:
    """Return all figures as what JSON can hold: null where there is none."""
    return {
        "seeds": list(found.seeds),
        "n_windows": found.n_windows,
        "variants": [
            {
                "part": row.variant.part,
                "name": row.variant.name,
                "profiles": {
                    judgement.profile.name: {
                        "mean": plain(row.mean(number)),
                        "difference": plain(found.difference(row, number)),
                        **_by_seed(judgement),
                    }
                    for number, judgement in enumerate(row.profiles)
                },
            }
            for row in found.rows
        ],
    }


def _by_seed(judgement: Judgement) -> dict[str, Any]:
    """Return how each run stands at the level that is best for it."""
    runs = judgement.best
    return {
        "score": [plain(run.score) for run in runs],
        "level": [None if run.level is None else plain(run.level) for run in runs],
        "n_met": [run.n_met for run in runs],
        "n_false": [run.n_false for run in runs],
    }
