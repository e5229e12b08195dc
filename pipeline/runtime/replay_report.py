"""What ``foretell replay`` shows at its end.

Comes in: the result of a replay. Goes out: a table of episodes and one line of summary. Refuses to
know the terminal's width.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.runtime.replay import Episode, ReplayResult


def episode_table(episodes: Sequence[Episode]) -> Table:
    """Lay out one row per episode: when, how surprising, and reading against forecast at the peak."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("stream", overflow="fold")
    for title in ("start", "end"):
        table.add_column(title, overflow="fold")
    for title in ("peak score", "value", "forecast"):
        table.add_column(title, justify="right", overflow="fold")
    for title in ("interval", "surprising"):
        table.add_column(title, overflow="fold")
    for episode in episodes:
        table.add_row(*(Text(cell) for cell in _cells(episode)))
    return table


def _cells(episode: Episode) -> tuple[str, ...]:
    """Return the cells of one row."""
    last = episode.last
    return (
        last.stream,
        _time(last.opened_s),
        "open" if episode.end_s is None else _time(episode.end_s),
        f"{last.peak_score:.1f}",
        f"{last.value:.6g}",
        f"{last.forecast:.6g}",
        f"{last.lower:.6g} .. {last.upper:.6g}",
        f"{last.view} (drift)" if last.reason == "drift" else last.view,
    )


def _time(time_s: float) -> str:
    """Format an event time to the second, UTC.

    Example:
        >>> _time(1400030040.25)
        '2014-05-14 01:14:00'
    """
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def summary(result: ReplayResult, took_s: float) -> str:
    """Say in one line what a replay did.

    Args:
        result: The replay.
        took_s: Time it took, seconds.

    Returns:
        Streams, readings by outcome, episodes and seconds.
    """
    outcomes = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in result.counts.items() if n)
    n_open = sum(episode.end_s is None for episode in result.episodes)
    still = f" ({n_open} still open)" if n_open else ""
    streams = _counted(len(result.readings.names), "stream")
    readings = _counted(len(result.readings), "reading")
    return f"{streams}, {readings} ({outcomes}), {_counted(len(result.episodes), 'episode')}{still}, {took_s:.1f} s"


def _counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    Example:
        >>> _counted(1, "stream"), _counted(1200, "reading")
        ('1 stream', '1,200 readings')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
