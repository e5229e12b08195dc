"""Which streams are silent for too long, repeat themselves, or are known from old messages only.

Comes in: which streams were heard in a batch, and for how long has been listened. Goes out: verdicts that were raised
and cleared, each with a way in and another way out. Pure: no clock, and time in which nobody listened does not count.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.health_settings import HealthSettings
from pipeline.core.records import F64, I64, U8, U16, Bool, Health, HealthEvent
from pipeline.streams.pauses import DIMENSIONS, Pauses
from pipeline.streams.table import StreamTable

#: Streams not heard for so long are forgotten, seconds of listening; and for so many times what they may be silent.
FORGOTTEN_S, N_FORGOTTEN = 30 * 86_400.0, 10.0
#: Readings over which the share of repeated ones is taken, and the shares that raise and clear the verdict.
N_SHARE, REPEATS_RAISED, REPEATS_CLEARED = 32.0, 0.5, 0.125
#: Listening after which a stream of which only a retained message came is told, seconds.
RETAINED_S = 3600.0

_OK, _SILENT, _BACK = 0, 1, 2  # _BACK: heard again, and the verdict holds until the next reading comes in time


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of each stream in a batch.

    Attributes:
        names: Stream names, each once.
        n_live: Readings that show the sensor to be alive, shape (N,).
        n_repeated: Of these, repetitions of one that is known, shape (N,).
        n_retained: Messages that the broker kept from earlier, shape (N,).
    """

    names: Sequence[str]
    n_live: F64
    n_repeated: F64
    n_retained: F64


@dataclass
class _Marks(SlotArrays):
    """What holds of every stream, shape (S,) each.

    Attributes:
        state: ``_OK``, ``_SILENT`` or ``_BACK``.
        is_gone: Its publisher said that it is gone.
        seen_s: When it was last heard, Unix seconds.
        since_s: Since when it has been silent, Unix seconds.
        repeats: Share of its readings that are repetitions.
        is_repeating: That verdict holds.
        retained: When a retained message of it first came, seconds of listening.
        is_retained: That verdict holds.
    """

    state: U8 = column(np.uint8)
    is_gone: Bool = column(np.bool_)
    seen_s: F64 = column(np.float64, fill=np.nan)
    since_s: F64 = column(np.float64, fill=np.nan)
    repeats: F64 = column(np.float64)
    is_repeating: Bool = column(np.bool_)
    retained: F64 = column(np.float64, fill=np.nan)
    is_retained: Bool = column(np.bool_)


class Silence:
    """Knows how long each stream may be silent.

    Args:
        settings: Those of health.
        max_streams: Streams kept at most.

    Example:
        >>> silence, one = Silence(HealthSettings(), 10), np.ones(1)
        >>> for minute in range(40):
        ...     _ = silence.hear(Heard(["t"], one, 0 * one, 0 * one), 60.0 * minute, 1e9 + 60.0 * minute)
        >>> [len(silence.tick(2340.0 + pause_s, 1e9)) for pause_s in (200.0, 400.0, 800.0)]
        [0, 1, 0]
    """

    def __init__(self, settings: HealthSettings, max_streams: int) -> None:
        self._settings = settings
        self._table = StreamTable(max_streams)
        self._pauses = Pauses.empty(0, **DIMENSIONS)
        self._marks = _Marks.empty(0)

    def __len__(self) -> int:
        """Return the number of streams known."""
        return len(self._table)

    @property
    def n_silent(self) -> int:
        """Streams that are silent."""
        return int(np.count_nonzero(self._marks.state))

    def hear(self, heard: Heard, listened_s: float, now_s: float) -> list[HealthEvent]:
        """Note which streams were heard; return the verdicts that were raised or cleared.

        Args:
            heard: Streams of a batch.
            listened_s: For how long has been listened, seconds.
            now_s: Current time, Unix seconds.
        """
        slots = self._table.admit(heard.names)
        if len(self._table.names) > (known := self._marks.capacity):
            for arrays in (self._pauses, self._marks):
                arrays.grow(max(64, 2 * len(self._table.names)))
                arrays.reset(np.arange(known, arrays.capacity))  # every tick looks at all of them
        rows = np.flatnonzero(slots >= 0)
        slots = slots[rows]
        is_live = heard.n_live[rows] > 0
        events = self._repeats(slots, heard.n_live[rows], heard.n_repeated[rows], now_s)
        events += self._retained(slots, is_live, heard.n_retained[rows] > 0, listened_s, now_s)
        return events + self._arrive(slots[is_live], listened_s, now_s)

    def lose(self, devices: Iterable[str], now_s: float) -> list[HealthEvent]:
        """Note devices that are gone, as their publisher says: beginnings of stream names."""
        gone = tuple(devices)
        if not gone:
            return []
        starts = tuple(f"{device}/" for device in gone)
        names = enumerate(self._table.names)
        slots = [slot for slot, name in names if name is not None and (name in gone or name.startswith(starts))]
        told = [slot for slot in slots if self._marks.state[slot] != _SILENT]
        self._marks.is_gone[told] = True
        return [self._raise(slot, now_s, "its publisher says that it is gone") for slot in told]

    def is_due(self, listened_s: float) -> bool:
        """Say whether ``tick`` would change anything."""
        masks = (self._overdue(listened_s), self._stale(listened_s), self._forgettable(listened_s))
        return any(bool(mask.any()) for mask in masks)

    def tick(self, listened_s: float, now_s: float) -> list[HealthEvent]:
        """Look who has been silent for too long; return the verdicts that were raised or cleared.

        Args:
            listened_s: For how long has been listened, seconds.
            now_s: Current time, Unix seconds.
        """
        marks, events = self._marks, []
        for slot in np.flatnonzero(self._overdue(listened_s)).tolist():
            if marks.state[slot] == _BACK:
                marks.state[slot] = _SILENT  # it came back once only: the verdict holds
                continue
            usual_s = float(self._pauses.usual_s(np.array([slot]))[0])
            pause_s = listened_s - float(self._pauses.last[slot])
            why = f"not heard for {_span(pause_s)}; it usually speaks every {_span(usual_s)}"
            events.append(self._raise(slot, now_s, why))
        for slot in np.flatnonzero(self._stale(listened_s)).tolist():
            marks.is_retained[slot] = True
            text = "the broker keeps an old message of it, and nothing new has come"
            events.append(self._event(slot, Health.RETAINED, now_s, text))
        forgotten = np.flatnonzero(self._forgettable(listened_s))
        silent = forgotten[marks.state[forgotten] != _OK].tolist()
        events += [self._clear(slot, now_s, "forgotten: not heard for a month or more") for slot in silent]
        self._table.evict([str(self._table.names[slot]) for slot in forgotten.tolist()])
        for arrays in (self._pauses, marks):
            arrays.reset(forgotten)
        return events

    def bits(self, names: Sequence[str]) -> U16:
        """Return the bits of ``Health`` that hold for streams, shape (N,)."""
        found = np.zeros(len(names), np.uint16)
        rows = np.array([row for row, name in enumerate(names) if name in self._table], np.int64)
        at, marks = self._table.admit([names[row] for row in rows.tolist()]), self._marks
        held = (
            (marks.state[at] != _OK, Health.SILENT),
            (marks.is_repeating[at], Health.DUPLICATE),
            (marks.is_retained[at], Health.RETAINED),
        )
        for mask, bit in held:
            found[rows[mask]] |= np.uint16(bit)
        return found

    def dump(self) -> str:
        """Return what it remembers as text."""
        arrays = {**self._pauses.arrays(), **self._marks.arrays()}
        data = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays.values())
        packed = base64.b85encode(zlib.compress(data, 1)).decode()
        return json.dumps({"names": self._table.names, "n": self._marks.capacity, "data": packed})

    def load(self, text: str) -> None:
        """Take over what ``dump`` returned."""
        kept: dict[str, Any] = json.loads(text)
        self._table.restore(kept["names"])
        self._pauses, self._marks = Pauses.empty(kept["n"], **DIMENSIONS), _Marks.empty(kept["n"])
        data, at = zlib.decompress(base64.b85decode(kept["data"])), 0
        for arrays in (self._pauses, self._marks):
            for name in [field.name for field in fields(arrays)]:
                array = getattr(arrays, name)
                setattr(arrays, name, np.frombuffer(data, array.dtype, array.size, at).reshape(array.shape).copy())
                at += array.nbytes

    def _overdue(self, listened_s: float) -> Bool:
        with np.errstate(invalid="ignore"):
            found: Bool = (listened_s - self._pauses.last > self._pauses.limit) & (self._marks.state != _SILENT)
        return found

    def _stale(self, listened_s: float) -> Bool:
        marks = self._marks
        with np.errstate(invalid="ignore"):
            is_old = listened_s - marks.retained > RETAINED_S
        found: Bool = is_old & np.isnan(self._pauses.last) & ~marks.is_retained
        return found

    def _forgettable(self, listened_s: float) -> Bool:
        with np.errstate(invalid="ignore"):
            limit = np.where(np.isfinite(self._pauses.limit), N_FORGOTTEN * self._pauses.limit, 0.0)
            silent_s = listened_s - np.fmax(self._pauses.last, self._marks.retained)
            found: Bool = silent_s > np.maximum(FORGOTTEN_S, limit)
        return found

    def _arrive(self, slots: I64, listened_s: float, now_s: float) -> list[HealthEvent]:
        """Note that streams were heard now."""
        marks = self._marks
        with np.errstate(invalid="ignore"):
            was_late = listened_s - self._pauses.last[slots] > self._pauses.limit[slots]
        self._pauses.hear(slots, listened_s, self._settings)
        marks.seen_s[slots] = now_s
        state = marks.state[slots]
        is_over = ((state == _BACK) & ~was_late) | ((state == _SILENT) & marks.is_gone[slots])
        marks.state[slots[state == _SILENT]] = _BACK
        return [self._clear(slot, now_s, "heard again") for slot in slots[is_over].tolist()]

    def _repeats(self, slots: I64, n_live: F64, n_repeated: F64, now_s: float) -> list[HealthEvent]:
        """Judge how many readings of streams come again."""
        marks = self._marks
        kept = np.exp(-n_live / N_SHARE)
        share = kept * marks.repeats[slots] + (1.0 - kept) * n_repeated / np.maximum(n_live, 1.0)
        marks.repeats[slots] = share
        was = marks.is_repeating[slots]
        raised, cleared = slots[~was & (share >= REPEATS_RAISED)], slots[was & (share <= REPEATS_CLEARED)]
        marks.is_repeating[raised], marks.is_repeating[cleared] = True, False
        why, end = "most of its readings come more than once: is it bridged, or configured, twice?", "each comes once"
        events = [self._event(slot, Health.DUPLICATE, now_s, why) for slot in raised.tolist()]
        return events + [self._event(slot, Health.DUPLICATE, now_s, end, raised=False) for slot in cleared.tolist()]

    def _retained(self, slots: I64, is_live: Bool, is_kept: Bool, listened_s: float, now_s: float) -> list[HealthEvent]:
        """Note streams of which the broker kept a message, and those that speak after all."""
        marks = self._marks
        marks.retained[slots[is_kept & np.isnan(marks.retained[slots])]] = listened_s
        over = slots[is_live & marks.is_retained[slots]]
        marks.is_retained[over] = False
        return [self._event(slot, Health.RETAINED, now_s, "it speaks", raised=False) for slot in over.tolist()]

    def _raise(self, slot: int, now_s: float, why: str) -> HealthEvent:
        marks = self._marks
        marks.state[slot] = _SILENT
        marks.since_s[slot] = marks.seen_s[slot] if np.isfinite(marks.seen_s[slot]) else now_s
        return self._event(slot, Health.SILENT, now_s, why, since_s=float(marks.since_s[slot]))

    def _clear(self, slot: int, now_s: float, why: str) -> HealthEvent:
        self._marks.state[slot], self._marks.is_gone[slot] = _OK, False
        since_s = float(self._marks.since_s[slot])
        return self._event(slot, Health.SILENT, now_s, why, since_s=since_s, raised=False)

    def _event(
        self, slot: int, verdict: Health, at_s: float, text: str, *, since_s: float | None = None, raised: bool = True
    ) -> HealthEvent:
        name = str(self._table.names[slot])
        return HealthEvent(name, verdict, raised, at_s, at_s if since_s is None else since_s, text)


def _span(seconds: float) -> str:
    """Return a duration as people say it.

    Example:
        >>> _span(2.4), _span(90.0), _span(9000.0), _span(3e5)
        ('2.4 s', '90 s', '2.5 h', '3.5 days')
    """
    units = ((172_800.0, 86_400.0, "days"), (7200.0, 3600.0, "h"), (180.0, 60.0, "min"), (0.0, 1.0, "s"))
    return next(f"{seconds / unit_s:.2g} {name}" for least_s, unit_s, name in units if seconds >= least_s)
