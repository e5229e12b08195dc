"""Batches of a replay that knows when its readings arrived: what was late then is late now.

Comes in: readings of recordings, some of them recordings of messages. Goes out: batches in which the engine does with
every reading what the daemon did: a reading that came after newer ones stays late, limits that publishers told hold
from then on, and each stream is fine-tuned after as many readings.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pipeline.core.priors import Prior
from pipeline.core.records import F64, I64, Bool, Flag, Readings
from pipeline.core.settings import Settings
from pipeline.runtime.parts import are_apart, lacking
from pipeline.runtime.replay_batches import first_too_many, position_in_stream, rows_by_stream, running_newest
from pipeline.runtime.session import Session
from pipeline.sources.recording import Recording


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How all readings of a replay came.

    Attributes:
        arrival_s: When each arrived, Unix seconds, shape (N,); of a table the newest event time so far.
        message: Number of its message, shape (N,).
        told: Rows before which publishers said something of a stream, by row.
    """

    arrival_s: F64
    message: I64
    told: Mapping[int, Mapping[str, Prior]]

    @classmethod
    def of(cls, recordings: Sequence[Recording]) -> Self | None:
        """Return how readings came; None when no recording knows."""
        if all(recording.came is None for recording in recordings):
            return None
        arrival_s, message, told = [np.zeros(0)], [np.zeros(0, np.int64)], dict[int, dict[str, Prior]]()
        n_rows = n_messages = 0
        for recording in recordings:
            n, came = len(recording.readings), recording.came
            arrival_s.append(running_newest(recording.readings) if came is None else came.arrival_s)
            message.append((np.arange(n) if came is None else came.message) + n_messages)
            for row, priors in came.told if came else ():
                _note(told, n_rows + row, n_rows, recording.readings, priors)
            n_rows += n
            n_messages = int(message[-1].max(initial=n_messages)) + 1
        return cls(np.concatenate(arrival_s), np.concatenate(message), told)

    def tell(self, session: Session, rows: I64) -> None:
        """Tell a session what publishers had said before these rows came; to be called before they are processed."""
        for row in self.told.keys() & set(rows.tolist()):
            session.tell(self.told[row])


def _note(
    told: dict[int, dict[str, Prior]], row: int, first: int, readings: Readings, priors: Mapping[str, Prior]
) -> None:
    """Note for each stream the first of its rows at or after ``row``; a stream without one is never asked again."""
    index = {name: i for i, name in enumerate(readings.names)}
    for name, prior in priors.items():
        if name in index:
            later = np.flatnonzero(readings.stream[row - first :] == index[name])
            if len(later):
                told.setdefault(row + int(later[0]), {})[name] = prior


def arrival_batches(readings: Readings, came: Arrivals, session: Session) -> Iterator[I64]:
    """Cut readings into the batches that are processed between two fine-tunes, as the session comes to need them.

    A batch holds no more readings of a stream than it lacks for its next fine-tune, and whole messages. It ends before
    a reading that came after newer ones, and before what a publisher has said holds. With a network per stream a batch
    holds the next readings of every stream, however they lie in time; streams that share a network, or see each other,
    meet in time.

    Args:
        readings: All readings, message after message.
        came: How they came.
        session: Processes each batch, and fine-tunes, before the next is asked for.

    Yields:
        Row numbers, ascending.
    """
    settings = session.settings
    is_cut = _cuts(readings, came, settings)
    order = np.lexsort((came.message, came.arrival_s))
    lots = [order]
    if are_apart(settings):
        by_stream = order[np.argsort(readings.stream[order], kind="stable")]
        lots = np.split(by_stream, np.flatnonzero(np.diff(readings.stream[by_stream])) + 1)
    waiting = [_Lot(rows, readings, came, is_cut) for rows in lots if len(rows)]
    while waiting:
        lacks = lacking(session, readings.names)
        yield np.sort(np.concatenate([lot.take(lacks) for lot in waiting]))
        waiting = [lot for lot in waiting if lot.has_more]


class _Lot:
    """Readings that are cut together: batch after batch takes its next ones.

    Args:
        rows: Their rows in the order of arrival, shape (L,).
        readings: All readings.
        came: How they came.
        is_cut: Before which rows a batch must end.
    """

    def __init__(self, rows: I64, readings: Readings, came: Arrivals, is_cut: Bool) -> None:
        message = came.message[rows]
        first = np.flatnonzero(np.r_[True, message[1:] != message[:-1]])  # of each message
        self._rows = rows
        self._ends = np.r_[first[1:], len(rows)]
        self._cuts = np.r_[first[np.logical_or.reduceat(is_cut[rows], first)], len(rows)]
        self._ids, stream = np.unique(readings.stream[rows], return_inverse=True)
        self._stream = stream.astype(np.int32)
        self._nth = position_in_stream(self._stream)
        self._n_done = np.zeros(len(self._ids), np.int64)
        self._at = 0

    @property
    def has_more(self) -> bool:
        """Some readings have not been taken."""
        return self._at < len(self._rows)

    def take(self, lacks: I64) -> I64:
        """Return the next rows: until a stream has what it lacks, or a cut."""
        at = self._at
        last = first_too_many(self._nth, self._stream, self._n_done + lacks[self._ids] - 1, at)
        end = int(self._ends[np.searchsorted(self._ends, last, side="right")]) if last < len(self._rows) else last
        self._at = min(end, int(self._cuts[np.searchsorted(self._cuts, at, side="right")]))
        self._n_done += np.bincount(self._stream[at : self._at], minlength=len(self._ids))
        return self._rows[at : self._at]


def _cuts(readings: Readings, came: Arrivals, settings: Settings) -> Bool:
    """Return before which readings a batch must end, shape (N,)."""
    may_pass = (readings.flags & (Flag.RETAINED | Flag.AHEAD)) == 0
    is_cut = np.zeros(len(readings), np.bool_)
    for rows in rows_by_stream(readings.stream):
        passing = rows[may_pass[rows]]
        if (np.diff(readings.time[passing]) <= 0).any():
            _follow(passing, readings.time, came.arrival_s, is_cut, settings)
    is_cut[list(came.told)] = True
    return is_cut


def _follow(rows: I64, time: F64, arrival_s: F64, is_cut: Bool, settings: Settings) -> None:
    """Mark the cuts of a stream of which some reading is not newer than those before.

    Late readings that follow each other need one cut only. What came within a batch of the daemon was put in order
    there. After ``health.n_relocated`` late ones in a row the stream is on another time line.
    """
    newest_s, newest_at_s, last_s, n_late, has_newer = -np.inf, -np.inf, -np.inf, 0, False
    for row in rows.tolist():
        now_s = float(time[row])
        n_late = n_late + 1 if now_s < newest_s and now_s > last_s else int(now_s < newest_s)
        last_s = now_s
        if now_s > newest_s or n_late > settings.health.n_relocated:
            newest_s, newest_at_s, n_late, has_newer = now_s, float(arrival_s[row]), 0, True
        elif now_s < newest_s and has_newer and arrival_s[row] - newest_at_s > settings.runtime.batch_s:
            is_cut[row], has_newer = True, False
