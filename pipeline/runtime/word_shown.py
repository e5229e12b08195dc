"""What the command line shows of a running daemon's alerts, and of what became of a word.

Comes in: documents of ``/alerts.json`` and ``/alerts/words``, which a stranger may have sent. Goes out: a table, and
lines safe for a terminal.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from pipeline.core.errors import printable

#: Characters per line from which an alert fits into one line.
WIDE = 120


def list_table(document: Mapping[str, Any], width: int) -> Table:
    """Lay out the alerts that a daemon remembers, oldest first."""
    is_wide = width >= WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("id", "stream", "opened", "state", "severity", "said") if is_wide else ("id", "when", "what"):
        table.add_column(title, overflow="fold")
    for alert in reversed(_rows(document, "alerts")):
        stream, opened = _text(alert, "stream"), _text(alert, "opened_at")[:19].replace("T", " ")
        state, severity, said = _state(alert), _text(alert, "severity"), _said(alert)
        cells: tuple[str, ...]
        if is_wide:
            cells = (_text(alert, "episode"), stream, opened, state, severity, said)
        else:
            cells = (_text(alert, "episode"), f"{opened}\n{state}\n{severity}", f"{stream}\n{said}".rstrip())
        table.add_row(*map(Text, cells))
    return table


def silence_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each silence in force."""
    for word in _rows(document, "silences"):
        note = f": {_text(word, 'note')}" if _text(word, "note") else ""
        target, until, by, key = (_text(word, name) for name in ("target", "until", "by", "key"))
        yield f"silent: {target} until {until}, said {by}{note} (foretell alerts undo {key})"


def answer_lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield what became of a word: its id, and how the alerts stand that it is about."""
    word = document.get("said")
    key = _text(word, "key") if isinstance(word, dict) else ""
    yield f"taken down as {key}"
    for alert in _rows(document, "alerts"):
        said = f", {_said(alert)}" if _said(alert) else ""
        yield f"{_text(alert, 'episode')} {_text(alert, 'stream')}: {_state(alert)}{said}"


def _state(alert: Mapping[str, Any]) -> str:
    held = _text(alert, "held")
    return f"{_text(alert, 'state')}, held back ({held})" if held else _text(alert, "state")


def _said(alert: Mapping[str, Any]) -> str:
    """Say in a few words what operators said of an alert."""
    judged, until, by = (_text(alert, key) for key in ("judged", "expected_until", "acknowledged_by"))
    parts = [f"seen by {by}" if by else "", f"judged {judged}" if judged else "", f"expected until {until}"]
    return ", ".join(part for part in parts[: 3 if until else 2] if part)


def _rows(document: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    found = document.get(key)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return printable(value, 200) if isinstance(value, str) else ""
