"""What the demo shows on a terminal: one line per stream, worst first.

Comes in: the last step of every stream. Goes out: a rich table. This module refuses to know where the
view comes from.
"""

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod
from rich.table import Table
from rich.text import Text

from pipeline.core.records import I64
from pipeline.detect.health import VERDICTS
from pipeline.runtime.session import FleetView

_BAR_CELLS = 12
_BROKEN = sum(VERDICTS)
#: Share of the alert level from which a score is shown as notable.
_NOTABLE = 0.5
#: From here on numbers are shown without decimals, and from there on with an exponent.
_LARGE, _HUGE = 1e5, 1e9
_CAPTION = 'Full bar: alert level. Error ratio: the LSTM\'s error over that of "as before".'
#: Heading, narrowest width (so that columns stand still) and side; narrow terminals lose the last ones.
_COLUMNS: tuple[tuple[str, int, JustifyMethod], ...] = (
    ("stream", 33, "left"),
    ("state", 10, "left"),
    ("score", _BAR_CELLS + 5, "left"),
    ("value", 9, "right"),
    ("forecast", 19, "right"),
    ("residual", 8, "right"),
    ("error ratio", 5, "right"),
)


def fleet_table(view: FleetView, title: str, n_rows: int) -> Table:
    """Lay out the streams that are most surprising.

    Args:
        view: Last step of every stream.
        title: Line above the table.
        n_rows: Streams shown at most.
    """
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), caption=_CAPTION)
    for heading, width, side in _COLUMNS:
        table.add_column(heading, justify=side, no_wrap=True, min_width=width)
    for slot in worst_first(view)[:n_rows].tolist():
        table.add_row(*_row(view, slot), style="bold" if view.is_open[slot] else "")
    return table


def worst_first(view: FleetView) -> I64:
    """Return the slots: open episodes, sensors found broken, then by score; those warming up come last."""
    score = np.nan_to_num(view.score, nan=-1.0)
    is_broken = (view.health & _BROKEN) > 0
    order: I64 = np.lexsort((-score, ~is_broken, ~view.is_open))
    return order


def _row(view: FleetView, slot: int) -> tuple[Text | str, ...]:
    has_forecast = np.isfinite(view.forecast[slot])
    return (
        view.names[slot],
        _state(view, slot),
        score_bar(view.score[slot], view.level[slot]),
        _number(view.value[slot]),
        f"{_number(view.lower[slot])} … {_number(view.upper[slot])}" if has_forecast else "",
        _number(view.value[slot] - view.forecast[slot], 3),
        _number(view.skill_ratio[slot, 0], 2),
    )


def score_bar(score: float, level: float) -> Text:
    """Draw a score against the alert level, which is the full bar.

    Example:
        >>> score_bar(2.25, 4.5).plain
        '██████······ 2.2'
    """
    if not np.isfinite(score):
        return Text("·" * _BAR_CELLS, style="dim")
    share = min(score / level, 1.0) if level > 0 else 0.0
    filled = round(share * _BAR_CELLS)
    style = "red" if share >= 1 else "yellow" if share >= _NOTABLE else "green"
    return Text("█" * filled + "·" * (_BAR_CELLS - filled) + f" {score:.1f}", style=style)


def _state(view: FleetView, slot: int) -> Text:
    if view.is_open[slot]:
        return Text("ALERT", style="red")
    held = [verdict for verdict in VERDICTS if int(view.health[slot]) & verdict]
    if held:
        return Text(str(held[0].name).lower().replace("_", " "), style="yellow")
    if np.isfinite(view.score[slot]):
        return Text("ok", style="green")
    return Text("warming up", style="dim")


def _number(value: float, digits: int = 5) -> str:
    """Format a value of any size in few characters; nothing when it is missing.

    Example:
        >>> _number(50.0184), _number(1208561.2), _number(float("nan"))
        ('50.018', '1,208,561', '')
    """
    if not np.isfinite(value):
        return ""
    return f"{value:,.0f}" if _LARGE <= abs(value) < _HUGE else f"{value:.{digits}g}"
