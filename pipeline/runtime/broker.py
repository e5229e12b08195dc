"""An embedded MQTT broker on loopback, for the demo: anonymous, quiet, gone when its block ends.

Comes in: nothing. Goes out: a port and a way to publish. It never listens beyond loopback, because it
asks nobody for a password. This module refuses to know what is published.
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

from pipeline.core.errors import ForetellError, UsageError

HOST = "127.0.0.1"
_ATTEMPTS = 5


def free_port() -> int:
    """Return a loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def require_amqtt() -> None:
    """Check that the broker's library is installed.

    Raises:
        UsageError: It is not; the message has the command that installs it.
    """
    if find_spec("amqtt") is None:
        raise UsageError("demo", "its broker amqtt is not installed", "pip install 'foretell[demo]'")


class LoopbackBroker:
    """The running broker.

    Attributes:
        port: Port on loopback.
    """

    def __init__(self, broker: Any, port: int) -> None:  # noqa: ANN401 - amqtt has no types
        self._broker = broker
        self.port = port

    def has_subscriber(self) -> bool:
        """Return whether anybody listens yet: what is published before is lost."""
        return any(self._broker.subscriptions.values())

    async def publish(self, topic: str, payload: bytes) -> None:
        """Hand a message to all subscribers, QoS 0: loopback loses nothing while the broker lives."""
        await self._broker.internal_message_broadcast(topic, payload, 0)


@asynccontextmanager
async def loopback_broker() -> AsyncIterator[LoopbackBroker]:
    """Run a broker on a free loopback port while the block runs.

    Raises:
        UsageError: amqtt is not installed.
        ForetellError: No port could be bound.
    """
    require_amqtt()
    logging.getLogger("amqtt").setLevel(logging.CRITICAL)
    logging.getLogger("transitions").setLevel(logging.CRITICAL)
    running, port = await _start()
    try:
        yield LoopbackBroker(running, port)
    finally:
        await running.shutdown()


async def _start() -> tuple[Any, int]:
    """Start on a free port; try another when somebody else took it in between."""
    from amqtt.broker import Broker
    from amqtt.errors import BrokerError

    for attempt in range(_ATTEMPTS):
        port = free_port()
        broker = Broker(_config(port), loop=asyncio.get_running_loop())
        try:
            await broker.start()
        except BrokerError as error:
            if attempt == _ATTEMPTS - 1:
                raise ForetellError(f"the demo's broker could not listen on {HOST}:{port}: {error}") from error
        else:
            return broker, port
    raise AssertionError  # the loop returns or raises


def _config(port: int) -> dict[str, Any]:
    """Name every plugin: the default ones log each packet and publish $SYS topics."""
    return {
        "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{port}"}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    }
