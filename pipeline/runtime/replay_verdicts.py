"""What ``foretell replay`` shows of health verdicts: which held, from when to when, and why.

Comes in: the verdicts that were raised and cleared. Goes out: a table, one row for each that was raised.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.core.records import HealthEvent

TITLES = ("stream", "verdict", "since", "until", "why")


@dataclass(frozen=True, slots=True)
class Held:
    """One verdict from its beginning to its end.

    Attributes:
        raised: The event that raised it.
        end_s: Event time of the reading that cleared it, Unix seconds; None when it still holds.
    """

    raised: HealthEvent
    end_s: float | None


def verdicts_held(events: Sequence[HealthEvent]) -> list[Held]:
    """Pair raised verdicts with their ends; by stream as they first appear, then by time.

    Args:
        events: In the order of time within each stream.
    """
    order: dict[str, int] = {}
    open_at: dict[tuple[str, int], int] = {}
    found: list[Held] = []
    for event in events:
        order.setdefault(event.stream, len(order))
        key = (event.stream, int(event.verdict))
        if event.raised:
            open_at[key] = len(found)
            found.append(Held(event, None))
        elif key in open_at:
            place = open_at.pop(key)
            found[place] = Held(found[place].raised, event.at_s)
    return sorted(found, key=lambda held: (order[held.raised.stream], held.raised.at_s))


def verdict_table(held: Sequence[Held]) -> Table:
    """Lay out verdicts: which, since when, until when, and why."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in TITLES:
        table.add_column(title, overflow="fold")
    for one in held:
        event = one.raised
        until = "still" if one.end_s is None else _time(one.end_s)
        cells = (event.stream, str(event.verdict.name).lower(), _time(event.since_s), until, event.text)
        table.add_row(*map(Text, cells))
    return table


def _time(time_s: float) -> str:
    """Format an event time to the second, UTC.

    Example:
        >>> _time(1400030040.25)
        '2014-05-14 01:14:00'
    """
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")
