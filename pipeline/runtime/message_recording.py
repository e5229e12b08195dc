"""A recording of messages as a recording of readings, through the very decoder of the daemon.

Comes in: a file of messages and the topics that are read. Goes out: a ``Recording`` that knows when each reading
arrived, which message it came with, and what publishers said of streams on the way.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from pipeline.core.errors import UsageError
from pipeline.core.priors import Prior
from pipeline.core.records import F64, I64, Readings
from pipeline.core.settings import Settings
from pipeline.decode.memory import Memory
from pipeline.decode.topics import Route
from pipeline.runtime.explain_message import Explanation, explain_messages, routes_of
from pipeline.runtime.intake import take_in
from pipeline.runtime.replay_batches import joined
from pipeline.runtime.routes import checked_routes
from pipeline.sources.inbox import Message
from pipeline.sources.message_files import message_header, read_messages
from pipeline.sources.messages import MessageHeader
from pipeline.sources.recording import Came, Recording
from pipeline.sources.recording_table import Problems


def decoded_recording(path: Path, header: MessageHeader, settings: Settings | None = None) -> Recording:
    """Decode a recording of messages.

    Args:
        path: The file.
        header: Its header.
        settings: Those whose topics count; None for those it was recorded with, or else any topic and any profile.

    Raises:
        UsageError: The file is damaged, holds no reading, or its header's topics are wrong.
    """
    problems = Problems(str(path))
    routes = routes_of(settings) if settings else recorded_routes(header, str(path))
    gathered = _Gathered(routes, (settings or Settings()).streams.future_s, problems)
    for message in read_messages(path, problems):
        gathered.take(message)
    return gathered.recording()


def recorded_routes(header: MessageHeader, path: str) -> tuple[Route, ...]:
    """Return the routes that a recording was made with; without any, whatever topic is read by whatever profile.

    Raises:
        UsageError: They are wrong.
    """
    if not header.topics:
        return routes_of(None)
    try:
        settings = Settings.model_validate({"mqtt": {"topics": list(header.topics)}, "alerts": {"publish": False}})
    except ValidationError as error:
        problem = f"the topics in its header are wrong: {error.errors()[0]['msg']}"
        raise UsageError(path, problem, "give a configuration with -c") from None
    return checked_routes(settings)


def explained_recording(path: Path, settings: Settings | None) -> Iterator[Explanation]:
    """Explain the messages of a recording, one after the other.

    Args:
        path: The file.
        settings: Those whose topics count; None for those it was recorded with.

    Raises:
        UsageError: It is no recording of messages.
    """
    header = message_header(path)
    if header is None:
        remedy = "give one that foretell record wrote, or name the message's --topic"
        raise UsageError(str(path), "is no recording of messages", remedy)
    routes = routes_of(settings) if settings else recorded_routes(header, str(path))
    messages = read_messages(path, Problems(str(path)))
    yield from explain_messages(messages, routes, (settings or Settings()).streams.future_s)


class _Gathered:
    """What has been read of one recording."""

    def __init__(self, routes: tuple[Route, ...], future_s: float, problems: Problems) -> None:
        self._routes = routes
        self._future_s = future_s
        self._problems = problems
        self._memory = Memory()
        self._parts: list[Readings] = []
        self._arrivals: list[F64] = []
        self._messages: list[I64] = []
        self._told: list[tuple[int, Mapping[str, Prior]]] = []
        self._n_messages = 0
        self._n_rows = 0

    def take(self, message: Message) -> None:
        """Decode a message."""
        self._n_messages += 1
        intake = take_in([message], self._routes, self._memory, self._future_s)
        for reason, sample in intake.samples.items():
            self._problems.add(reason, self._n_messages, f"{sample.topic} {sample.detail or sample.payload}")
        n = len(intake.readings)
        if n:
            self._parts.append(intake.readings)
            self._arrivals.append(np.full(n, message.arrival_s))
            self._messages.append(np.full(n, self._n_messages))
            self._n_rows += n
        if intake.priors:
            self._told.append((self._n_rows, intake.priors))

    def recording(self) -> Recording:
        """Return all that was read.

        Raises:
            UsageError: It was nothing.
        """
        if not self._n_rows:
            found = ", ".join(f"{bad.n} {reason}" for reason, bad in self._problems.counts.items())
            problem = f"none of its {self._n_messages} messages gave a reading{': ' if found else ''}{found}"
            raise UsageError(self._problems.path, problem, "foretell explain-message says why, message by message")
        came = Came(np.concatenate(self._arrivals), np.concatenate(self._messages), self._told)
        return Recording(self._problems.path, joined(self._parts), self._problems.counts, came)
