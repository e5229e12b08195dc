"""Why a message, or one value of it, gave no reading: the names that metrics and explanations use.

Also what should then be asked of its publisher.
The sets are fixed, so they may be metric labels; README and CHANGELOG use them too.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Reason(StrEnum):
    """Why a message was rejected; the value is the metric label."""

    BAD_TOPIC = "bad_topic"
    """No route matches, or the stream's name is outside the allow-list."""
    TOO_LARGE = "too_large"
    EMPTY = "empty"
    NOT_TEXT = "not_text"
    """Not UTF-8, and no binary format that is known."""
    MALFORMED = "malformed"
    """Text or bytes that do not follow the format they should."""
    NESTED = "nested"
    """Nested deeper than anything that is read, or lists that no profile knows."""
    TOO_MANY_KEYS = "too_many_keys"
    """More keys or values than one message may hold."""
    DUPLICATE_KEY = "duplicate_key"
    BAD_KEY = "bad_key"
    """No stream can be named: the key is outside the allow-list, or a Sparkplug alias came before its birth."""
    BAD_TIME = "bad_time"
    NOT_FINITE = "not_finite"
    NO_NUMBER = "no_number"


class Skip(StrEnum):
    """Why one value of an accepted message gave no reading; the value is the metric label."""

    BAD_KEY = "bad_key"
    NOT_FINITE = "not_finite"
    BAD_TIME = "bad_time"
    MALFORMED = "malformed"
    NULL = "null"
    """The publisher says that it has no value."""
    BAD_QUALITY = "bad_quality"
    """The publisher says that the value is not good."""
    HISTORICAL = "historical"
    """Sent again from a store: not news."""
    NO_ZONE = "no_zone"
    """A local time whose zone nobody gave (``mqtt.topics[].timezone``): the arrival counts instead."""


class Request(NamedTuple):
    """A message that should be sent to a publisher, at most once a minute.

    Attributes:
        topic: Where to.
        payload: What.
        why: The reason, for the log.
    """

    topic: str
    payload: bytes
    why: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """A message that gave no reading.

    Attributes:
        reason: The first reason found.
        detail: What exactly was wrong, for people; it may quote the message and must be escaped when shown.
        profile: The profile that tried; empty when it did not come to that.
        requests: What should be asked of the publisher, to mend it.
    """

    reason: Reason
    detail: str = ""
    profile: str = ""
    requests: tuple[Request, ...] = ()


class RefusalError(Exception):
    """Carries a reason out of a helper of this package; ``decode`` never lets it out."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail
