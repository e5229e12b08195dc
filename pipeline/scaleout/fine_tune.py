"""Fine-tunes the network of all shards on what the log holds last; what passes the gate is in force from its end on.

Comes in: the log, and the networks in force. Goes out: networks under a new name, or none. It is the session's own
training and gate, on some of the streams, drawn anew each time. It takes one core and no Spark: a timer may run it.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.records import Readings
from pipeline.core.settings import Settings
from pipeline.flow.learning import fine_tune_groups
from pipeline.flow.schedule import make_due
from pipeline.flow.sharing import admit
from pipeline.forecast.gate import Outcome
from pipeline.runtime.replay_batches import joined
from pipeline.runtime.session import Session
from pipeline.scaleout.folders import Folders
from pipeline.scaleout.handover import common_model
from pipeline.scaleout.segments import next_position, read_segment, segments
from pipeline.scaleout.weights import publish, read_weights, versions

_ONE = np.zeros(1, np.int64)


@dataclass(frozen=True, slots=True)
class FineTuned:
    """What became of it.

    Attributes:
        outcomes: Rounds by what the gate said (``gate.Outcome``, lower case), and how many were ``rolled_back``.
        n_streams: Streams that were learnt from.
        n_readings: Their readings.
        name: Of the new networks; empty where no round was accepted.
        since: Position of the log from which on they are in force.
    """

    outcomes: Counter[str]
    n_streams: int
    n_readings: int
    name: str
    since: int


def fine_tune(settings: Settings, folders: Folders, n_rounds: int, n_streams: int) -> FineTuned:
    """Fine-tune, and publish what was accepted.

    Args:
        settings: Those of the job.
        folders: Where log and networks are.
        n_rounds: Fine-tunes after each other, each with its own windows and its own verdict of the gate.
        n_streams: Streams to learn from at most.

    Raises:
        UsageError: The log is empty, or has nothing new since the last time.
        StoreError: The networks cannot be written.
    """
    since = next_position(folders.log)
    known = versions(folders.weights)
    if not since or (known and known[-1].since >= since):
        raise UsageError(str(folders.log), "holds nothing to learn from that is new", "fine-tune when more has come")
    recent = recent_readings(folders.log, n_streams, settings.window_len, since)
    session = Session(settings)
    admit(session.model, session.state, recent.names)
    if known:
        rows = read_weights(folders.weights, settings, known[-1].name).bank.take(_ONE)
        session.model.bank.put(_ONE, rows | {"key": session.model.bank.key[_ONE]})
    session.process(recent, float("inf"))
    outcomes = _rounds(session, n_rounds)
    if not outcomes["accepted"] and not outcomes["rolled_back"]:
        return FineTuned(outcomes, len(recent.names), len(recent), "", since)
    version = publish(folders.weights, common_model(session), since)
    return FineTuned(outcomes, len(recent.names), len(recent), version.name, since)


def _rounds(session: Session, n_rounds: int) -> Counter[str]:
    """Fine-tune again and again, and count what the gate said."""
    outcomes = Counter({outcome.name.lower(): 0 for outcome in Outcome} | {"rolled_back": 0})
    for _ in range(n_rounds):
        make_due(session.model, session.state)
        for _lesson, taught in fine_tune_groups(session.model, session.state, _ONE):
            outcomes.update(Outcome(code).name.lower() for code in taught.outcome.tolist())
            outcomes["rolled_back"] += int(taught.is_rolled_back.sum())
    return outcomes


def recent_readings(log: Path, n_streams: int, n_each: int, draw: int) -> Readings:
    """Return the last readings of some streams, in the order of the log.

    Args:
        log: Folder of the segments.
        n_streams: Streams at most: of those of the newest segments.
        n_each: Readings of each, about: the log is read backwards until there are so many on average.
        draw: Another number, other streams.
    """
    chosen: set[str] = set()
    parts: list[Readings] = []
    n_found = 0
    for segment in reversed(segments(log)):
        readings = read_segment(segment.path).readings
        if len(chosen) < n_streams:
            fresh = sorted(set(readings.names) - chosen, key=lambda name: (crc32(f"{draw}\0{name}".encode()), name))
            chosen.update(fresh[: n_streams - len(chosen)])
        parts.append(_of(readings, chosen))
        n_found += len(parts[-1])
        if n_found >= n_streams * n_each:
            break
    return joined(parts[::-1])


def _of(readings: Readings, chosen: set[str]) -> Readings:
    """Return the readings of chosen streams, under names that all have readings."""
    is_chosen = np.array([name in chosen for name in readings.names], np.bool_)
    part = readings.rows(is_chosen[readings.stream])
    used, place = np.unique(part.stream, return_inverse=True)
    names = [readings.names[i] for i in used.tolist()]
    return Readings(names, place.astype(np.int32), part.time, part.value, part.flags)
