"""Messages to a broker at the pace at which they came, or faster: for recordings and for the simulated plant.

Comes in: messages in the order of their arrival. Goes out: the same topics, payloads, retained flags and properties,
QoS 1. Event times inside payloads stay what they are. This module refuses to know where messages come from.
"""

import math
import secrets
import threading
import time
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from pydantic import ValidationError

from pipeline.core.edge_settings import MqttSettings
from pipeline.core.errors import ForetellError, UsageError
from pipeline.sinks.publisher import Sender
from pipeline.sources.inbox import Message
from pipeline.sources.mqtt import Connection

#: Messages on their way to the broker at most.
_ON_THE_WAY = 500
_CONNECT_S, _STUCK_S = 15.0, 60.0
#: Longest wait without looking whether somebody wants an end, seconds.
_LOOK_S = 0.2
_PORTS = {"mqtt": 1883, "mqtts": 8883}
#: What is published, in the order of its arrival.
Messages = Iterable[Message]


def speed_in(text: str) -> float:
    """Return a pace: how many times faster than it came; ``max`` for as fast as the broker takes it.

    Raises:
        ValueError: It is no pace.

    Example:
        >>> speed_in("60"), speed_in("1x"), speed_in("max")
        (60.0, 1.0, inf)
    """
    if text == "max":
        return math.inf
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = math.nan
    if not 0 < speed < math.inf:
        raise ValueError("must be max, or how many times faster than it came: 1, 60")
    return speed


def broker_at(settings: MqttSettings, url: str) -> MqttSettings:
    """Return settings for another broker; user, password and certificates stay those of the configuration.

    Args:
        settings: Those of the configuration.
        url: ``HOST``, ``HOST:PORT``, ``mqtt://HOST:PORT`` or ``mqtts://HOST:PORT``.

    Raises:
        UsageError: It is no address of a broker, or one that plain text must not go to.

    Example:
        >>> broker_at(MqttSettings(), "127.0.0.1:1999").port
        1999
    """
    where = f"--to-broker {url.rpartition('@')[2]}"
    try:
        parts = urlsplit(url if "://" in url else f"mqtt://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.username is not None or parts.password is not None:
        problem = "an address must not hold a password: everybody can read what commands are given"
        raise UsageError(
            where, problem, "put mqtt.username and password_file into a configuration, and give it with -c"
        )
    if parts.scheme not in _PORTS or not host or parts.path.strip("/"):
        raise UsageError(where, "is no broker's address", "write HOST:PORT, mqtt://HOST:PORT or mqtts://HOST:PORT")
    tls = settings.tls.model_copy(update={"enabled": settings.tls.enabled or parts.scheme == "mqtts"})
    other = {"host": host, "port": port or _PORTS[parts.scheme], "tls": tls}
    try:
        return MqttSettings.model_validate(settings.model_dump() | other | {"tls": tls.model_dump()})
    except ValidationError as error:
        raise UsageError(where, str(error.errors()[0]["msg"]), "or give a configuration that says so with -c") from None


def publish_paced(
    messages: Messages,
    settings: MqttSettings,
    speed: float,
    stop: threading.Event,
    progress: Callable[[int], None] = lambda _: None,
) -> int:
    """Publish messages, and return when the broker has them all.

    Args:
        messages: In the order of their arrival.
        settings: The broker.
        speed: How many times faster than they came; inf for as fast as the broker takes them.
        stop: Ends it early.
        progress: Told of each message.

    Returns:
        Messages published.

    Raises:
        ForetellError: The broker is not reachable, refuses messages or takes none any more.
    """
    connection = Connection(settings, f"foretell-replay-{secrets.token_hex(4)}", keep_session=False)
    sender = Sender(connection.client, is_v5=connection.is_v5)
    connection.start()
    try:
        _wait_for(connection, f"{settings.host}:{settings.port}", stop)
        return _publish(messages, sender, speed, stop, progress)
    finally:
        connection.stop()


def _wait_for(connection: Connection, place: str, stop: threading.Event) -> None:
    until_s = time.monotonic() + _CONNECT_S
    while not connection.is_connected and not stop.wait(0.02):
        if time.monotonic() > until_s:
            raise ForetellError(f"no connection to the broker at {place} within {_CONNECT_S:.0f} s")


def _publish(
    messages: Messages, sender: Sender, speed: float, stop: threading.Event, progress: Callable[[int], None]
) -> int:
    n, began_s, first_s = 0, time.monotonic(), None
    for message in messages:
        first_s = message.arrival_s if first_s is None else first_s
        due_s = began_s + (message.arrival_s - first_s) / speed
        while (left_s := due_s - time.monotonic()) > 0 and not stop.wait(min(left_s, _LOOK_S)):
            pass
        if stop.is_set():
            break
        try:
            sender.send(message.topic, message.payload, message.origin.properties, retain=message.retained)
        except ValueError as error:
            raise ForetellError(f"topic {message.topic[:100]!r} cannot be published to: {error}") from None
        _drain(sender, _ON_THE_WAY)
        n += 1
        progress(1)
    _drain(sender, 0)
    if sender.n_refused:
        raise ForetellError(f"the broker refused {sender.n_refused} of {n} messages; look at its access rules")
    return n


def _drain(sender: Sender, n_most: int) -> None:
    if not sender.wait(n_most, _STUCK_S):
        raise ForetellError(f"the broker took no message for {_STUCK_S:.0f} s")
