"""What is told of episodes beyond their own stream: neighbours, alerts with their words, incidents of devices."""

import math
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Self

from pipeline.core.records import EpisodeEvent, Event

#: Severities, least first.
SEVERITIES = ("minor", "major", "critical")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another stream that was surprising at the same time.

    Attributes:
        stream: Stream name.
        score: Its largest score in that time.
        level: Its alert level at that reading.
        at_s: Event time of that reading, Unix seconds.
        is_of_device: It belongs to the same device; else it is elsewhere on the site.
    """

    stream: str
    score: float
    level: float
    at_s: float
    is_of_device: bool


@dataclass(frozen=True, slots=True)
class Alert:
    """An episode that opened or closed, as it is told to people.

    Attributes:
        event: The episode.
        device: Device that the stream belongs to.
        incident: Stable id of the device's incident that the episode is part of.
        neighbours: Streams that were surprising at the same time, those of the device first, most surprising first.
        summary: What happened, in one line.
        text: The same in full, in paragraphs.
    """

    event: EpisodeEvent
    device: str = ""
    incident: str = ""
    neighbours: tuple[Neighbour, ...] = ()
    summary: str = ""
    text: str = ""

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return what ``asdict`` was given, without its evidence."""
        event = plain["event"]
        views = tuple((name, decades) for name, decades in event["views"])
        opened = EpisodeEvent(**event | {"event": Event(event["event"]), "views": views, "evidence": None})
        neighbours = tuple(Neighbour(**each) for each in plain["neighbours"])
        return cls(**plain | {"event": opened, "neighbours": neighbours})


@dataclass(frozen=True, slots=True)
class Member:
    """What an incident knows of one stream: its newest episode.

    Attributes:
        stream: Stream name.
        episode: Id of the episode.
        onset_s: When its change began, as estimated, Unix seconds; the opening where that is not known.
        opened_s: Event time of the opening, Unix seconds.
        margin: Decades by which its largest score exceeds its alert level.
        is_open: The episode is still open.
        severity: One of ``SEVERITIES``.
    """

    stream: str
    episode: str
    onset_s: float
    opened_s: float
    margin: float
    is_open: bool
    severity: str


@dataclass(frozen=True, slots=True)
class Incident:
    """Episodes of one device that overlap or follow each other closely.

    Attributes:
        incident: Stable id: of the device and its first opening.
        device: Device.
        is_open: An episode is open.
        opened_s: Event time of the first opening, Unix seconds.
        at_s: Event time of the newest opening or closing, Unix seconds.
        members: The streams with their newest episodes, largest margin first.
        n_sensors: Streams of the device.
        device_margin: Decades by which the device is beyond the level at which as many sensors together raise no more
            false alarms than one does alone; an alert of the whole device where it is at least 0.
    """

    incident: str
    device: str
    is_open: bool
    opened_s: float
    at_s: float
    members: tuple[Member, ...]
    n_sensors: int
    device_margin: float
    severity: str = field(init=False)

    def __post_init__(self) -> None:
        """Take over the worst severity of the members."""
        worst = max((SEVERITIES.index(member.severity) for member in self.members), default=0)
        object.__setattr__(self, "severity", SEVERITIES[worst])

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return what ``asdict`` was given."""
        members = tuple(Member(**member) for member in plain["members"])
        return cls(**{name: value for name, value in plain.items() if name != "severity"} | {"members": members})


@dataclass(frozen=True, slots=True)
class StreamState:
    """What a stream's alert is now: the retained state topic.

    Attributes:
        stream: Stream name.
        state: One of ``STATES``.
        episode: Id of the open, or the last, episode; empty for none yet.
        severity: Of that episode; empty for none yet.
        at_s: Since when, event time, or when an operator said something, Unix seconds.
        held: Why nothing is told of it, one of ``HELD``; empty when it is told.
        acknowledged_by: Who has seen it; empty for nobody.
        judged: ``false`` or ``true``, as an operator judged it; empty for not yet.
        expected_until_s: Until when an operator expects it, Unix seconds; None for not.
    """

    stream: str
    state: str
    episode: str = ""
    severity: str = ""
    at_s: float = math.nan
    held: str = ""
    acknowledged_by: str = ""
    judged: str = ""
    expected_until_s: float | None = None


#: States of a stream's alert, in the order in which they follow each other.
STATES = ("pending", "open", "closing", "closed")
#: Why an alert is held back.
HELD = ("silence", "maintenance", "expected", "judged_false", "cooldown")


def incident_id(device: str, opened_s: float) -> str:
    """Return the stable id of the incident that began on a device at an event time.

    Example:
        >>> incident_id("pump-1", 1772359200.0)
        'e7b1c50e5f1fdba6'
    """
    return blake2b(f"incident\0{device}\0{opened_s!r}".encode(), digest_size=8).hexdigest()
