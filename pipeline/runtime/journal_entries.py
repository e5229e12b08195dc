"""What the journal holds, as bytes: batches of readings with their messages' receipts, changes of networks, words.

Comes in: what a session was given or did, in order. Goes out: entries from which a session that is given them in the
same order becomes the same, bit for bit: batches stay as they were, since sums over more streams may differ in their
last bits. This module refuses to know where entries are kept.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipeline.core.columns import AnyArray
from pipeline.core.operator_words import Word
from pipeline.core.priors import Prior
from pipeline.core.records import Readings
from pipeline.flow.learning import Taught
from pipeline.flow.lesson_bytes import pack_learnt, unpack_learnt
from pipeline.flow.lessons import Lesson
from pipeline.runtime.follow_up import FollowUp
from pipeline.runtime.repeats import NOTHING_RECEIVED, Received
from pipeline.runtime.session import Session

_BATCH, _LEARNT, _MERGED, _ADMISSION, _WORD, _TICK = b"B", b"L", b"M", b"A", b"W", b"T"
_GONE, _LISTEN, _TOLD = b"G", b"C", b"P"
#: Stands for what happened and is not kept; doing it again does nothing.
NOT_KEPT = b"N"
_HEAD = struct.Struct("<dBIII")  # now, is the session new, receipts, bytes of names, rows
_COLUMNS = (np.int32, np.float64, np.float64, np.uint8)
_FAST = 1  # of zlib: times and names shrink to a third for 2 ms per 10,000 readings


def pack_batch(received: Received, readings: Readings, now: float) -> bytes:
    """Return a batch as an entry."""
    names = json.dumps(list(readings.names)).encode()
    head = _HEAD.pack(now, received.is_new_session, len(received.mids), len(names), len(readings))
    columns = (readings.stream, readings.time, readings.value, readings.flags)
    plain = [np.ascontiguousarray(each, dtype).tobytes() for each, dtype in zip(columns, _COLUMNS, strict=True)]
    return _BATCH + zlib.compress(
        b"".join((head, received.mids.tobytes(), received.digests.tobytes(), names, *plain)), _FAST
    )


def pack_new_session() -> bytes:
    """Return that the broker has begun a new session, as an entry: a batch that holds nothing."""
    nothing = Readings((), np.zeros(0, np.int32), np.zeros(0), np.zeros(0), np.zeros(0, np.uint8))
    return pack_batch(replace(NOTHING_RECEIVED, is_new_session=True), nothing, 0.0)


def unpack_batch(entry: bytes) -> tuple[Received, Readings, float] | None:
    """Return what ``pack_batch`` was given; None for an entry of another kind."""
    if entry[:1] != _BATCH:
        return None
    data = zlib.decompress(entry[1:])
    now, is_new_session, n_receipts, n_names, n_rows = _HEAD.unpack_from(data)
    at = _HEAD.size
    mids = np.frombuffer(data, np.uint16, n_receipts, at)
    digests = np.frombuffer(data, np.uint64, n_receipts, at + mids.nbytes)
    at += mids.nbytes + digests.nbytes
    names: Sequence[str] = json.loads(data[at : at + n_names])
    at += n_names
    columns: list[AnyArray] = []
    for dtype in _COLUMNS:
        columns.append(np.frombuffer(data, dtype, n_rows, at).copy())
        at += columns[-1].nbytes
    return Received(bool(is_new_session), mids, digests), Readings(names, *columns), now


def pack_merged(n_most: int) -> bytes:
    """Return a merge of kinds as an entry."""
    return _MERGED + struct.pack("<Q", n_most)


def pack_lesson_learnt(lesson: Lesson, taught: Taught) -> bytes:
    """Return a fine-tune that was applied as an entry."""
    return _LEARNT + pack_learnt(lesson, taught)


def pack_admission(is_open: bool) -> bytes:  # noqa: FBT001 - it is all there is to say
    """Return whether new streams are taken as an entry."""
    return _ADMISSION + bytes([is_open])


def pack_told(news: Mapping[str, Prior]) -> bytes:
    """Return what publishers said of streams as an entry."""
    return _TOLD + json.dumps({name: list(prior) for name, prior in news.items()}).encode()


def pack_word(word: Word) -> bytes:
    """Return what an operator said as an entry."""
    return _WORD + json.dumps(word.plain()).encode()


def pack_tick(now: float) -> bytes:
    """Return that time passed, and that it changed something, as an entry."""
    return _TICK + struct.pack("<d", now)


def pack_gone(devices: Sequence[str], now: float) -> bytes:
    """Return that devices are gone as an entry."""
    return _GONE + json.dumps([list(devices), now]).encode()


def pack_listening(is_on: bool, now: float, *, is_start: bool) -> bytes:  # noqa: FBT001 - as a switch is
    """Return that the broker can be heard from now on, or not, as an entry."""
    return _LISTEN + struct.pack("<d??", now, is_on, is_start)


def redo(session: Session, follow_up: FollowUp, entry: bytes) -> None:
    """Do again what an entry says that is no batch.

    Raises:
        SnapshotError: The entry belongs to other networks.
        WordError: The entry is about an alert that is not known.
    """
    if entry[:1] == _LEARNT:
        session.learn(*unpack_learnt(entry[1:], session.model))
    elif entry[:1] == _MERGED:
        session.merge(*struct.unpack("<Q", entry[1:]))
    elif entry[:1] == _ADMISSION:
        session.admit_streams(is_open=entry[1:] == b"\1")
    elif entry[:1] == _TOLD:
        session.tell({name: Prior(*prior) for name, prior in json.loads(entry[1:]).items()})
    elif entry[:1] == _WORD:
        follow_up.hear(Word.from_plain(json.loads(entry[1:])))
    elif entry[:1] == _TICK:
        follow_up.tick(*struct.unpack("<d", entry[1:]))
    elif entry[:1] == _GONE:
        follow_up.lose(*json.loads(entry[1:]))
    elif entry[:1] == _LISTEN:
        now, is_on, is_start = struct.unpack("<d??", entry[1:])
        follow_up.listen(is_on, now, is_start=is_start)
