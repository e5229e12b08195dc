"""What the decoder remembers between messages, all of it bounded: names, births, frame counts, paces.

``decode`` changes it in place and reads nothing else, so the same messages from the same memory give the same
readings. It may be thrown away at any time: publishers' descriptions are then waited for, or asked for, again.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pipeline.core.priors import Prior

MAX_TOPICS = 20_000
MAX_DEVICES = 5_000
MAX_DESCRIBED = 20_000
#: Metrics of one Sparkplug node that are remembered at most.
MAX_ALIASES = 10_000

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(dict[K, V]):
    """A dict that forgets its oldest entry rather than grow beyond a limit.

    Args:
        limit: Entries at most.

    Example:
        >>> names = Bounded[str, int](2)
        >>> for i, name in enumerate("abc"):
        ...     names.put(name, i)
        >>> list(names)
        ['b', 'c']
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def put(self, key: K, value: V) -> None:
        """Set an entry; a new one may cost the oldest."""
        if key not in self and len(self) >= self._limit:
            del self[next(iter(self))]
        self[key] = value


@dataclass(slots=True)
class Alias:
    """What a Sparkplug birth says of a metric.

    Attributes:
        name: Its name.
        datatype: Number of its type in the specification.
    """

    name: str
    datatype: int


@dataclass(slots=True)
class Node:
    """A Sparkplug edge node.

    Attributes:
        seq: Sequence number of its last message; None before its birth.
        bd_seq: Number that its death will carry; None when its birth had none.
        aliases: Metrics by alias, of the node and all its devices.
        alive: Devices born and not dead since; ``""`` for the node itself.
    """

    seq: int | None = None
    bd_seq: int | None = None
    aliases: Bounded[int, Alias] = field(default_factory=lambda: Bounded(MAX_ALIASES))
    alive: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Memory:
    """Everything that is remembered.

    Attributes:
        plans: How each topic is read: a cache, by topic.
        n_names: Stream names in that cache.
        nodes: Sparkplug edge nodes, by group and node.
        frames: Last frame count of LoRaWAN devices, by topic.
        described: What discovery and retained attributes say of values, by topic and path in the payload.
        version: Changes with every change of ``described``.
        not_numbers: Topics whose values look like numbers and are none: switches, enumerations.
        asked_s: When something was last asked of a publisher, by topic, Unix seconds.
        paces: How often each topic speaks, by topic.
    """

    plans: Bounded[str, Any] = field(default_factory=lambda: Bounded(MAX_TOPICS))
    n_names: int = 0
    nodes: Bounded[str, Node] = field(default_factory=lambda: Bounded(MAX_DEVICES))
    frames: Bounded[str, int] = field(default_factory=lambda: Bounded(MAX_DEVICES))
    described: Bounded[tuple[str, str], Prior] = field(default_factory=lambda: Bounded(MAX_DESCRIBED))
    version: int = 0
    not_numbers: Bounded[str, str] = field(default_factory=lambda: Bounded(MAX_DESCRIBED))
    asked_s: Bounded[str, float] = field(default_factory=lambda: Bounded(MAX_DEVICES))
    paces: Bounded[str, Any] = field(default_factory=lambda: Bounded(MAX_TOPICS))

    def describe(self, topic: str, path: str, prior: Prior) -> None:
        """Remember what is said of a value."""
        if self.described.get((topic, path)) != prior:
            self.version += 1
            self.described.put((topic, path), prior)
