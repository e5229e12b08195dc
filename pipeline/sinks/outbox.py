"""The outbox: what is to be published until the broker has acknowledged it, bounded.

Comes in: messages, and the keys of those that were acknowledged. Goes out: the next messages to send, and what has
changed since the last look, for whoever keeps it on disk. When it is full the oldest of the least severe are dropped
and counted. Refuses to know brokers and files.
"""

from collections.abc import Iterable

from pipeline.sinks.outgoing import Outgoing


class Outbox:
    """Messages in the order in which they were added; for one thread.

    Args:
        max_messages: Messages kept at most.
        max_bytes: Topics and payloads kept at most, bytes.

    Attributes:
        n_dropped: Messages dropped for want of room.

    Example:
        >>> from pipeline.sinks.outgoing import outgoing
        >>> box = Outbox(max_messages=2)
        >>> box.add([outgoing(f"t/{i}", "{}", retain=False, severity=i % 2) for i in range(3)])
        >>> [message.topic for message in box.take(8)], box.n_dropped
        (['t/1', 't/2'], 1)
    """

    def __init__(self, max_messages: int, max_bytes: int = 32 << 20) -> None:
        self.n_dropped = 0
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._kept: dict[str, Outgoing] = {}
        self._unsent: dict[str, None] = {}
        self._new: dict[str, None] = {}
        self._gone: dict[str, None] = {}

    def __len__(self) -> int:
        """Return the number of messages that are not acknowledged yet."""
        return len(self._kept)

    def restore(self, messages: Iterable[Outgoing]) -> None:
        """Take over what was kept on disk; all of it is sent again."""
        self.add(messages)
        self._new.clear()

    def add(self, messages: Iterable[Outgoing]) -> None:
        """Add messages; one that is there already is not added again."""
        for message in messages:
            if message.key not in self._kept:
                self._kept[message.key] = message
                self._size_bytes += message.size_bytes
                self._unsent[message.key] = self._new[message.key] = None
                self._gone.pop(message.key, None)
        while len(self._kept) > self._max_messages or self._size_bytes > self._max_bytes:
            least = min(self._kept.values(), key=lambda message: message.severity)  # the oldest of the least severe
            self._remove(least.key)
            self.n_dropped += 1

    def take(self, n: int) -> list[Outgoing]:
        """Return the next messages to send, ``n`` at most; they stay until they are acknowledged."""
        keys = list(self._unsent)[: max(0, n)]
        for key in keys:
            del self._unsent[key]
        return [self._kept[key] for key in keys]

    def acknowledge(self, keys: Iterable[str]) -> None:
        """Forget messages that the broker has."""
        for key in keys:
            if key in self._kept:
                self._remove(key)

    def changes(self) -> tuple[list[Outgoing], list[str]]:
        """Return the messages added and the keys gone since ``settle``; what came and went meanwhile is in neither."""
        return [self._kept[key] for key in self._new], list(self._gone)

    def settle(self) -> None:
        """Say that the last changes are on disk."""
        self._new.clear()
        self._gone.clear()

    def unsettle(self) -> None:
        """Say that nothing is on disk any more."""
        self._new.update(dict.fromkeys(self._kept))
        self._gone.clear()

    def _remove(self, key: str) -> None:
        self._size_bytes -= self._kept.pop(key).size_bytes
        self._unsent.pop(key, None)
        if key in self._new:
            del self._new[key]
        else:
            self._gone[key] = None
