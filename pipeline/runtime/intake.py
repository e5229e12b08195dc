"""Messages become columns of readings: the decoder over a whole batch, with what it refused counted.

Comes in: routes, what the decoder remembers, and messages from the inbox. Goes out: ``Readings``, counts by
outcome, and what publishers said beside them. This module refuses to know the engine and the connection.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.core.errors import printable
from pipeline.core.priors import Prior
from pipeline.core.records import Flag, Readings
from pipeline.decode.memory import Memory
from pipeline.decode.pace import is_uncertain
from pipeline.decode.payloads import Decoded, Ignored, Rejection, decode
from pipeline.decode.reasons import Request
from pipeline.decode.topics import Route
from pipeline.runtime.routes import checked_routes
from pipeline.sources.inbox import Message

__all__ = ["Intake", "Sample", "checked_routes", "take_in"]

#: Of a rejected message so much is kept to be shown.
_SHOWN_TOPIC, _SHOWN_PAYLOAD = 160, 240


@dataclass(frozen=True, slots=True)
class Sample:
    """A rejected message as it may be shown: bounded, and without control characters.

    Attributes:
        topic: Its topic.
        payload: Beginning of its payload.
        size_bytes: Length of its payload.
        arrival_s: When it arrived, Unix seconds.
        detail: What exactly was wrong; empty where the reason says it all.
    """

    topic: str
    payload: str
    size_bytes: int
    arrival_s: float
    detail: str

    @classmethod
    def of(cls, message: Message, detail: str) -> "Sample":
        """Make one of a message."""
        start = message.payload[:_SHOWN_PAYLOAD].decode("utf-8", "backslashreplace")
        shown = printable(start, _SHOWN_PAYLOAD)
        topic = printable(message.topic, _SHOWN_TOPIC)
        return cls(topic, shown, len(message.payload), message.arrival_s, printable(detail, _SHOWN_PAYLOAD))


@dataclass(frozen=True, slots=True)
class Intake:
    """What a batch of messages gave.

    Attributes:
        readings: Every reading, in the order of the messages.
        outcomes: Messages by outcome: ``accepted``, ``ignored``, ``metadata`` or the reason of the rejection.
        skipped: Values skipped inside accepted messages, by reason.
        samples: For each reason of a rejection the last message that met it.
        priors: What became known of streams beforehand.
        requests: What should be asked of publishers.
        n_lost: Messages that publishers' own counts show to be lost.
        dead: Devices that publishers say are gone, by the beginning of their streams' names, in order.
        n_rows: Readings of each message, in the order of the messages.
    """

    readings: Readings
    outcomes: Counter[str]
    skipped: Counter[str]
    samples: dict[str, Sample]
    priors: Mapping[str, Prior] = field(default_factory=dict)
    requests: Sequence[Request] = ()
    n_lost: int = 0
    dead: Sequence[str] = ()
    n_rows: Sequence[int] = ()


def take_in(
    messages: Sequence[Message], routes: Sequence[Route], memory: Memory | None = None, future_s: float = 60.0
) -> Intake:
    """Decode messages in order.

    Args:
        messages: Messages from the inbox.
        routes: What ``checked_routes`` returned.
        memory: What the decoder remembers; it is changed. None for nothing.
        future_s: Event times further ahead of the arrival than this are marked, seconds.

    Returns:
        Readings and counts; a message that cannot be decoded is counted, never raised.
    """
    return _Batch(routes, Memory() if memory is None else memory, future_s).take(messages)


class _Batch:
    """What has been gathered of one batch."""

    def __init__(self, routes: Sequence[Route], memory: Memory, future_s: float) -> None:
        self._routes = routes
        self._memory = memory
        self._future_s = future_s
        self._slots: dict[str, int] = {}
        self._rows: list[tuple[int, float, float, int]] = []
        self._outcomes: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()
        self._samples: dict[str, Sample] = {}
        self._priors: dict[str, Prior] = {}
        self._requests: list[Request] = []
        self._dead: list[str] = []
        self._n_lost = 0
        self._n_rows: list[int] = []

    def take(self, messages: Sequence[Message]) -> Intake:
        for message in messages:
            properties = message.origin.properties
            n_before = len(self._rows)
            decoded = decode(message.topic, message.payload, message.arrival_s, self._routes, self._memory, properties)
            if isinstance(decoded, Decoded):
                self._accept(message, decoded)
            elif isinstance(decoded, Ignored):
                self._outcomes["ignored"] += 1
            else:
                self._reject(message, decoded)
            self._n_rows.append(len(self._rows) - n_before)
        readings = _columns(list(self._slots), self._rows)
        told = (self._priors, self._requests, self._n_lost, self._dead, self._n_rows)
        return Intake(readings, self._outcomes, self._skipped, self._samples, *told)

    def _accept(self, message: Message, decoded: Decoded) -> None:
        self._outcomes["accepted" if decoded.readings or decoded.skipped else "metadata"] += 1
        if decoded.skipped:
            self._skipped.update(reason.value for reason in decoded.skipped)
        self._priors.update(decoded.priors)
        self._requests.extend(decoded.requests)
        self._dead.extend(decoded.dead)
        self._n_lost += decoded.n_lost
        flags = int(Flag.RETAINED) if message.retained else 0
        if decoded.is_arrival_timed and not message.retained:
            arrival_s, connected_s = message.arrival_s, message.origin.connected_s
            if is_uncertain(self._memory, message.topic, arrival_s, connected_s):
                flags |= Flag.TIME_UNCERTAIN
        latest_s, slots = message.arrival_s + self._future_s, self._slots
        for name, time_s, value in decoded.readings:
            bits = flags | Flag.AHEAD if time_s > latest_s else flags
            self._rows.append((slots.setdefault(name, len(slots)), time_s, value, bits))

    def _reject(self, message: Message, rejection: Rejection) -> None:
        self._outcomes[rejection.reason.value] += 1
        self._samples[rejection.reason.value] = Sample.of(message, rejection.detail)
        self._requests.extend(rejection.requests)


def _columns(names: list[str], rows: list[tuple[int, float, float, int]]) -> Readings:
    stream, time_s, value, flags = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Readings(
        names,
        np.array(stream, np.int32),
        np.array(time_s, np.float64),
        np.array(value, np.float64),
        np.array(flags, np.uint8),
    )
