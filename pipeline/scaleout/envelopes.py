"""Envelopes: the readings of one segment that belong to one shard, as bytes. Only envelopes travel through Spark.

Comes in: a segment. Goes out: one envelope for each shard that has readings in it, and readings again. An envelope
says what time it was and which networks were in force, so that whoever opens it again does the same. Pure.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipeline.core.errors import ForetellError
from pipeline.core.records import Readings
from pipeline.core.sharding import shard_of
from pipeline.scaleout.segments import Logged, as_batch, from_batch

_WORDS = b"foretell"


@dataclass(frozen=True, slots=True)
class Envelope:
    """Readings of one shard.

    Attributes:
        logged: The readings, in the order of the log.
        now_s: When the last reading of the whole segment arrived, Unix seconds.
        model: Name of the networks in force; empty for the initial ones.
    """

    logged: Logged
    now_s: float
    model: str = ""


class EnvelopeError(ForetellError):
    """Bytes that are no envelope."""


def cut(logged: Logged, n_shards: int, model: str) -> Iterator[tuple[int, bytes]]:
    """Yield the envelopes of a segment, by shard.

    Args:
        logged: The segment.
        n_shards: Number of shards.
        model: Name of the networks in force.

    Yields:
        Shard, and its envelope.
    """
    readings = logged.readings
    shard = np.array([shard_of(name, n_shards) for name in readings.names], np.int32)[readings.stream]
    now_s = float(np.max(logged.arrival, initial=-math.inf))
    order = np.argsort(shard, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(shard[order])) + 1)
    for rows in parts:
        if len(rows):
            yield int(shard[rows[0]]), close(Envelope(_own_names(logged.rows(rows)), now_s, model))


def _own_names(logged: Logged) -> Logged:
    """Return readings under the names that they have, in the order in which these first come."""
    readings = logged.readings
    used, first, inverse = np.unique(readings.stream, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty(len(used), np.int32)
    place[order] = np.arange(len(used), dtype=np.int32)
    names = [readings.names[i] for i in used[order].tolist()]
    own = Readings(names, place[inverse], readings.time, readings.value, readings.flags)
    return Logged(logged.seq, logged.arrival, own, {name: logged.told[name] for name in names if name in logged.told})


def close(envelope: Envelope) -> bytes:
    """Return an envelope as bytes: an Arrow stream of one batch, compressed."""
    words = json.dumps({"now_s": envelope.now_s, "model": envelope.model}).encode()
    batch = as_batch(envelope.logged)
    batch = batch.replace_schema_metadata({**(batch.schema.metadata or {}), _WORDS: words})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def open_envelope(data: bytes) -> Envelope:
    """Return what ``close`` was given.

    Raises:
        EnvelopeError: It is something else, or damaged.
    """
    try:
        with pa.ipc.open_stream(data) as reader:
            batch = reader.read_next_batch()
        words = json.loads(batch.schema.metadata[_WORDS])
        return Envelope(from_batch(batch), float(words["now_s"]), str(words["model"]))
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise EnvelopeError(f"not an envelope: {type(error).__name__}: {error}") from None
