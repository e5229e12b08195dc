"""What the engine says of the readings that follow: who is alerted of, how many readings after the first, by what.

Comes in: a session and, per stream, what it reads next. Goes out: when an episode opened and when a health verdict
was given. Fine-tunes between batches as replay does, and stops reading a stream once something was seen. Refuses
to know what was wrong with the readings.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64, Event, Health, Readings, Steps
from pipeline.runtime.parts import parts
from pipeline.runtime.session import Session


@dataclass(frozen=True, slots=True)
class Tail:
    """What a stream reads next.

    Attributes:
        stream: Name of the stream in the session.
        time: Event times, Unix seconds, shape (N,).
        value: Values, sensor's unit, shape (N,).
        verdicts: Health verdicts that count as having seen it.
    """

    stream: str
    time: F64
    value: F64
    verdicts: Health


@dataclass(frozen=True, slots=True)
class Sighting:
    """When something was seen.

    Attributes:
        episode: Reading of the tail, from 0, at which an episode opened; NaN when none did.
        verdict: Reading at which one of the verdicts was first given; NaN when none was.
    """

    episode: float
    verdict: float

    @property
    def first(self) -> float:
        """Reading at which either was; NaN when neither was."""
        return float(np.fmin(self.episode, self.verdict))


def watch(session: Session, tails: Sequence[Tail], progress: Callable[[int], None] = lambda _: None) -> list[Sighting]:
    """Feed each stream its tail, until something was seen or it ends.

    Args:
        session: Holds the streams; it is changed.
        tails: One per stream at most.
        progress: Told how many readings are done.

    Returns:
        A sighting per tail; a verdict that stood before its first reading does not count until it is given anew.
    """
    slot_of = {name: slot for slot, name in enumerate(session.state.table.names)}
    stood = np.array([session.state.ledger.health[slot_of[tail.stream]] for tail in tails], np.uint16)
    wanted = np.array([tail.verdicts for tail in tails], np.uint16)
    seen = np.full((len(tails), 2), np.nan)  # episode, verdict
    every = session.settings.training.every
    longest = max((len(tail.time) for tail in tails), default=0)
    for start in range(0, longest, every):
        open_tails = [i for i, tail in enumerate(tails) if len(tail.time) > start and np.isnan(seen[i]).all()]
        if not open_tails:
            break
        batch, position = _batch([tails[i] for i in open_tails], slice(start, start + every))
        steps = _steps(session, batch)
        for i, rows in zip(open_tails, _rows_of(batch, len(open_tails)), strict=True):
            given = steps.health[rows] & wanted[i]
            fresh = given & ~np.concatenate((stood[i : i + 1], given[:-1]))
            stood[i] = given[-1]
            for k, happened in enumerate((steps.event[rows] == Event.OPEN, fresh != 0)):
                if happened.any():
                    seen[i, k] = start + position[rows][np.argmax(happened)]
        progress(len(batch))
    return [Sighting(float(episode), float(verdict)) for episode, verdict in seen]


def _steps(session: Session, batch: Readings) -> Steps:
    """Process a batch, and fine-tune in it as replay does; return the events and health of its readings."""
    steps = Steps.blank(len(batch))
    for rows in parts(session, batch):
        part = batch.rows(rows)
        out = session.process(part, now=float(part.time.max()))
        steps.health[rows], steps.event[rows] = out.health, out.event
        if session.settings.training.enabled:
            session.fine_tune()
    return steps


def _batch(tails: Sequence[Tail], part: slice) -> tuple[Readings, F64]:
    """Return the readings of a part of each tail, and the position of each in the part."""
    times = [tail.time[part] for tail in tails]
    sizes = [len(time) for time in times]
    readings = Readings(
        names=[tail.stream for tail in tails],
        stream=np.repeat(np.arange(len(tails), dtype=np.int32), sizes),
        time=np.concatenate(times),
        value=np.concatenate([tail.value[part] for tail in tails]),
        flags=np.zeros(sum(sizes), np.uint8),
    )
    return readings, np.concatenate([np.arange(size, dtype=np.float64) for size in sizes])


def _rows_of(readings: Readings, n: int) -> list[slice]:
    """Return the rows of each stream, which lie one after the other."""
    ends = np.cumsum(np.bincount(readings.stream, minlength=n)).tolist()
    return [slice(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
