"""Reads alerts back from JSON lines: a file that replay wrote, or what ``mosquitto_sub`` prints.

Comes in: lines of text that anybody may have written. Goes out: alerts as far as they can be understood, and the
number of lines that are none. Total: no line makes it fail. Refuses to know where lines come from.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from typing import Any

import numpy as np

from pipeline.core.errors import UsageError, printable
from pipeline.core.evidence import Evidence
from pipeline.core.records import F64

#: Longer lines are no alerts.
MAX_LINE = 256 * 1024
#: Readings of evidence that are looked at, at most.
MAX_READINGS = 4096
_MAX_NAME, _MAX_TEXT = 200, 8000
#: Larger numbers, and times outside of these centuries (Unix seconds), are none: what draws them must not fail.
_MAX_ABS, _TIMES = 1e18, (-2.2e9, 7.2e9)
_SHORTEST_ID = 4


@dataclass(frozen=True, slots=True)
class SeenAlert:
    """An alert as it was read; texts are safe for a terminal.

    Attributes:
        is_open: It is an opening; else a closing.
        episode: Stable id.
        incident, device, stream: Names; empty when missing.
        opened_s, onset_s, at_s: Unix seconds; NaN when missing.
        severity: One word; empty when missing.
        odds: One in so many readings; NaN when missing.
        summary: One line.
        text: Paragraphs.
        evidence: The last readings; None when missing.
    """

    is_open: bool
    episode: str
    incident: str
    device: str
    stream: str
    opened_s: float
    onset_s: float
    at_s: float
    severity: str
    odds: float
    summary: str
    text: str
    evidence: Evidence | None


def parsed(line: str) -> SeenAlert | None:
    """Return the alert in a line; None when it holds none.

    What stands before the first brace, as the topic that ``mosquitto_sub -v`` prints, is skipped.
    """
    begin = line.find("{")
    if begin < 0 or len(line) > MAX_LINE:
        return None
    try:
        data = json.loads(line[begin:], parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(data, dict) or data.get("event") not in ("open", "close"):
        return None
    episode, stream = _text(data, "episode", _MAX_NAME), _text(data, "stream", _MAX_NAME)
    if not episode or not stream:
        return None
    return SeenAlert(
        data["event"] == "open",
        episode,
        _text(data, "incident", _MAX_NAME),
        _text(data, "device", _MAX_NAME),
        stream,
        _time_s(data, "opened_at"),
        _time_s(data, "onset_at"),
        _time_s(data, "at"),
        _text(data, "severity", _MAX_NAME),
        _number(data.get("odds")),
        _text(data, "summary", _MAX_TEXT) or _text(data, "view", _MAX_NAME),
        _paragraphs(data.get("text")),
        _evidence(data.get("evidence")),
    )


def alerts_in(lines: Iterable[str], where: str) -> tuple[list[SeenAlert], int]:
    """Read all lines.

    Args:
        lines: Text; empty lines do not count.
        where: File name for the message.

    Returns:
        The alerts in order, and how many lines are none.

    Raises:
        UsageError: Not one line is an alert.
    """
    found: list[SeenAlert] = []
    n_bad = 0
    for line in lines:
        if line.strip():
            seen = parsed(line)
            n_bad += seen is None
            found += [seen] if seen is not None else []
    if not found:
        raise UsageError(
            where,
            f"holds no alerts ({n_bad} other lines)" if n_bad else "holds no alerts",
            "write them with: foretell replay FILE --alerts OUT.jsonl",
        )
    return found, n_bad


def episodes_of(alerts: Sequence[SeenAlert]) -> list[list[SeenAlert]]:
    """Group alerts by episode: its opening and its closing, as far as they are there; in order of first appearance."""
    groups: dict[tuple[str, str], list[SeenAlert]] = {}
    for seen in alerts:
        groups.setdefault((seen.stream, seen.episode), []).append(seen)
    return list(groups.values())


def chosen(alerts: Sequence[SeenAlert], wanted: str) -> list[SeenAlert]:
    """Return the alerts of one episode.

    Args:
        alerts: At least one.
        wanted: Its id, or as much of it as tells it from the others.

    Raises:
        UsageError: No episode, or more than one, has that id; the message names the nearest.
    """
    groups = episodes_of(alerts)
    exact = [group for group in groups if group[0].episode == wanted]
    found = exact or [group for group in groups if group[0].episode.startswith(wanted) and len(wanted) >= _SHORTEST_ID]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        these = ", ".join(_named(group[0]) for group in found[:5])
        raise UsageError(f"ID {wanted}", f"{len(found)} episodes have an id that begins so", f"they are: {these}")
    of_stream = [group[0] for group in groups if wanted in (group[0].stream, group[0].device, group[0].incident)]
    ids = {group[0].episode: group[0] for group in groups}
    near = of_stream[-3:] or [ids[each] for each in get_close_matches(wanted, ids, 3, cutoff=0.0)]
    problem = "is no episode but has some" if of_stream else "no alert has this id"
    raise UsageError(f"ID {wanted}", problem, f"the nearest are: {', '.join(map(_named, near))}")


def merged_evidence(group: Sequence[SeenAlert]) -> Evidence | None:
    """Return all readings that the alerts of an episode carry, each once, in order of time; None for none."""
    parts = [seen.evidence for seen in group if seen.evidence is not None and len(seen.evidence)]
    if not parts:
        return None
    columns = [np.concatenate(each) for each in zip(*(part.columns() for part in parts), strict=True)]
    _, first = np.unique(columns[0], return_index=True)
    return Evidence(*(column[first] for column in columns))


def _named(seen: SeenAlert) -> str:
    return f"{seen.episode} ({seen.stream})"


def _refuse(constant: str) -> Any:  # noqa: ANN401 - as json wants it; it never returns
    raise ValueError(constant)


def _text(data: dict[str, Any], key: str, limit: int) -> str:
    """Return a text of one line; empty when it is missing or something else."""
    value = data.get(key)
    return printable(value, limit) if isinstance(value, str) else ""


def _paragraphs(value: object) -> str:
    """Return a text of several paragraphs, each safe for a terminal."""
    if not isinstance(value, str):
        return ""
    return "\n\n".join(printable(part, _MAX_TEXT) for part in value[:_MAX_TEXT].split("\n\n"))


def _time_s(data: dict[str, Any], key: str) -> float:
    """Return an ISO 8601 time as Unix seconds; NaN when it is missing or something else."""
    value = data.get(key)
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return math.nan
    return at.timestamp() if at is not None and at.tzinfo is not None else math.nan


def _number(value: object) -> float:
    """Return a finite number; NaN for anything else."""
    try:
        number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return math.nan
    return number if abs(number) <= _MAX_ABS else math.nan


def _evidence(value: object) -> Evidence | None:
    """Return the readings that have time and value, oldest first; None where there are none."""
    if not isinstance(value, dict):
        return None
    columns = [_column(value.get(name)) for name in ("time", "value", "forecast", "lower", "upper")]
    if len({len(column) for column in columns}) != 1:
        return None
    is_there = (columns[0] > _TIMES[0]) & (columns[0] < _TIMES[1]) & np.isfinite(columns[1])
    order = np.flatnonzero(is_there)[np.argsort(columns[0][is_there], kind="stable")]
    return Evidence(*(column[order] for column in columns)) if len(order) else None


def _column(values: object) -> F64:
    """Return numbers, NaN for what is none."""
    kept: Iterator[object] = iter(values[:MAX_READINGS]) if isinstance(values, list) else iter(())
    return np.array([_number(each) for each in kept], np.float64)
