"""Replay: recordings through the very session of the daemon, under a clock that follows event time.

Comes in: recordings and settings. Goes out: one step per reading in input order, and the episodes.
Fine-tuning runs inline between batches, so the same recordings give the same steps. Refuses to know
files and terminals.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.core.clock import ManualClock
from pipeline.core.records import F64, I32, I64, Detail, EpisodeEvent, Event, Readings, Steps
from pipeline.core.settings import Settings
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
    for rows in batches(readings, settings):
        batch = readings.rows(rows)
        clock.advance_to(float(batch.time.max()))
        out = session.process(batch, clock.now())
        _place(steps, rows, out)
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


def joined(parts: Sequence[Readings]) -> Readings:
    """Put readings one after the other under common names; equal names become one stream.

    Example:
        >>> a = Readings(["x", "y"], np.array([1, 0], np.int32), np.ones(2), np.ones(2), np.zeros(2, np.uint8))
        >>> both = joined([a, Readings(["y"], np.zeros(1, np.int32), np.ones(1), np.ones(1), np.zeros(1, np.uint8))])
        >>> list(both.names), both.stream.tolist()
        (['x', 'y'], [1, 0, 1])
    """
    ids: dict[str, int] = {}
    streams = [np.zeros(0, np.int32)]
    for part in parts:
        own = np.array([ids.setdefault(name, len(ids)) for name in part.names], np.int32)
        streams.append(own[part.stream])
    return Readings(
        list(ids),
        np.concatenate(streams),
        np.concatenate([np.zeros(0), *(part.time for part in parts)]),
        np.concatenate([np.zeros(0), *(part.value for part in parts)]),
        np.concatenate([np.zeros(0, np.uint8), *(part.flags for part in parts)]),
    )


def batches(readings: Readings, settings: Settings) -> Iterator[I64]:
    """Cut readings into the batches that are processed between two fine-tunes.

    With a network per stream, streams do not touch each other, so batch ``k`` holds readings
    ``[k * every, (k + 1) * every)`` of every stream: long vectors however the files overlap in time. Streams that
    share a network or see each other as context meet in time, so batches then follow it, and readings of one time
    are never parted. With a network per stream a batch ends before any stream has more than ``every`` readings in it:
    a busy stream is trained as often beside rare ones as alone. Readings keep their file order within a stream: what
    is late in the file stays late.

    Yields:
        Row numbers, ascending, so that every batch is in input order.
    """
    if not len(readings):
        return
    every = settings.training.every
    is_alone = settings.forecast.sharing == "stream"
    if is_alone and not settings.forecast.context:
        part = _position_in_stream(readings) // every
    else:
        _, moment = np.unique(_arrival(readings), return_inverse=True)
        n_before = np.cumsum(np.bincount(moment)) - np.bincount(moment)
        if is_alone:
            starts = _starts(_position_in_stream(readings), readings.stream, moment, every)
            part = np.searchsorted(starts, moment, side="right")
        else:
            part = n_before[moment] // (every * len(readings.names))
    order = np.argsort(part, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(part[order])) + 1)


def _starts(position: I64, stream: I32, moment: I64, every: int) -> list[int]:
    """Return the moments at which batches begin that hold at most ``every`` readings of any stream.

    Only a moment that alone holds more makes a larger batch.
    """
    order = np.argsort(moment, kind="stable")
    moment, position, stream = moment[order], position[order], stream[order]
    n_done = np.zeros(int(stream.max()) + 1, np.int64)
    starts: list[int] = []
    at = 0
    while at < len(order):
        starts.append(int(moment[at]))
        end = _first_too_many(position, stream, n_done + every, at)
        if end < len(order):  # not within a moment
            end = int(np.searchsorted(moment, moment[end]))
            end = end if end > at else int(np.searchsorted(moment, moment[at], side="right"))
        n_done += np.bincount(stream[at:end], minlength=len(n_done))
        at = end
    return starts


def _first_too_many(position: I64, stream: I32, bound: I64, at: int) -> int:
    """Return the first row from ``at`` on whose position in its stream reaches the stream's bound, or their number."""
    size = 64
    while at < len(position):
        is_beyond = position[at : at + size] >= bound[stream[at : at + size]]
        if is_beyond.any():
            return at + int(is_beyond.argmax())
        at, size = at + size, 2 * size
    return len(position)


def _runs(readings: Readings) -> Iterator[I64]:
    """Yield the rows of each stream that has any, in file order."""
    order = np.argsort(readings.stream, kind="stable")
    return iter(np.split(order, np.flatnonzero(np.diff(readings.stream[order])) + 1))


def _position_in_stream(readings: Readings) -> I64:
    """Return how many readings of its stream stand before each reading."""
    position = np.empty(len(readings), np.int64)
    for rows in _runs(readings):
        position[rows] = np.arange(len(rows))
    return position


def _arrival(readings: Readings) -> F64:
    """Return when each reading would have arrived at the earliest: a late one not before its predecessors."""
    arrival = np.empty(len(readings))
    for rows in _runs(readings):
        arrival[rows] = np.maximum.accumulate(readings.time[rows])
    return arrival


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
