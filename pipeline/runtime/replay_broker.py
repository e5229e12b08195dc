"""Recordings to a broker: messages as they were, readings of tables as flat JSON.

Comes in: files of either kind. Goes out: messages in the order of their arrival, over all files.
"""

import heapq
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.core.errors import UsageError, printable
from pipeline.runtime.replay_batches import running_newest
from pipeline.sources.inbox import Message
from pipeline.sources.message_files import message_header, read_messages
from pipeline.sources.recording import read_recording
from pipeline.sources.recording_names import recording_labels
from pipeline.sources.recording_table import Problems

#: Topic level above the streams of tables: what a new configuration reads.
TABLE_TOPIC = "sensors"


def messages_of(files: Sequence[Path], say: Callable[[str], None]) -> Iterator[Message]:
    """Yield the messages of recordings, by arrival.

    Args:
        files: Recordings of messages, or of readings: ``sensors/<stream>`` and ``{"time": ..., "value": ...}``.
        say: Told one line for each kind of row that was left out, at the end of its file.

    Raises:
        UsageError: A file cannot be read.
    """
    labels = recording_labels(files)
    parts = [_of_file(path, label, say) for path, label in zip(files, labels, strict=True)]
    yield from heapq.merge(*parts, key=lambda message: message.arrival_s)


def _of_file(path: Path, label: str, say: Callable[[str], None]) -> Iterator[Message]:
    problems = Problems(str(path))
    if message_header(path) is None:
        yield from _of_table(path, label, problems)
    else:
        try:
            yield from read_messages(path, problems)
        except OSError as error:
            raise UsageError(str(path), error.strerror or str(error), "check the path and its permissions") from None
    for reason, bad in problems.counts.items():
        say(f"{printable(str(path))}: left out {bad.n} for {reason}, the first at {bad.first}")


def _of_table(path: Path, label: str, problems: Problems) -> Iterator[Message]:
    recording = read_recording(path, label)
    problems.counts.update(recording.bad)
    readings = recording.readings
    arrival_s = running_newest(readings)
    for row in np.argsort(arrival_s, kind="stable").tolist():
        time_s, value = float(readings.time[row]), float(readings.value[row])
        payload = json.dumps({"time": time_s, "value": value}).encode()
        topic = f"{TABLE_TOPIC}/{readings.names[int(readings.stream[row])]}"
        yield Message(topic, payload, retained=False, arrival_s=float(arrival_s[row]))
