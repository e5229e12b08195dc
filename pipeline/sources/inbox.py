"""The inbox: a bounded queue between the network thread and the worker.

Comes in: messages, one at a time. Goes out: batches of them, oldest first, to the one worker. When it is full, of those
that nobody would send again the oldest is dropped and counted, since the newest tells more. What the broker keeps until
it is acknowledged is never dropped: the network thread waits for room, and where there is none, refuses it. A broker
should not send so much ahead, but mosquitto before 2.0.13 does. This module refuses to know what a message means.
"""

from collections import deque
from threading import Condition
from time import monotonic
from typing import NamedTuple

MAX_INBOX_BYTES = 64 * 1024 * 1024
#: Messages waiting at most that must be acknowledged: twice what a broker may send ahead, for those that came again.
MAX_UNACKNOWLEDGED = 2000
#: How long the network thread waits for room, seconds: shorter than the shortest keep-alive.
PATIENCE_S = 4.0


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
        max_unacknowledged: Messages waiting at most that must be acknowledged.

    Attributes:
        n_dropped: Messages dropped so far because the inbox was full; all of quality of service 0.

    Example:
        >>> inbox = Inbox(max_messages=2)
        >>> all(inbox.put(Message(topic, b"1", False, 0.0)) for topic in "abc")
        True
        >>> [message.topic for message in inbox.drain(10, collect_s=0, wait_s=0)]
        ['b', 'c']
        >>> inbox.n_dropped
        1
    """

    def __init__(
        self,
        max_messages: int,
        max_bytes: int = MAX_INBOX_BYTES,
        max_unacknowledged: int = MAX_UNACKNOWLEDGED,
    ) -> None:
        self.n_dropped = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._max_unacknowledged = max_unacknowledged
        self._size_bytes = 0
        self._n_unacknowledged = 0
        self._waiting: deque[Message] = deque()
        self._n_wanted = 1
        self._changed = Condition()

    @property
    def depth(self) -> int:
        """Messages waiting."""
        return len(self._waiting)

    @property
    def oldest_s(self) -> float | None:
        """When the message that waits longest arrived, Unix seconds; None when nothing waits."""
        with self._changed:
            return self._waiting[0].arrival_s if self._waiting else None

    def put(self, message: Message, patience_s: float = PATIENCE_S) -> bool:
        """Add a message.

        Args:
            message: The message.
            patience_s: How long to wait for room for one that must be acknowledged, seconds.

        Returns:
            False for one that must be acknowledged and found no room: the broker still has it.
        """
        with self._changed:
            if message.receipt is None:
                self._make_room(message.size_bytes)
            elif self._has_room(message.size_bytes) or self._wait_for_room(message.size_bytes, patience_s):
                self._n_unacknowledged += 1
            else:
                return False
            self._waiting.append(message)
            self._size_bytes += message.size_bytes
            if len(self._waiting) >= self._n_wanted:  # each waking takes the interpreter from the network thread
                self._changed.notify_all()
            return True

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
            taken = [self._take() for _ in range(min(max_messages, len(self._waiting)))]
            self._changed.notify_all()
            return taken

    def _has_room(self, size_bytes: int) -> bool:
        return not self._waiting or (
            self._n_unacknowledged < self._max_unacknowledged and self._size_bytes + size_bytes <= self._max_bytes
        )

    def _wait_for_room(self, size_bytes: int, patience_s: float) -> bool:
        return self._changed.wait_for(lambda: self._has_room(size_bytes), patience_s)

    def _make_room(self, size_bytes: int) -> None:
        """Drop the oldest that nobody sends again, until one more fits; there may be none."""
        while len(self._waiting) >= self._max_messages or self._size_bytes + size_bytes > self._max_bytes:
            oldest = next((each for each in self._waiting if each.receipt is None), None)
            if oldest is None:
                return
            self._waiting.remove(oldest)
            self._size_bytes -= oldest.size_bytes
            self.n_dropped += 1

    def _take(self) -> Message:
        message = self._waiting.popleft()
        self._size_bytes -= message.size_bytes
        self._n_unacknowledged -= message.receipt is not None
        return message

    def _wait_for(self, n_messages: int, limit_s: float) -> None:
        deadline, self._n_wanted = monotonic() + limit_s, n_messages
        while len(self._waiting) < n_messages and (left_s := deadline - monotonic()) > 0:
            self._changed.wait(left_s)
