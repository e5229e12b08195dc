"""NATS JetStream: the streams that keep what nats-server's MQTT listener was given, a partition each.

Comes in: settings, and a range of sequence numbers. Goes out: messages, in the order of the stream. Needs nats-py, of
the extra ``spark``. This module refuses to know what payloads mean.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline.core.errors import ForetellError, UsageError
from pipeline.core.nats_settings import NatsSettings
from pipeline.decode.payloads import MAX_PAYLOAD_BYTES
from pipeline.sources.inbox import Message, Origin
from pipeline.sources.mqtt_security import read_secret_file

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js import JetStreamContext

_CONNECT_S, _FETCH_S, _AGAIN_S = 5, 5.0, 0.2
#: Messages that are asked for at once; the server may hand over fewer.
_AT_ONCE = 2000
#: A consumer that was left behind, by a worker that was killed, is removed by the server after so long, seconds.
_FORGOTTEN_S = 60.0
_T = TypeVar("_T")

_log = logging.getLogger(__name__)


def require_nats() -> None:
    """Check that the library is installed.

    Raises:
        UsageError: It is not.
    """
    try:
        import nats  # noqa: F401 - only whether it is there
    except ImportError:
        raise UsageError("scale.source", "nats-py is not installed", "pip install 'foretell[spark]'") from None


def bounds(settings: NatsSettings) -> list[tuple[int, int]]:
    """Return, for each partition, the sequence numbers of the first message that is kept and of the next to come.

    Streams that are not there yet are made.

    Raises:
        ForetellError: The server is not reachable, or refuses.
    """
    return _run(settings, lambda jetstream: _bounds(jetstream, settings))


def fetch(settings: NatsSettings, partition: int, start: int, end: int) -> list[tuple[int, Message]]:
    """Return the messages of a partition from a sequence number to before another, with their numbers.

    What the server does not keep any more is left out, and told in the log.

    Raises:
        ForetellError: The server is not reachable, refuses, or does not answer in time.
    """
    return _run(settings, lambda jetstream: _fetch(jetstream, settings, partition, start, end))


def topic_of(subject: str, stream: str) -> str:
    """Return the MQTT topic of a subject such as ``foretell.3.plant.d1.temp``.

    Example:
        >>> topic_of("foretell.3.plant.d1.temp", "foretell"), topic_of("foretell.0.a./.b", "foretell")
        ('plant/d1/temp', 'a//b')
    """
    levels = subject.removeprefix(f"{stream}.").split(".")[1:]
    return "/".join("" if level == "/" else level for level in levels)


async def _bounds(jetstream: "JetStreamContext", settings: NatsSettings) -> list[tuple[int, int]]:
    from nats.js.errors import NotFoundError

    found = []
    for partition in range(settings.partitions):
        name = f"{settings.stream}-{partition}"
        try:
            state = (await jetstream.stream_info(name)).state
        except NotFoundError:
            state = (await jetstream.add_stream(name=name, subjects=[f"{settings.stream}.{partition}.>"])).state
        found.append((max(1, state.first_seq), state.last_seq + 1))
    return found


async def _fetch(
    jetstream: "JetStreamContext", settings: NatsSettings, partition: int, start: int, end: int
) -> list[tuple[int, Message]]:
    from nats.errors import TimeoutError as NatsTimeoutError
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

    name = f"{settings.stream}-{partition}"
    # Without a filter: from the middle of a stream, the server would look through all of it.
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=start,
        ack_policy=AckPolicy.EXPLICIT,
        max_ack_pending=-1,
        inactive_threshold=_FORGOTTEN_S,
    )
    consumer = (await jetstream.add_consumer(name, config)).name
    subscription = await jetstream.pull_subscribe_bind(consumer, stream=name)
    found: list[tuple[int, Message]] = []
    at = start
    try:
        while at < end:
            try:
                batch = await subscription.fetch(min(_AT_ONCE, end - at), timeout=_FETCH_S)
            except NatsTimeoutError:
                if (await jetstream.stream_info(name)).state.first_seq >= end:
                    break
                raise
            taken = [(message.metadata.sequence.stream, message) for message in batch]
            found += [(number, _message(message, settings.stream)) for number, message in taken if number < end]
            at = taken[-1][0] + 1
    finally:
        await jetstream.delete_consumer(name, consumer)
    if len(found) < end - start:
        fields = {"stream": name, "n_missing": end - start - len(found), "start": start, "end": end}
        _log.error("messages not kept any more", extra={"fields": fields})
    return found


def _message(message: "Msg", stream: str) -> Message:
    qos = (message.headers or {}).get("Nmqtt-Pub", "0")
    return Message(
        topic_of(message.subject, stream),
        message.data[: MAX_PAYLOAD_BYTES + 1],
        retained=False,
        arrival_s=message.metadata.timestamp.timestamp(),
        origin=Origin(1 if qos == "1" else 0),
    )


def _run(settings: NatsSettings, work: "Callable[[JetStreamContext], Awaitable[_T]]") -> _T:
    """Do something over a connection of its own."""
    from nats.errors import Error

    async def connected() -> _T:
        async with _connection(settings) as jetstream:
            return await work(jetstream)

    try:
        return asyncio.run(connected())
    except (Error, OSError, TimeoutError) as error:
        words = str(error) or type(error).__name__
        raise ForetellError(f"NATS at {settings.url}: {words}") from None


@asynccontextmanager
async def _connection(settings: NatsSettings) -> "AsyncIterator[JetStreamContext]":
    import nats

    options: dict[str, Any] = {}
    if settings.username:
        options |= {"user": settings.username}
    if settings.password_file:
        options |= {"password": read_secret_file("scale.nats.password_file", Path(settings.password_file))}
    if settings.url.startswith("tls:"):
        options |= {"tls": _context(settings)}
    client = await nats.connect(
        settings.url,
        name="foretell",
        allow_reconnect=False,
        max_reconnect_attempts=1,
        reconnect_time_wait=_AGAIN_S,
        connect_timeout=_CONNECT_S,
        error_cb=_quiet,
        **options,
    )
    try:
        yield client.jetstream(timeout=_FETCH_S)
    finally:
        await client.close()


async def _quiet(_error: Exception) -> None:
    """Do nothing: what went wrong is raised where it was asked for; nats-py would print it too."""


def _context(settings: NatsSettings) -> Any:  # noqa: ANN401 - ssl is loaded where it is needed
    import ssl

    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
    except OSError as error:
        problem = f"cannot read {settings.ca_file}: {error.strerror}"
        raise UsageError("scale.nats.ca_file", problem, "name a PEM file that may be read") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
