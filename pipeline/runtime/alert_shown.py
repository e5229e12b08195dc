"""What ``foretell alerts`` shows: a table of episodes, and one episode with its words and its picture.

Comes in: alerts as they were read. Goes out: a table, or lines for the terminal, or a PNG file. Refuses to know where
the alerts came from.
"""

import math
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pipeline.core.errors import ForetellError, UsageError
from pipeline.detect.wording import duration, moment
from pipeline.runtime.alert_picture import picture
from pipeline.runtime.alert_reading import SeenAlert, episodes_of, merged_evidence
from pipeline.sinks.alert_chart import write_alert_chart
from pipeline.sinks.chart import check_chart_file

_COLOURS = {"minor": "yellow", "major": "red", "critical": "bold red"}
#: Characters per line from which an episode fits into one line.
WIDE = 120


def alert_table(alerts: Sequence[SeenAlert], width: int) -> Table:
    """Lay out episodes, oldest first: when, how severe, and what happened.

    Args:
        alerts: In any order.
        width: Characters per line; where they are few, cells are stacked rather than cut.
    """
    is_wide = width >= WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("id", "stream", "opened", "lasted", "severity", "what") if is_wide else ("id", "when", "what"):
        table.add_column(title, overflow="fold")
    for group in sorted(episodes_of(alerts), key=_order):
        last = group[-1]
        severity = Text(last.severity, _COLOURS.get(last.severity, ""))
        opened, lasted = moment(last.opened_s), _lasted(last)
        what = _summary(last)
        if is_wide:
            table.add_row(Text(last.episode), Text(last.stream), Text(opened), Text(lasted), severity, Text(what))
        else:
            cell = Text(f"{last.stream}\n{what}")
            table.add_row(Text(last.episode), Text(f"{opened}\n{lasted}\n") + severity, cell)
    return table


def shown(group: Sequence[SeenAlert], width: int) -> RenderableType:
    """Return one episode: its names, its words, its picture.

    Args:
        group: Its alerts, in order.
        width: Characters per line.
    """
    last = group[-1]
    device = f"  ·  device {last.device}" if last.device else ""
    incident = f"  ·  incident {last.incident}" if last.incident else ""
    head = Text(last.stream, "bold") + Text(f"  {last.severity}", _COLOURS.get(last.severity, ""))
    parts: list[RenderableType] = [head, Text(f"alert {last.episode}{device}{incident}", "dim"), Text()]
    evidence = merged_evidence(group)
    if evidence is not None:
        parts += [*picture(evidence, onset_s=last.onset_s, opened_s=last.opened_s, width=width), Text()]
    parts.append(Text(last.text or last.summary))
    return Group(*parts)


def check_picture(path: Path) -> None:
    """Refuse a picture that could not be written.

    Raises:
        UsageError: Not ``.png``, an unwritable place, or matplotlib is not installed.
    """
    check_chart_file(path)


def draw(group: Sequence[SeenAlert], path: Path) -> None:
    """Draw one episode as a PNG file.

    Raises:
        UsageError: Its alerts carry no readings.
        ForetellError: The disk is full or the folder went away.
    """
    last, evidence = group[-1], merged_evidence(group)
    if evidence is None:
        raise UsageError(f"--plot {path}", "this alert carries no readings", "choose another, or leave --plot out")
    try:
        write_alert_chart(path, last.stream, last.summary, evidence, onset_s=last.onset_s, opened_s=last.opened_s)
    except OSError as error:
        raise ForetellError(f"{path}: cannot be written: {error.strerror}") from None


def _order(group: Sequence[SeenAlert]) -> tuple[bool, float, str]:
    """Order episodes by their opening; those without one come last."""
    opened_s = group[-1].opened_s
    return math.isnan(opened_s), 0.0 if math.isnan(opened_s) else opened_s, group[-1].stream


def _lasted(last: SeenAlert) -> str:
    """Say how long an episode lasted."""
    return "still open" if last.is_open else duration(max(last.at_s - last.opened_s, 0.0))


def _summary(last: SeenAlert) -> str:
    """Return the summary without its ending, which has a column of its own."""
    return last.summary.partition("; it ended at ")[0]
