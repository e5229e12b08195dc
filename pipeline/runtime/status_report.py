"""``foretell status`` for people: the status document as a few lines.

Comes in: the document of ``/status.json``. Goes out: lines of text. Everything a stranger named is escaped already.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.core.errors import printable

_MAX_ROWS = 10
#: More than there are reasons.
_MAX_REASONS = 32


def status_lines(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines.

    Args:
        status: The document of a daemon or of a bridge; missing keys are shown as unknown.
    """
    mqtt = _part(status, "mqtt")
    yield f"foretell {_of(status, 'foretell')} at {_of(status, 'site')}, since {_of(status, 'started_at')}"
    yield f"  state     {_of(status, 'why')}"
    state = "connected" if mqtt.get("connected") else "not connected"
    yield f"  broker    {_of(mqtt, 'broker')}, {state}, {_of(mqtt, 'n_connects')} connects"
    yield from _bridge(status) if "log" in status else _daemon(status)
    yield from _rejections(status.get("rejections", []))


def _bridge(status: Mapping[str, Any]) -> Iterator[str]:
    log, inbox = _part(status, "log"), _part(status, "inbox")
    yield f"  log       {_of(log, 'path')}, next position {_of(log, 'position')}"
    segments = f"{_of(log, 'n_segments')} segments of {_of(log, 'n_bytes')} bytes"
    yield f"  written   {_of(log, 'n_readings')} readings in {segments}"
    waiting = f"{_of(inbox, 'depth')} waiting, {_of(inbox, 'n_dropped')} dropped"
    yield f"  lag       {status.get('lag_s', 0.0):.2f} s, {waiting}"


def _daemon(status: Mapping[str, Any]) -> Iterator[str]:
    readings, inbox = _part(status, "readings"), _part(status, "inbox")
    yield f"  streams   {_of(status, 'n_streams')} of at most {_of(status, 'max_streams')}"
    others = ", ".join(f"{n} {name}" for name, n in readings.items() if n and name != "accepted")
    yield f"  readings  {_of(readings, 'accepted')} accepted{f', {others}' if others else ''}"
    lag, depth, dropped = status.get("lag_s", 0.0), _of(inbox, "depth"), _of(inbox, "n_dropped")
    yield f"  lag       {lag:.2f} s, {depth} waiting, {dropped} dropped"
    budget = _part(status, "budgets")
    if budget:
        yield f"  budgets   sacrifice level {_of(budget, 'sacrifice_level')}, gives up: {_of(budget, 'gives_up')}"
    yield from _episodes(_part(status, "episodes"))
    yield from _verdicts(_part(status, "health"))


def _episodes(episodes: Mapping[str, Any]) -> Iterator[str]:
    rows = episodes.get("open", [])
    yield f"  episodes  {_of(episodes, 'n_open')} open"
    for row in rows[:_MAX_ROWS]:
        words = f"{_of(row, 'severity')}, {_of(row, 'kind')}, since {_of(row, 'opened_at')}"
        yield f"    {_of(row, 'stream')}: {words}, id {_of(row, 'episode')}"
    if len(rows) > _MAX_ROWS:
        yield "    ..."


def _verdicts(health: Mapping[str, Any]) -> Iterator[str]:
    yield f"  health    {_of(health, 'n_streams')} streams with findings"
    for row in health.get("streams", [])[:_MAX_ROWS]:
        yield f"    {_of(row, 'stream')}: {', '.join(map(str, row.get('verdicts', [])))}"


def _rejections(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    if rows:
        yield "  rejected messages, with the newest of each kind; foretell explain-message says what to do"
    for row in rows[:_MAX_REASONS]:
        detail = f" ({_of(row, 'detail')})" if row.get("detail") else ""
        yield f"    {_of(row, 'n')} {_of(row, 'reason')}{detail}, at {_of(row, 'at')}"
        yield f"      {_of(row, 'topic')}  {_of(row, 'payload')}"


def _part(status: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = status.get(name)
    return part if isinstance(part, dict) else {}


def _of(part: Mapping[str, Any], name: str) -> str:
    return printable(str(part.get(name, "unknown")))
