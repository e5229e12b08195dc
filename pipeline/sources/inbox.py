"""The inbox: a bounded queue between the network thread and the worker.

Comes in: messages, one at a time, from a thread that must never wait. Goes out: batches of them,
oldest first, to the one worker. When it is full the oldest message is dropped and counted, since
the newest tells more. This module refuses to know what a message means.
"""

from collections import deque
from threading import Condition
from time import monotonic
from typing import NamedTuple

MAX_INBOX_BYTES = 64 * 1024 * 1024


class Receipt(NamedTuple):
    """What is needed to acknowledge a message, and to know it when it comes again.

    Attributes:
        epoch: Connection it came over; an acknowledgement must never reach a later one.
        session: Session of the broker it belongs to; 0 for one that was there before we started.
        mid: Packet identifier, 1 to 65,535.
        is_again: The broker says that it has sent it before.
    """

    epoch: int
    session: int
    mid: int
    is_again: bool


class Origin(NamedTuple):
    """How a message came.

    Attributes:
        qos: Quality of service it was delivered with.
        connected_s: When the connection began that it came over, Unix seconds; 0 when unknown.
        properties: MQTT 5 user properties, and its content type as ``content-type``.
    """

    qos: int = 0
    connected_s: float = 0.0
    properties: tuple[tuple[str, str], ...] = ()


class Message(NamedTuple):
    """A message as received.

    Attributes:
        topic: Topic, any text.
        payload: Payload, any bytes.
        retained: The broker kept it from earlier; it is no news.
        arrival_s: When it arrived by our clock, Unix seconds.
        receipt: How it is acknowledged; None where the broker expects no acknowledgement.
        origin: How it came.
    """

    topic: str
    payload: bytes
    retained: bool
    arrival_s: float
    receipt: Receipt | None = None
    origin: Origin = Origin()

    @property
    def size_bytes(self) -> int:
        """Roughly what it holds of memory, without the fixed cost of a message."""
        return len(self.topic) + len(self.payload)


class Inbox:
    """Messages that wait for the worker; any thread may put, one thread drains.

    Args:
        max_messages: Messages waiting at most.
        max_bytes: Topics and payloads waiting at most, bytes.

    Attributes:
        n_dropped: Messages dropped so far because the inbox was full.

    Example:
        >>> inbox = Inbox(max_messages=2)
        >>> for topic in "abc":
        ...     inbox.put(Message(topic, b"1", False, 0.0))
        >>> [message.topic for message in inbox.drain(10, collect_s=0, wait_s=0)]
        ['b', 'c']
        >>> inbox.n_dropped
        1
    """

    def __init__(self, max_messages: int, max_bytes: int = MAX_INBOX_BYTES) -> None:
        self.n_dropped = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._waiting: deque[Message] = deque()
        self._dropped: list[Receipt] = []
        self._changed = Condition()

    @property
    def depth(self) -> int:
        """Messages waiting."""
        return len(self._waiting)

    def put(self, message: Message) -> None:
        """Add a message; drops the oldest rather than wait for room."""
        with self._changed:
            self._waiting.append(message)
            self._size_bytes += message.size_bytes
            while len(self._waiting) > self._max_messages or self._size_bytes > self._max_bytes:
                dropped = self._take()
                self.n_dropped += 1
                if dropped.receipt is not None:
                    self._dropped.append(dropped.receipt)
            self._changed.notify()

    def drain(self, max_messages: int, collect_s: float, wait_s: float) -> list[Message]:
        """Wait for a first message, let others gather, and take them, oldest first.

        Args:
            max_messages: Messages to return at most; so many are returned at once.
            collect_s: How long to gather after the first message, seconds.
            wait_s: How long to wait for the first message, seconds.

        Returns:
            The messages; none when nothing came within ``wait_s``.
        """
        with self._changed:
            self._wait_for(1, wait_s)
            if self._waiting:
                self._wait_for(max_messages, collect_s)
            return [self._take() for _ in range(min(max_messages, len(self._waiting)))]

    def take_dropped(self) -> list[Receipt]:
        """Return, once, the receipts of dropped messages: unacknowledged they would fill the broker's window."""
        with self._changed:
            dropped, self._dropped = self._dropped, []
            return dropped

    def _take(self) -> Message:
        message = self._waiting.popleft()
        self._size_bytes -= message.size_bytes
        return message

    def _wait_for(self, n_messages: int, limit_s: float) -> None:
        deadline = monotonic() + limit_s
        while len(self._waiting) < n_messages and (left_s := deadline - monotonic()) > 0:
            self._changed.wait(left_s)
