"""The report of a replay: one file with everything in it, that any browser shows and that asks nobody anything.

Comes in: the result of a replay. Goes out: HTML with the data, the page's charts and uPlot. The same recording gives
the same bytes. Refuses to know the terminal.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import ForetellError
from pipeline.core.records import F64, I64, Bool, Health, HealthEvent, Outcome
from pipeline.core.settings import Settings
from pipeline.runtime.incidents import Incidents
from pipeline.runtime.replay import ReplayResult
from pipeline.sinks.alerts import alert, iso_time
from pipeline.sinks.outfile import check_outfile, replacing
from pipeline.web.assets import text_of

#: Readings that are drawn at most, of all streams together; beyond, extremes and what is about episodes are kept.
MAX_ROWS = 150_000
#: Streams at most; those with episodes first.
MAX_STREAMS = 300
MAX_EPISODES = 1000
#: Findings about a sensor that are listed of one stream.
MAX_FINDINGS = 50
#: Readings before and after an episode that are all drawn.
N_AROUND = 64


def check_report_file(path: Path) -> None:
    """Refuse a report that could not be written, before the work begins.

    Raises:
        UsageError: Unknown suffix or unwritable place.
    """
    check_outfile(path, (".html",), "--report")


def write_report(path: Path, result: ReplayResult, settings: Settings, summary: str) -> None:
    """Write the report; it appears under its name when it is complete.

    Args:
        path: File ending in ``.html``.
        result: The replay.
        settings: The settings it ran with.
        summary: What the replay did, in one line.

    Raises:
        ForetellError: The disk is full or the folder went away.
    """
    try:
        with replacing(path) as draft:
            draft.write_text(report_html(report_data(result, settings, summary)), encoding="utf-8")
    except OSError as error:
        raise ForetellError(f"{path}: the report could not be written: {error.strerror}") from None


def report_html(data: dict[str, Any]) -> str:
    """Return the report as HTML; data travels as JSON in which no tag can begin.

    A policy in its head lets the browser run these very scripts and load nothing.
    """
    style = text_of("vendor/uPlot.min.css") + text_of("page.css")
    script = "\n".join(text_of(name) for name in ("vendor/uPlot.iife.min.js", "charts.js", "report.js"))
    policy = f"default-src 'none'; script-src {_hashed(script)}; style-src {_hashed(style)}; base-uri 'none'"
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for what in ("<", ">", "&"):
        text = text.replace(what, f"\\u{ord(what):04x}")
    html = text_of("report.html").replace("@POLICY@", policy).replace("@STYLE@", style)
    # The data last: what stands in it is not looked at again.
    before, _, after = html.partition("@DATA@")
    return before + text + after.replace("@SCRIPT@", script)


def report_data(result: ReplayResult, settings: Settings, summary: str) -> dict[str, Any]:
    """Return what a report shows, as plain values: streams with episodes first, then by name."""
    told = Incidents(settings).gather(result.readings, result.steps).alerts
    newest = {each.event.episode: each for each in told}
    episodes = [alert(each, settings.site, has_evidence=False) for each in newest.values()]
    episodes = sorted(episodes, key=lambda each: -float(str(each["peak_score"] or 0.0)))[:MAX_EPISODES]
    alerted = {str(each["stream"]) for each in episodes}
    names = sorted(set(result.readings.names), key=lambda name: (name not in alerted, name))
    shown = names[:MAX_STREAMS]
    number = {name: i for i, name in enumerate(result.readings.names)}
    n_each = MAX_ROWS // max(1, len(shown))
    return {
        "site": settings.site,
        "summary": summary,
        "n_left_out": len(names) - len(shown),
        "episodes": episodes,
        "streams": [_stream(result, name, number[name], n_each) for name in shown],
    }


def _stream(result: ReplayResult, name: str, number: int, n_most: int) -> dict[str, Any]:
    """Return one stream with its readings in the order of time."""
    readings, steps = result.readings, result.steps
    rows = np.flatnonzero((readings.stream == number) & (steps.outcome == Outcome.ACCEPTED))
    rows = rows[np.argsort(readings.time[rows], kind="stable")]
    kept = rows[thinned(readings.value[rows], steps.score[rows], ~np.isnan(steps.opened[rows]), n_most)]
    own = [event for event in steps.health_events if event.stream == name and event.raised]
    return {
        "name": name,
        "n": len(rows),
        "findings": [_finding(event) for event in own[:MAX_FINDINGS]],
        "data": {
            "time": [round(time_s, 3) for time_s in readings.time[kept].tolist()],
            "value": _numbers(readings.value[kept]),
            "forecast": _numbers(steps.forecast[kept]),
            "half": _numbers((steps.upper - steps.forecast)[kept], 4),
            "score": _numbers(steps.score[kept], 4),
            "level": _numbers(steps.level[kept], 4),
        },
    }


def thinned(value: F64, score: F64, is_open: Bool, n_most: int) -> I64:
    """Choose the readings to draw: all where they are few, else extremes and what is about episodes.

    Args:
        value: Readings of one stream in the order of time, shape (N,).
        score: Their scores; NaN for none.
        is_open: An episode was open.
        n_most: How many at most, but for those about episodes, of which there may be as many again.

    Returns:
        Positions, ascending.

    Example:
        >>> spiky = np.zeros(1000)
        >>> spiky[500] = 9.0
        >>> kept = thinned(spiky, np.zeros(1000), np.zeros(1000, bool), 100)
        >>> len(kept) <= 100, 500 in kept
        (True, True)
    """
    n = len(value)
    if n <= n_most:
        return np.arange(n)
    starts = np.linspace(0, n, max(1, n_most // 4), endpoint=False).astype(np.int64)
    parts = [starts]
    score = np.nan_to_num(score, nan=-1.0)
    for column in (value, -value, score):
        best = np.maximum.reduceat(column, starts)
        which = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, n)))
        hits = np.flatnonzero(column == best[which])
        parts.append(hits[np.unique(which[hits], return_index=True)[1]])
    around = np.convolve(is_open, np.ones(2 * N_AROUND + 1), mode="same") > 0
    parts.append(np.flatnonzero(around)[:n_most])
    return np.unique(np.concatenate(parts))


def _finding(event: HealthEvent) -> str:
    return f"{Health(event.verdict).text().replace('_', ' ')} since {iso_time(event.since_s)}: {event.text}"


def _numbers(values: F64, n_digits: int = 8) -> Sequence[float | None]:
    """Return numbers with so many significant digits, None for missing ones."""
    return [float(f"{value:.{n_digits}g}") if np.isfinite(value) else None for value in values.tolist()]


def _hashed(text: str) -> str:
    """Return how a content security policy names an inline script or style."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
