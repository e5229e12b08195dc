"""Readings of recordings put together, and cut into the batches that are processed between two fine-tunes.

Comes in: readings of files that know event times only. Goes out: one set of readings, and row numbers batch by batch.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.core.records import F64, I32, I64, Readings
from pipeline.core.settings import Settings


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
        part = position_in_stream(readings.stream) // every
    else:
        _, moment = np.unique(running_newest(readings), return_inverse=True)
        n_before = np.cumsum(np.bincount(moment)) - np.bincount(moment)
        if is_alone:
            starts = _starts(position_in_stream(readings.stream), readings.stream, moment, every)
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
        end = first_too_many(position, stream, n_done + every, at)
        if end < len(order):  # not within a moment
            end = int(np.searchsorted(moment, moment[end]))
            end = end if end > at else int(np.searchsorted(moment, moment[at], side="right"))
        n_done += np.bincount(stream[at:end], minlength=len(n_done))
        at = end
    return starts


def first_too_many(position: I64, stream: I32, bound: I64, at: int) -> int:
    """Return the first row from ``at`` on whose position in its stream reaches the stream's bound, or their number."""
    size = 64
    while at < len(position):
        is_beyond = position[at : at + size] >= bound[stream[at : at + size]]
        if is_beyond.any():
            return at + int(is_beyond.argmax())
        at, size = at + size, 2 * size
    return len(position)


def rows_by_stream(stream: I32) -> Iterator[I64]:
    """Yield the rows of each stream that has any, in file order."""
    order = np.argsort(stream, kind="stable")
    return iter(np.split(order, np.flatnonzero(np.diff(stream[order])) + 1))


def position_in_stream(stream: I32) -> I64:
    """Return how many readings of its stream stand before each reading."""
    position = np.empty(len(stream), np.int64)
    for rows in rows_by_stream(stream):
        position[rows] = np.arange(len(rows))
    return position


def running_newest(readings: Readings) -> F64:
    """Return when each reading would have arrived at the earliest: a late one not before its predecessors."""
    arrival = np.empty(len(readings))
    for rows in rows_by_stream(readings.stream):
        arrival[rows] = np.maximum.accumulate(readings.time[rows])
    return arrival
