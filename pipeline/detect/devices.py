"""Devices: which streams belong together, and which of them were surprising at the same time.

Comes in: stream names, and the readings that were surprising. Goes out: device names, and the neighbours of an alert.
Bounded: the newest few surprising readings of each stream. Refuses to know what a score is made of.
"""

import math
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from pipeline.core.alert_records import Neighbour
from pipeline.core.device_settings import DeviceSettings
from pipeline.core.records import F64, I64, Bool

#: Neighbours that an alert names at most.
MAX_NEIGHBOURS = 8
#: A reading is surprising from this share of its alert level on.
SHARE_OF_LEVEL = 0.5
#: Surprising readings kept per stream.
N_KEPT = 8
#: Readings of a stream that are always together with one of its neighbours'.
N_TOGETHER = 8
_CHANCE = 0.1  # neighbours by chance that an alert may name


def device_of(stream: str, settings: DeviceSettings) -> str:
    """Return the device that a stream belongs to; a name of one level is a device of its own.

    Example:
        >>> device_of("plant/pump-1/temperature", DeviceSettings()), device_of("pump-1", DeviceSettings())
        ('plant/pump-1', 'pump-1')
        >>> device_of("plant/pump-1/bearing/temperature", DeviceSettings(levels=2))
        'plant/pump-1'
    """
    for pattern in settings.patterns:
        if fnmatchcase(stream, pattern.match):
            return pattern.device
    parts = stream.split("/")
    n_levels = min(settings.levels or len(parts) - 1, len(parts) - 1)
    return "/".join(parts[:n_levels]) or stream


def is_surprising(score: F64, level: F64) -> Bool:
    """Say which readings are worth keeping: those beyond half their alert level; NaN is none of them."""
    with np.errstate(invalid="ignore"):
        found: Bool = (score >= SHARE_OF_LEVEL * level) & np.isfinite(level)
    return found


def bar(level: F64, n_streams: int, n_readings: float) -> F64:
    """Return the score from which a stream is a neighbour.

    Half its alert level, and more where so many streams are asked over so many readings that more than a tenth of a
    neighbour would be named by chance; never more than its alert level.

    Args:
        level: Alert levels of the streams, any shape.
        n_streams: Streams asked.
        n_readings: Readings of each that are looked at.

    Example:
        >>> bar(np.array([5.0]), 3, 8).tolist(), bar(np.array([5.0]), 500, 8).round(2).tolist()
        ([2.5], [4.6])
    """
    by_chance = math.log10(max(n_streams * n_readings, 1.0) / _CHANCE)
    return np.minimum(level, np.maximum(SHARE_OF_LEVEL * level, by_chance))


class Surprises:
    """The newest surprising readings of every stream, and who belongs to whom.

    Args:
        settings: Which streams make a device.

    Example:
        >>> surprises = Surprises(DeviceSettings())
        >>> for stream in ("pump/flow", "pump/power", "tank/level"):
        ...     _ = surprises.admit(stream)
        >>> surprises.note("pump/power", 1000.0, 5.5, 5.0)
        >>> [each.stream for each in surprises.neighbours("pump/flow", 900.0, 1010.0, 8)]
        ['pump/power']
    """

    def __init__(self, settings: DeviceSettings) -> None:
        self._settings = settings
        self._slots: dict[str, int] = {}
        self._names: list[str] = []
        self._devices: list[str] = []
        self._number: dict[str, int] = {}
        self._n_sensors: list[int] = []
        self._device: I64 = np.zeros(0, np.int64)  # number of each stream's device, shape (S,)
        self._n: I64 = np.zeros(0, np.int64)  # surprising readings so far, shape (S,)
        self._time: F64 = np.zeros((0, N_KEPT))
        self._score: F64 = np.zeros((0, N_KEPT))
        self._level: F64 = np.zeros((0, N_KEPT))

    def admit(self, stream: str) -> str:
        """Make a stream known, once or often; return its device."""
        slot = self._slots.get(stream)
        if slot is None:
            slot = self._slots[stream] = len(self._names)
            self._names.append(stream)
            if slot >= len(self._n):
                self._grow(max(16, 2 * slot))
            device = device_of(stream, self._settings)
            number = self._number.setdefault(device, len(self._devices))
            if number == len(self._devices):
                self._devices.append(device)
                self._n_sensors.append(0)
            self._n_sensors[number] += 1
            self._device[slot] = number
        return self._devices[int(self._device[slot])]

    def n_sensors(self, device: str) -> int:
        """Return how many streams of a device are known; 0 for a device that is not."""
        return self._n_sensors[self._number[device]] if device in self._number else 0

    def note(self, stream: str, time_s: float, score: float, level: float) -> None:
        """Keep a surprising reading of a known stream; it pushes out the stream's oldest."""
        slot = self._slots[stream]
        at = self._n[slot] % N_KEPT
        self._time[slot, at], self._score[slot, at], self._level[slot, at] = time_s, score, level
        self._n[slot] += 1

    def neighbours(self, stream: str, begin_s: float, end_s: float, n_readings: float) -> tuple[Neighbour, ...]:
        """Return who was surprising at the same time as a known stream.

        Args:
            stream: The stream that is told of; not a neighbour of itself.
            begin_s: Event time from which on, Unix seconds.
            end_s: Event time until which, included.
            n_readings: How many readings of a stream fall into that time, about.

        Returns:
            At most ``MAX_NEIGHBOURS``: those of the same device first, each group by score, largest first.
        """
        slot, n = self._slots[stream], len(self._names)
        time, level = self._time[:n], self._level[:n]
        score = np.where((time >= begin_s) & (time <= end_s), self._score[:n], -np.inf)
        is_of_device = self._device[:n] == self._device[slot]
        n_device = self._n_sensors[self._device[slot]]
        needed = np.where(
            is_of_device[:, None], bar(level, n_device - 1, n_readings), bar(level, n - n_device, n_readings)
        )
        beyond = np.where(score >= needed, score, -np.inf)
        beyond[slot] = -np.inf
        best = beyond.max(axis=1)
        found = np.flatnonzero(best > -np.inf)
        order = found[np.lexsort((found, -best[found], ~is_of_device[found]))][:MAX_NEIGHBOURS]
        at = beyond.argmax(axis=1)
        return tuple(
            Neighbour(
                self._names[i],
                float(self._score[i, at[i]]),
                float(level[i, at[i]]),
                float(time[i, at[i]]),
                bool(is_of_device[i]),
            )
            for i in order.tolist()
        )

    def dump(self) -> list[list[Any]]:
        """Return what is kept as plain values: name, number of surprising readings, and the rings of each stream."""
        rings = (self._time, self._score, self._level)
        return [
            [name, int(self._n[i]), *(ring[i].tolist() for ring in rings)] if self._n[i] else [name]
            for i, name in enumerate(self._names)
        ]

    def load(self, rows: Iterable[Sequence[Any]]) -> None:
        """Take over what ``dump`` returned; nothing may be kept yet."""
        for name, *kept in rows:
            self.admit(name)
            if kept:
                slot = self._slots[name]
                self._n[slot], self._time[slot], self._score[slot], self._level[slot] = kept

    def _grow(self, capacity: int) -> None:
        """Make room for more streams."""
        extra = capacity - len(self._n)
        self._device = np.concatenate((self._device, np.zeros(extra, np.int64)))
        self._n = np.concatenate((self._n, np.zeros(extra, np.int64)))
        self._time = np.concatenate((self._time, np.full((extra, N_KEPT), -np.inf)))
        self._score = np.concatenate((self._score, np.full((extra, N_KEPT), -np.inf)))
        self._level = np.concatenate((self._level, np.full((extra, N_KEPT), np.inf)))
