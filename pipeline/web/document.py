"""What the page shows, as plain values for JSON: streams with their verdicts, and episodes.

Comes in: a view of the fleet, tracks of readings, and what was told of episodes. Goes out: dictionaries and lists
bounded in size, missing numbers as None. Pure: this module refuses to know who asks.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipeline.core.evidence import Evidence
from pipeline.core.records import Health
from pipeline.runtime.session import FleetView, OpenEpisode
from pipeline.sinks.alerts import iso_time
from pipeline.web.history import Track

#: Readings of a sparkline.
N_SPARK = 64
#: Verdicts, worst first: what the page sorts and colours by.
RANKS = ("alert", "unfit", "surprising", "ok", "learning")


def columns(evidence: Evidence) -> dict[str, list[float | None]]:
    """Return readings as columns, with a missing row in each gap; nine digits, times to the millisecond.

    Example:
        >>> import numpy as np
        >>> at = np.array([0.0, 1.0])
        >>> columns(Evidence(at, at / 3, at, at, at * np.nan))["value"]
        [0.0, 0.333333333]
    """
    time, *rest = evidence.parted().columns()
    names = ("value", "forecast", "lower", "upper")
    numbers = {name: [_digits(value) for value in column.tolist()] for name, column in zip(names, rest, strict=True)}
    return {"time": [round(time_s, 3) for time_s in time.tolist()], **numbers}


def streams(
    view: FleetView, chosen: Sequence[int], tracks: Mapping[str, Track], since: int = -1
) -> list[dict[str, Any]]:
    """Return streams with their last step, verdict, and a sparkline where it changed.

    Args:
        view: The last step of every stream.
        chosen: Which of them, as indices.
        tracks: Readings of those whose history is kept.
        since: Sparklines that did not change after this revision are left out.

    Returns:
        Worst verdicts first, then by name. ``spark`` is absent where it did not change.
    """
    severity = {each.stream: each.severity for each in view.episodes}
    rows = []
    for i in chosen:
        name = view.names[i]
        rank, verdict = _verdict(view, i, severity.get(name, ""))
        row: dict[str, Any] = {
            "name": name,
            "rank": rank,
            "verdict": verdict,
            "at": iso_time(float(view.time[i])),
            "value": _digits(float(view.value[i])),
            "forecast": _digits(float(view.forecast[i])),
            "lower": _digits(float(view.lower[i])),
            "upper": _digits(float(view.upper[i])),
            "score": _short(float(view.score[i])),
            "level": _short(float(view.level[i])),
            "forecaster": view.forecasters[int(view.shown[i])],
            "n_readings": int(view.n_readings[i]),
        }
        track = tracks.get(name)
        if track is not None and track.revision > since:
            row["spark"] = columns(track.evidence.last(N_SPARK))
        rows.append(row)
    return sorted(rows, key=lambda row: (RANKS.index(row["rank"]), row["name"]))


def episodes(
    view: FleetView, told: Iterable[Mapping[str, Any]], listed: Iterable[Mapping[str, Any]], n_most: int
) -> list[dict[str, Any]]:
    """Return the open episodes, most severe first, then the newest of those that are over.

    Args:
        view: Knows which are open, and how far they have gone by now.
        told: Alerts as ``sinks.alerts.alert`` returns them: words and numbers of those since the start.
        listed: Alerts as ``/alerts.json`` has them: what operators said, also of those before the start.
        n_most: How many at most.
    """
    known = {str(each["episode"]): {**each, "event": "open" if each["state"] == "open" else "close"} for each in listed}
    for each in told:
        known[str(each["episode"])] = known.get(str(each["episode"]), {}) | dict(each)
    now = sorted(view.episodes, key=lambda each: each.level - each.peak_score)
    running = [known.pop(each.episode, {}) | _now(each) for each in now]
    over = [each for each in known.values() if each["event"] == "close"]
    return [*running, *sorted(over, key=lambda each: str(each["at"]), reverse=True)][:n_most]


def _now(episode: OpenEpisode) -> dict[str, Any]:
    """Return what is known of an open episode without words."""
    return {
        "event": "open",
        "episode": episode.episode,
        "stream": episode.stream,
        "view": episode.kind,
        "severity": episode.severity,
        "opened_at": iso_time(episode.opened_s),
        "peak_score": _short(episode.peak_score),
        "level": _short(episode.level),
    }


def _verdict(view: FleetView, i: int, severity: str) -> tuple[str, str]:
    """Return a stream's rank and verdict in words."""
    findings = Health(int(view.health[i])).text().replace("|", ", ").replace("_", " ")
    if severity:
        return "alert", f"{severity} episode" + (f"; {findings}" if findings else "")
    if findings:
        return "unfit", findings
    score = float(view.score[i])
    if math.isnan(score):
        return "learning", "warming up"
    return ("surprising", "surprising") if score >= float(view.level[i]) else ("ok", "as foretold")


def _digits(value: float) -> float | None:
    """Return a number with nine significant digits; None for a missing one."""
    return float(f"{value:.9g}") if math.isfinite(value) else None


def _short(value: float) -> float | None:
    """Return a score with two decimals; None for a missing one."""
    return round(value, 2) if math.isfinite(value) else None
