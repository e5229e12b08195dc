"""What the next batch is: which segments, and with which networks. Pure but for looking at two folders.

A plan depends on nothing but the offsets it lies between and on files that never change, so that it can be made again.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from pipeline.scaleout.segments import count_readings, segments
from pipeline.scaleout.weights import Version, in_force, versions


@dataclass(frozen=True, slots=True)
class Offset:
    """How far a job has come.

    Attributes:
        position: Segments that begin before this position of the log have been read.
        weights: Name of the newest networks that were known; empty for none.
    """

    position: int = 0
    weights: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, object]) -> Self:
        """Return what ``as_dict`` returned."""
        return cls(int(str(plain["position"])), str(plain["weights"]))


@dataclass(frozen=True, slots=True)
class Task:
    """One segment of a batch.

    Attributes:
        first: Position of its first reading.
        path: Where it is.
        model: Name of the networks in force.
    """

    first: int
    path: str
    model: str


class Planner:
    """Plans batches.

    Args:
        log: Folder of the segments.
        weights: Folder of the networks.
    """

    def __init__(self, log: Path, weights: Path) -> None:
        self._log = log
        self._weights = weights

    def end(self) -> Offset:
        """Return where the log ends now."""
        return self.next(Offset(), None)

    def next(self, start: Offset, n_readings: int | None, until: Offset | None = None) -> Offset:
        """Return where the next batch ends: ``start`` where there is nothing new.

        Args:
            start: Where the last one ended.
            n_readings: Readings of the batch at most, but for its first segment; None for all there are.
            until: The end of the job; None for none.
        """
        known = versions(self._weights)
        position, n = start.position, 0
        for segment in segments(self._log, start.position):
            if until is not None and segment.first >= until.position:
                break
            n += count_readings(segment.path) if n_readings is not None else 0
            if n_readings is not None and n > n_readings and position > start.position:
                break
            position = segment.first + 1
        if position == start.position:
            return start
        return Offset(position, known[-1].name if known else "")

    def tasks(self, start: Offset, end: Offset) -> list[Task]:
        """Return the segments between two offsets, in the order of the log."""
        known = _until(versions(self._weights), end.weights)
        return [
            Task(segment.first, str(segment.path), in_force(known, segment.first))
            for segment in segments(self._log, start.position)
            if segment.first < end.position
        ]


def _until(known: list[Version], newest: str) -> list[Version]:
    """Return the networks that were known when this one was the newest: names begin with positions."""
    return [version for version in known if version.name <= newest]
