"""Messages become columns of readings: the decoder over a whole batch, with what it refused counted.

Comes in: settings and messages from the inbox. Goes out: routes, ``Readings``, and counts by
outcome. This module refuses to know the engine and the connection.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.records import Flag, Readings
from pipeline.core.settings import Settings
from pipeline.decode.payloads import Rejection, decode
from pipeline.decode.topics import Route, filters_overlap
from pipeline.sinks.outgoing import publish_filters
from pipeline.sources.inbox import Message


@dataclass(frozen=True, slots=True)
class Intake:
    """What a batch of messages gave.

    Attributes:
        readings: Every reading, in the order of the messages.
        outcomes: Messages by outcome: ``accepted`` or the reason of the rejection.
        skipped: Numbers skipped inside accepted messages, by reason.
        examples: For each reason of a rejection the first message that met it.
    """

    readings: Readings
    outcomes: Counter[str]
    skipped: Counter[str]
    examples: dict[str, Message]


def checked_routes(settings: Settings) -> tuple[Route, ...]:
    """Compile the configured topics, and make sure that we do not read what we publish.

    Raises:
        UsageError: A template is wrong, or a topic matches our own alerts.
    """
    routes = []
    for i, topic in enumerate(settings.mqtt.topics):
        try:
            route = Route.parse(topic.topic, topic.stream)
        except ValueError as error:
            problem, _, remedy = str(error).partition("; ")
            raise UsageError(f"mqtt.topics[{i}] {topic.topic!r} -> {topic.stream!r}", problem, remedy) from None
        _refuse_loop(settings, i, route)
        routes.append(route)
    return tuple(routes)


def take_in(messages: Sequence[Message], routes: Sequence[Route]) -> Intake:
    """Decode messages in order.

    Args:
        messages: Messages from the inbox.
        routes: What ``checked_routes`` returned.

    Returns:
        Readings and counts; a message that cannot be decoded is counted, never raised.
    """
    slots: dict[str, int] = {}
    rows: list[tuple[int, float, float, int]] = []
    outcomes: Counter[str] = Counter()
    skipped: Counter[str] = Counter()
    examples: dict[str, Message] = {}
    for message in messages:
        decoded = decode(message.topic, message.payload, message.arrival_s, routes)
        if isinstance(decoded, Rejection):
            outcomes[decoded.reason.value] += 1
            examples.setdefault(decoded.reason.value, message)
            continue
        outcomes["accepted"] += 1
        skipped.update(reason.value for reason in decoded.skipped)
        flags = int(Flag.RETAINED) if message.retained else 0
        rows += [(slots.setdefault(name, len(slots)), time_s, value, flags) for name, time_s, value in decoded.readings]
    return Intake(_columns(list(slots), rows), outcomes, skipped, examples)


def _columns(names: list[str], rows: list[tuple[int, float, float, int]]) -> Readings:
    stream, time_s, value, flags = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Readings(
        names,
        np.array(stream, np.int32),
        np.array(time_s, np.float64),
        np.array(value, np.float64),
        np.array(flags, np.uint8),
    )


def _refuse_loop(settings: Settings, i: int, route: Route) -> None:
    if not settings.alerts.publish:
        return
    for ours in publish_filters(settings.alerts.topic_prefix, settings.site):
        if filters_overlap(route.filter, ours):
            raise UsageError(
                f"mqtt.topics[{i}]",
                f"{route.filter} matches our own alerts, {ours}",
                "narrow the topic, change alerts.topic_prefix, or set alerts.publish: false",
            )
