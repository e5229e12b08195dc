"""Positions over several partitions of messages, as JetStream keeps them: each has sequence numbers of its own.

A batch lies between two lists of numbers, one per partition. Its messages are counted partition after partition, from
the number of all messages before it on: so each reading has one position, the same whenever a batch is run again, and
positions ascend within a stream, whose messages are all in one partition. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pipeline.decode.payloads import MAX_PAYLOAD_BYTES
from pipeline.scaleout.weights import Version, in_force

#: Positions between two messages: a reading takes a byte at least, so none has more.
READINGS_OF_MESSAGE = MAX_PAYLOAD_BYTES


@dataclass(frozen=True, slots=True)
class Marks:
    """How far a job has come.

    Attributes:
        next: Sequence number of the next message of each partition.
        weights: Name of the newest networks that were known; empty for none.
    """

    next: tuple[int, ...]
    weights: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values."""
        return {"next": list(self.next), "weights": self.weights}

    @classmethod
    def from_dict(cls, plain: dict[str, object]) -> Self:
        """Return what ``as_dict`` returned."""
        numbers = plain["next"]
        if not isinstance(numbers, list):
            raise TypeError(numbers)
        return cls(tuple(map(int, numbers)), str(plain["weights"]))


@dataclass(frozen=True, slots=True)
class Span:
    """The messages of one partition in one batch.

    Attributes:
        partition: Its number.
        start: Sequence number of the first.
        end: Sequence number after the last.
        first: Position of the first reading.
        model: Name of the networks in force.
    """

    partition: int
    start: int
    end: int
    first: int
    model: str


def advance(start: Marks, ends: Sequence[int], n_most: int | None, known: Sequence[Version]) -> Marks:
    """Return where the next batch ends: ``start`` where there is nothing new.

    Args:
        start: Where the last one ended.
        ends: Sequence number after the last message of each partition.
        n_most: Messages of the batch at most, an even share for each partition; None for all there are.
        known: Networks that are known.

    Example:
        >>> advance(Marks((1, 1)), [5, 2], 4, [])
        Marks(next=(3, 2), weights='')
    """
    share = None if n_most is None else max(1, n_most // len(start.next))
    reached = tuple(
        max(at, end if share is None else min(end, at + share)) for at, end in zip(start.next, ends, strict=True)
    )
    if reached == start.next:
        return start
    return Marks(reached, known[-1].name if known else "")


def spans(start: Marks, end: Marks, known: Sequence[Version]) -> list[Span]:
    """Return what lies between two marks, partition by partition, in the order of positions.

    Example:
        >>> [(span.partition, span.first // READINGS_OF_MESSAGE) for span in spans(Marks((1, 1)), Marks((3, 2)), [])]
        [(0, 2), (1, 4)]
    """
    known = [version for version in known if version.name <= end.weights]
    found, n_before = [], sum(start.next)
    for partition, (low, high) in enumerate(zip(start.next, end.next, strict=True)):
        if high > low:
            first = n_before * READINGS_OF_MESSAGE
            found.append(Span(partition, low, high, first, in_force(known, first)))
        n_before += high - low
    return found
