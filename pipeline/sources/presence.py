"""Finds out that another daemon has taken our client id, where the broker does not say so.

MQTT 5 has a reason for it, which mosquitto 2.0.11 (Debian 12) and all of MQTT 3.1.1 leave out; two daemons would then
cut each other off for ever. So a daemon leaves a name of its own at a retained topic when it starts, and one whose
connection was lost looks whether it is still there.
"""

import secrets
from collections.abc import Callable
from hashlib import blake2b
from typing import Protocol

from pipeline.sources.mqtt import Connection


class Left(Protocol):
    """A message on its way to the broker."""

    def is_published(self) -> bool:
        """Say whether the broker has it."""
        ...


class Retained(Protocol):
    """A message from the broker."""

    @property
    def payload(self) -> bytes | bytearray:
        """What was retained."""
        ...


class Presence:
    """Our name at the broker.

    Args:
        connection: Is given up when the name is another one; it must not be started yet, nor receive anything else.
        base: Topics begin so.
        client_id: Client id that the daemons would share; it may hold what no topic may.
        leave: Publishes a retained payload to a topic over the connection, and returns what is known of it.
    """

    def __init__(self, connection: Connection, base: str, client_id: str, leave: Callable[[str, str], Left]) -> None:
        self.topic = f"{base}/system/client/{blake2b(client_id.encode(), digest_size=8).hexdigest()}"
        self._own = secrets.token_hex(8)
        self._connection = connection
        self._leave = leave
        self._left: Left | None = None
        connection.on_up = self._on_up
        connection.client.on_message = connection.guarded(self._on_message)

    def _on_up(self) -> None:
        """Leave our name, once; after each later connect, when the broker has had it, look whose is there."""
        if self._left is None:
            self._left = self._leave(self.topic, self._own)  # sent again by the client until it is acknowledged
        elif self._left.is_published():
            self._connection.client.subscribe(self.topic, qos=0)

    def _on_message(self, _client: object, _data: object, message: Retained) -> None:
        if message.payload and message.payload != self._own.encode():
            self._connection.give_up()
