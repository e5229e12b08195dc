"""A shard and its networks as sealed bytes, and back; what belongs to other settings is refused."""

import json
from collections.abc import Sequence

import numpy as np

from pipeline.core.columns import AnyArray, SlotArrays
from pipeline.core.records import I64
from pipeline.core.settings import Settings
from pipeline.flow.sealing import SnapshotError, seal, unseal
from pipeline.flow.state import Model, State
from pipeline.flow.verdicts import give_ranges
from pipeline.flow.wiring import wire
from pipeline.forecast.bank import empty_bank
from pipeline.forecast.network import network_for

_STATE_MAGIC = b"FTSTATE2"
_MODEL_MAGIC = b"FTMODEL2"
_NAMES = "streams"


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
    return seal(_STATE_MAGIC, arrays, {_NAMES: json.dumps(names)})


def unpack(data: bytes, settings: Settings) -> State:
    """Return the shard that ``pack`` made.

    Args:
        data: Bytes from ``pack``.
        settings: The settings of the session; sizes must be those it was packed with.

    Raises:
        SnapshotError: Wrong kind or version, damaged, or made with other sizes.
    """
    arrays, metadata = unseal(_STATE_MAGIC, data)
    names = json.loads(metadata[_NAMES])
    state = State.empty(settings, capacity=max(1, len(names)))
    state.table.restore(names)
    slots = np.arange(len(names))
    for part, stage in state.parts().items():
        own = {name.removeprefix(f"{part}."): a for name, a in arrays.items() if name.startswith(f"{part}.")}
        _put(stage, slots, own)
    wire(settings, state)  # of streams packed apart, sources lie in other slots now, or are not there
    give_ranges(settings.health, state, state.table.live.tolist())
    return state


def pack_model(model: Model) -> bytes:
    """Return the networks as bytes; the same weights give the same bytes."""
    return seal(_MODEL_MAGIC, model.bank.arrays(), {})


def unpack_model(data: bytes, settings: Settings) -> Model:
    """Return the model that ``pack_model`` made.

    Raises:
        SnapshotError: Wrong kind or version, damaged, or made with other sizes.
    """
    arrays, _ = unseal(_MODEL_MAGIC, data)
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
