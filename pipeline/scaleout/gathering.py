"""Readings that wait for their segment, and what identifies the messages they came with."""

from collections.abc import Mapping

import numpy as np

from pipeline.core.priors import Prior
from pipeline.core.records import F64, I32, Readings
from pipeline.runtime.repeats import Received
from pipeline.scaleout.segments import Logged
from pipeline.sources.inbox import Receipt

NOTHING_LOGGED = Logged(
    np.zeros(0, np.int64),
    np.zeros(0),
    Readings((), np.zeros(0, np.int32), np.zeros(0), np.zeros(0), np.zeros(0, np.uint8)),
)


class Gathered:
    """What will be in the next segment.

    Attributes:
        receipts: Of the messages to acknowledge once the segment is on disk, oldest first.
        oldest_s: When the oldest of the readings arrived, Unix seconds; None for none.

    Example:
        >>> gathered = Gathered()
        >>> one = Readings(["x"], np.zeros(1, np.int32), np.ones(1), np.ones(1), np.zeros(1, np.uint8))
        >>> gathered.add(one, np.array([5.0]))
        >>> gathered.add(one, np.array([7.0]))
        >>> logged = gathered.logged(40)
        >>> logged.seq.tolist(), logged.readings.stream.tolist(), gathered.oldest_s
        ([40, 41], [0, 0], 5.0)
    """

    def __init__(self) -> None:
        self.clear()

    def __len__(self) -> int:
        """Return the number of readings."""
        return self._n

    def clear(self) -> None:
        """Begin anew."""
        self.receipts: list[Receipt] = []
        self.oldest_s: float | None = None
        self._n = 0
        self._slots: dict[str, int] = {}
        self._streams: list[I32] = []
        self._parts: list[tuple[F64, Readings]] = []
        self._received: list[Received] = []
        self._told: dict[str, Prior] = {}

    def receive(self, received: Received, receipts: list[Receipt]) -> None:
        """Add messages that were dealt with, whatever became of them."""
        if received.is_new_session:
            self._received = []  # what came before comes no more
        self._received.append(received)
        self.receipts += receipts

    def add(self, readings: Readings, arrival: F64, told: Mapping[str, Prior] | None = None) -> None:
        """Add readings, with when each arrived, and what publishers said of their streams."""
        self._told |= told or {}
        if not len(readings):
            return
        if self.oldest_s is None:
            self.oldest_s = float(arrival[0])
        slots = self._slots
        own = np.array([slots.setdefault(name, len(slots)) for name in readings.names], np.int32)
        self._streams.append(own[readings.stream])
        self._parts.append((arrival, readings))
        self._n += len(readings)

    def logged(self, first: int) -> Logged:
        """Return all readings with positions from ``first`` on; there is one at least."""
        parts = [readings for _, readings in self._parts]
        readings = Readings(
            list(self._slots),
            np.concatenate(self._streams),
            np.concatenate([part.time for part in parts]),
            np.concatenate([part.value for part in parts]),
            np.concatenate([part.flags for part in parts]),
        )
        arrival = np.concatenate([arrival for arrival, _ in self._parts])
        return Logged(np.arange(first, first + self._n, dtype=np.int64), arrival, readings, self._told)

    def received(self) -> Received:
        """Return what identifies the messages of the newest session."""
        mids = [np.zeros(0, np.uint16), *(each.mids for each in self._received)]
        digests = [np.zeros(0, np.uint64), *(each.digests for each in self._received)]
        return Received(is_new_session=False, mids=np.concatenate(mids), digests=np.concatenate(digests))
