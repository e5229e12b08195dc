"""A shard and its networks as bytes: versioned, checksummed, and refused when anything is amiss.

Layout: 8 bytes of magic with the version, 32 bytes of BLAKE2b over the rest, then safetensors whose
metadata holds the stream names. Nothing in the bytes is executed.
"""

import json
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from pipeline.core.columns import AnyArray, SlotArrays
from pipeline.core.errors import ForetellError
from pipeline.core.records import I64
from pipeline.core.settings import Settings
from pipeline.flow.state import Model, State
from pipeline.flow.wiring import wire
from pipeline.forecast.bank import empty_bank
from pipeline.forecast.network import network_for

_STATE_MAGIC = b"FTSTATE2"
_MODEL_MAGIC = b"FTMODEL2"
_DIGEST_BYTES = 32
_NAMES = "streams"


class SnapshotError(ForetellError):
    """Bytes that are not a snapshot of this version, are damaged, or belong to other settings."""


def pack(state: State, streams: Sequence[str] | None = None) -> bytes:
    """Return the whole shard, or some of its streams, as bytes.

    Group numbers are kept: they refer to the model packed beside it by ``pack_model``.

    Args:
        state: The shard.
        streams: Streams to pack, in this order; None packs every slot as it lies.

    Returns:
        Bytes for ``unpack``; the same state gives the same bytes.

    Raises:
        KeyError: A stream has no slot.
    """
    names: list[str | None]
    if streams is None:
        names = list(state.table.names)
        slots = np.arange(len(names))
    else:
        where = {name: slot for slot, name in enumerate(state.table.names)}
        names, slots = list(streams), np.array([where[name] for name in streams], np.int64)
    arrays = {
        f"{part}.{name}": rows for part, stage in state.parts().items() for name, rows in stage.take(slots).items()
    }
    return _seal(_STATE_MAGIC, arrays, {_NAMES: json.dumps(names)})


def unpack(data: bytes, settings: Settings) -> State:
    """Return the shard that ``pack`` made.

    Args:
        data: Bytes from ``pack``.
        settings: The settings of the session; sizes must be those it was packed with.

    Raises:
        SnapshotError: Wrong kind or version, damaged, or made with other sizes.
    """
    arrays, metadata = _open(_STATE_MAGIC, data)
    names = json.loads(metadata[_NAMES])
    state = State.empty(settings, capacity=max(1, len(names)))
    state.table.restore(names)
    slots = np.arange(len(names))
    for part, stage in state.parts().items():
        own = {name.removeprefix(f"{part}."): a for name, a in arrays.items() if name.startswith(f"{part}.")}
        _put(stage, slots, own)
    wire(settings, state)  # of streams packed apart, sources lie in other slots now, or are not there
    return state


def pack_model(model: Model) -> bytes:
    """Return the networks as bytes; the same weights give the same bytes."""
    return _seal(_MODEL_MAGIC, model.bank.arrays(), {})


def unpack_model(data: bytes, settings: Settings) -> Model:
    """Return the model that ``pack_model`` made.

    Raises:
        SnapshotError: Wrong kind or version, damaged, or made with other sizes.
    """
    arrays, _ = _open(_MODEL_MAGIC, data)
    n_groups = len(arrays["key"]) if "key" in arrays else 0
    network = network_for(settings.forecast)
    bank = empty_bank(n_groups, network, settings.forecast.ensemble)
    _put(bank, np.arange(n_groups), arrays)
    return Model(settings, bank, network)


def _put(part: SlotArrays, slots: I64, arrays: dict[str, AnyArray]) -> None:
    """Restore one part, or say which array does not fit."""
    try:
        part.put(slots, arrays)
    except ValueError as error:
        raise SnapshotError(f"snapshot made with other settings: {error}") from error


def _seal(magic: bytes, arrays: dict[str, AnyArray], metadata: dict[str, str]) -> bytes:
    body = safetensors.numpy.save({name: np.ascontiguousarray(a) for name, a in arrays.items()}, metadata)
    return magic + blake2b(body, digest_size=_DIGEST_BYTES).digest() + body


def _open(magic: bytes, data: bytes) -> tuple[dict[str, AnyArray], dict[str, str]]:
    """Check and decode; nothing is decoded before its checksum agreed."""
    start = len(magic) + _DIGEST_BYTES
    if data[: len(magic)] != magic:
        raise SnapshotError(f"not a snapshot of this version: starts with {data[:8]!r}, not {magic!r}")
    body = data[start:]
    if blake2b(body, digest_size=_DIGEST_BYTES).digest() != data[len(magic) : start]:
        raise SnapshotError("damaged snapshot: its checksum does not agree")
    try:
        arrays = safetensors.numpy.load(body)
        header = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])
    except (SafetensorError, ValueError) as error:
        raise SnapshotError(f"damaged snapshot: {error}") from error
    return arrays, header.get("__metadata__", {})
