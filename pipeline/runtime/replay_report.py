"""What ``foretell replay`` shows at its end.

Comes in: the result of a replay. Goes out: a table of episodes and one line of summary. Refuses to
know the terminal's width.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.detect.explain import SHORT_WORDS
from pipeline.runtime.replay import Episode, ReplayResult

#: Characters per line from which an episode fits into one line.
WIDE = 160
WIDE_TITLES = ("stream", "start", "end", "peak score", "value", "forecast", "interval", "surprising")
NARROW_TITLES = ("stream", "start, end", "peak", "value, forecast")
NUMBERS = frozenset({"peak score", "peak", "value", "forecast"})


def episode_table(episodes: Sequence[Episode], width: int) -> Table:
    """Lay out the episodes: when, how surprising, and reading against forecast at the peak.

    Args:
        episodes: In the order wanted.
        width: Characters per line; where they are few, cells are stacked rather than cut.
    """
    is_wide = width >= WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in WIDE_TITLES if is_wide else NARROW_TITLES:
        table.add_column(title, justify="right" if title in NUMBERS else "left", overflow="fold")
    for episode in episodes:
        cells = _cells(episode)
        table.add_row(*(Text(cell) for cell in (cells if is_wide else _stacked(*cells))))
    return table


def _stacked(
    stream: str, start: str, end: str, score: str, value: str, forecast: str, interval: str, view: str
) -> tuple[str, ...]:
    """Return the cells of one row, two lines high."""
    return f"{stream}\n{view}", f"{start}\n{end}", score, f"{value}\n{forecast} ({interval})"


def _cells(episode: Episode) -> tuple[str, str, str, str, str, str, str, str]:
    """Return the cells of one row, under ``WIDE_TITLES``."""
    last = episode.last
    view = SHORT_WORDS.get(last.view, last.view)
    return (
        last.stream,
        _time(last.opened_s),
        "open" if episode.end_s is None else _time(episode.end_s),
        f"{last.peak_score:.1f}",
        f"{last.value:.6g}",
        f"{last.forecast:.6g}",
        f"{last.lower:.5g} .. {last.upper:.5g}",
        f"{view} (drift)" if last.reason == "drift" else view,
    )


def _time(time_s: float) -> str:
    """Format an event time to the second, UTC.

    Example:
        >>> _time(1400030040.25)
        '2014-05-14 01:14:00'
    """
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%d %H:%M:%S")


def summary(result: ReplayResult, took_s: float | None = None) -> str:
    """Say in one line what a replay did.

    Args:
        result: The replay.
        took_s: Time it took, seconds; None where that does not matter.

    Returns:
        Streams, readings by outcome, episodes and, where given, seconds.
    """
    outcomes = ", ".join(f"{n:,} {name.replace('_', ' ')}" for name, n in result.counts.items() if n)
    n_open = sum(episode.end_s is None for episode in result.episodes)
    still = f" ({n_open} still open)" if n_open else ""
    streams = _counted(len(result.readings.names), "stream")
    readings = _counted(len(result.readings), "reading")
    took = "" if took_s is None else f", {took_s:.1f} s"
    return f"{streams}, {readings} ({outcomes}), {_counted(len(result.episodes), 'episode')}{still}{took}"


def _counted(n: int, noun: str) -> str:
    """Return a number with its noun.

    Example:
        >>> _counted(1, "stream"), _counted(1200, "reading")
        ('1 stream', '1,200 readings')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
