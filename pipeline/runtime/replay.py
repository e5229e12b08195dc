"""Replay: recordings through the very session of the daemon, under a clock that follows event time.

Comes in: recordings and settings. Goes out: one step per reading in input order, and the episodes.
Fine-tuning runs inline between batches, so the same recordings give the same steps. Refuses to know
files and terminals.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.core.clock import ManualClock
from pipeline.core.records import I64, Detail, EpisodeEvent, Event, Readings, Steps
from pipeline.core.settings import Settings
from pipeline.runtime.parts import parts
from pipeline.runtime.replay_batches import batches, joined
from pipeline.runtime.replay_messages import Arrivals, arrival_batches
from pipeline.runtime.session import Session
from pipeline.sources.recording import Recording

#: Told, after each batch, how many readings it held.
Progress = Callable[[int], None]
_DETAIL = ("forecasts", "shown", "half_widths", "views")
_COLUMNS = ("outcome", "forecast", "lower", "upper", "score", "level", "event", "opened", "health")


@dataclass(frozen=True, slots=True)
class Episode:
    """One incident of one stream, from its opening to its end.

    Attributes:
        last: Its newest evidence: the closing event, or the opening one brought up to the last reading.
        end_s: Event time of the reading that closed it, Unix seconds; None when it is still open.
    """

    last: EpisodeEvent
    end_s: float | None


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What became of the recordings.

    Attributes:
        readings: All readings in input order, file after file.
        steps: Their steps, in the same order.
        episodes: By stream in input order, then by opening.
        counts: Readings by outcome.
        fine_tunes: Fine-tunes by outcome.
    """

    readings: Readings
    steps: Steps
    episodes: Sequence[Episode]
    counts: Mapping[str, int]
    fine_tunes: Mapping[str, int]


def replay(
    recordings: Sequence[Recording],
    settings: Settings,
    progress: Progress = lambda _: None,
    session: Session | None = None,
) -> ReplayResult:
    """Run recordings through a session.

    Args:
        recordings: In the order in which their steps are wanted; equal stream names are one stream.
        settings: All settings; those of MQTT and metrics do not matter.
        progress: Told after each batch how many readings it held.
        session: A fresh session to drive; one is made when None.

    Returns:
        Steps in input order, and episodes.
    """
    session = session or Session(settings)
    readings = joined([recording.readings for recording in recordings])
    steps = Steps.blank(len(readings))
    clock = ManualClock()
    came = Arrivals.of(recordings)
    for rows in arrival_batches(readings, came, session) if came else batches(readings, settings):
        if came:
            came.tell(session, rows)
        for part in parts(session, readings.rows(rows)):
            at = rows[part]
            batch = readings.rows(at)
            clock.advance_to(float((came.arrival_s[at] if came else batch.time).max()))
            out = session.process(batch, clock.now())
            _place(steps, at, out)
            steps.events.extend(out.events)
            steps.health_events.extend(out.health_events)
            if settings.training.enabled:
                session.fine_tune()
        progress(len(rows))
    return ReplayResult(readings, steps, episodes(readings, steps), dict(session.counts), dict(session.fine_tunes))


def _place(steps: Steps, rows: I64, out: Steps) -> None:
    """Put the steps of a batch in their places."""
    for column in _COLUMNS:
        getattr(steps, column)[rows] = getattr(out, column)
    if out.detail is not None:
        steps.detail = steps.detail or Detail.blank(len(steps.outcome), out.detail.forecasts.shape[1])
        for column in _DETAIL:
            getattr(steps.detail, column)[rows] = getattr(out.detail, column)


def episodes(readings: Readings, steps: Steps) -> list[Episode]:
    """Pair openings with closings; an episode without one is open at the end.

    Returns:
        Episodes by stream in input order, then by opening.
    """
    found: dict[tuple[str, str], Episode] = {}
    for event in steps.events:
        end_s = event.at_s if event.event == Event.CLOSE else None
        found[event.stream, event.episode] = Episode(event, end_s)
    number = {name: i for i, name in enumerate(readings.names)}
    settled = [
        episode if episode.end_s is not None else _brought_up(episode, number[episode.last.stream], readings, steps)
        for episode in found.values()
    ]
    return sorted(settled, key=lambda episode: (number[episode.last.stream], episode.last.opened_s))


def _brought_up(episode: Episode, stream: int, readings: Readings, steps: Steps) -> Episode:
    """Bring an open episode's peak up to the last reading: no event has told it yet."""
    rows = np.flatnonzero((readings.stream == stream) & (steps.opened == episode.last.opened_s))
    scores = steps.score[rows]
    if np.isnan(scores).all():
        return episode
    i = int(rows[np.nanargmax(scores)])
    peak = replace(
        episode.last,
        at_s=float(readings.time[rows].max()),
        peak_score=float(steps.score[i]),
        peak_s=float(readings.time[i]),
        value=float(readings.value[i]),
        forecast=float(steps.forecast[i]),
        lower=float(steps.lower[i]),
        upper=float(steps.upper[i]),
    )
    return Episode(peak, None)
