"""What a profile makes of a message, before names and times are settled: values with where they stood.

Also what a family of publishers is (``Profile``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import NamedTuple

from pipeline.core.priors import Prior
from pipeline.decode.content import Json
from pipeline.decode.memory import Memory
from pipeline.decode.reasons import Request, Skip


class Item(NamedTuple):
    """One value of a message.

    Attributes:
        sub: Identity that the payload tells beyond the topic, ``pump-A``; empty for none.
        key: What is measured, ``temperature`` or ``ENERGY/Power``; ``value`` adds nothing to the stream's name.
        value: The value, as the publisher wrote it.
        time_s: Its own event time, Unix seconds; None for the message's.
    """

    sub: str
    key: str
    value: Json
    time_s: float | None = None


class Incoming(NamedTuple):
    """A message as profiles see it.

    Attributes:
        topic: Topic as received.
        levels: Its levels.
        arrival_s: Arrival, Unix seconds.
        zone: Zone of local times; None when the user gave none.
        payload: Payload as received.
        content_type: MQTT 5 content type; empty for none.
        options: Options of the profile: the mapping of ``mapping``.
    """

    topic: str
    levels: tuple[str, ...]
    arrival_s: float
    zone: tzinfo | None
    payload: bytes
    content_type: str = ""
    options: object = None


@dataclass(slots=True)
class Found:
    """What a profile found.

    Attributes:
        items: Values in the order of the message.
        time_s: Event time of items without their own; None for the arrival.
        skipped: What was left out, by reason.
        priors: What is known of streams from now on, by (sub, key).
        requests: What should be asked of the publisher.
        n_lost: Messages that are known to be lost before this one.
        dead: Subs that the publisher says are gone; ``""`` for the whole device of the topic.
        is_metadata: The message describes streams and holds no readings of its own.
    """

    items: list[Item] = field(default_factory=list)
    time_s: float | None = None
    skipped: list[Skip] = field(default_factory=list)
    priors: dict[tuple[str, str], Prior] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    n_lost: int = 0
    dead: list[str] = field(default_factory=list)
    is_metadata: bool = False


#: Content of a payload: parsed JSON, text, or bytes that are no text.
Content = Json | bytes


@dataclass(frozen=True, slots=True)
class Profile:
    """A family of publishers: how it is recognised, and how it is read.

    Attributes:
        name: Its name in settings and explanations.
        says: One line about it, for documentation.
        device: Topic levels -> the device that the topic names, empty when the payload names it; None when
            a topic cannot be of this family.
        claims: Content -> it looks like this family's. Of objects it may look at nothing but the keys.
        read: Message, content and memory -> what was found. Raises ``RefusalError`` and nothing else.
    """

    name: str
    says: str
    device: Callable[[tuple[str, ...]], str | None]
    claims: Callable[[Content], bool]
    read: Callable[[Incoming, Content, Memory], Found]


def keys_of(content: Content) -> Mapping[str, Json]:
    """Return an object's keys and values; nothing for other content."""
    return content if isinstance(content, dict) else {}
