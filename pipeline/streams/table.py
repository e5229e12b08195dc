"""Which stream lives in which slot: bounded, names checked, slots reused after eviction."""

import re
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush

import numpy as np

from pipeline.core.records import I64

_NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}")


def is_stream_name(name: str) -> bool:
    """Say whether ``name`` may become a stream: 1-128 letters, digits, ``_``, ``.``, ``/``, ``-``.

    Example:
        >>> is_stream_name("pump-1/temperature"), is_stream_name("a b"), is_stream_name("")
        (True, False, False)
    """
    return _NAME.fullmatch(name) is not None


class StreamTable:
    """Names to slots. The lowest free slot is taken first, so live slots stay dense.

    Args:
        max_streams: Streams at most.

    Example:
        >>> table = StreamTable(2)
        >>> table.admit(["a", "b", "c", "a"]).tolist()
        [0, 1, -1, 0]
        >>> table.evict(["a"]).tolist()
        [0]
        >>> table.admit(["c"]).tolist()
        [0]
    """

    def __init__(self, max_streams: int) -> None:
        self.max_streams = max_streams
        self.names: list[str | None] = []
        self._slots: dict[str, int] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        """Return the number of streams that have a slot."""
        return len(self._slots)

    def __contains__(self, name: object) -> bool:
        """Say whether a stream has a slot."""
        return name in self._slots

    @property
    def live(self) -> I64:
        """Slots in use, ascending."""
        return np.array([i for i, name in enumerate(self.names) if name is not None], np.int64)

    def admit(self, names: Sequence[str]) -> I64:
        """Return the slot of each name, giving slots to new ones; -1 where it is refused.

        Refused are names that are not stream names, and new ones beyond ``max_streams``.
        """
        known = self.known(names)
        return np.array([self._slot(name) for name in names], np.int64) if known is None else known

    def known(self, names: Sequence[str]) -> I64 | None:
        """Return the slot of each name, or None where one of them has none."""
        slots = list(map(self._slots.get, names))
        return None if None in slots else np.array(slots, np.int64)

    def _slot(self, name: str) -> int:
        slot = self._slots.get(name)
        if slot is not None:
            return slot
        if len(self._slots) >= self.max_streams or not is_stream_name(name):
            return -1
        if self._free:
            slot = heappop(self._free)
            self.names[slot] = name
        else:
            slot = len(self.names)
            self.names.append(name)
        self._slots[name] = slot
        return slot

    def evict(self, names: Iterable[str]) -> I64:
        """Forget streams and return the slots they had; unknown names are ignored."""
        slots = [self._slots.pop(name) for name in names if name in self._slots]
        for slot in slots:
            self.names[slot] = None
            heappush(self._free, slot)
        return np.array(slots, np.int64)

    def restore(self, names: Sequence[str | None]) -> None:
        """Replace the table by slots in order; None is a free slot."""
        self.names = list(names)
        self._slots = {name: slot for slot, name in enumerate(names) if name is not None}
        self._free = [slot for slot, name in enumerate(names) if name is None]
