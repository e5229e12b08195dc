"""A shard and its networks as sealed bytes, and back; what belongs to other settings is refused."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np

from pipeline.core.columns import AnyArray, SlotArrays
from pipeline.core.settings import Settings
from pipeline.flow.sealing import SnapshotError, chunks, parse, seal, unseal
from pipeline.flow.sharing import networks
from pipeline.flow.state import Model, State
from pipeline.flow.verdicts import give_ranges
from pipeline.flow.wiring import wire
from pipeline.forecast.bank import empty_bank
from pipeline.forecast.network import network_for

_STATE_MAGIC = b"FTSTATE4"
_MODEL_MAGIC = b"FTMODEL3"
_NAMES = "streams"
_FORMAT = "format"


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
    return _state(*unseal(_STATE_MAGIC, data), settings)


def _state(arrays: dict[str, AnyArray], metadata: Mapping[str, str], settings: Settings) -> State:
    names = json.loads(metadata[_NAMES])
    state = State.empty(settings, capacity=1)
    state.table.restore(names)
    for part, stage in state.parts().items():
        own = {name.removeprefix(f"{part}."): a for name, a in arrays.items() if name.startswith(f"{part}.")}
        _adopt(stage, own, len(names))
        stage.grow(max(1, len(names)))
    wire(settings, state)  # of streams packed apart, sources lie in other slots now, or are not there
    give_ranges(settings.health, state, state.table.live.tolist())
    return state


def merge(states: Sequence[State], settings: Settings) -> State:
    """Return one shard with the streams of several, in their order; free slots are left out.

    Group numbers are kept: the shards must use the same networks.

    Args:
        states: Shards that have no stream in common; not changed.
        settings: The settings of the session; sizes must be those of the shards.
    """
    live = [state.table.live for state in states]
    names = [str(state.table.names[slot]) for state, slots in zip(states, live, strict=True) for slot in slots]
    rows: dict[str, list[AnyArray]] = {}
    for state, slots in zip(states, live, strict=True):
        for part, stage in state.parts().items():
            for name, own in stage.take(slots).items():
                rows.setdefault(f"{part}.{name}", []).append(own)
    arrays = {name: np.concatenate(parts) for name, parts in rows.items()}
    return _state(arrays, {_NAMES: json.dumps(names)}, settings) if states else State.empty(settings)


def pack_model(model: Model) -> bytes:
    """Return the networks as bytes; the same weights give the same bytes."""
    return seal(_MODEL_MAGIC, model.bank.arrays(), {})


def unpack_model(data: bytes, settings: Settings) -> Model:
    """Return the model that ``pack_model`` made.

    Raises:
        SnapshotError: Wrong kind or version, damaged, or made with other sizes.
    """
    arrays, _ = unseal(_MODEL_MAGIC, data)
    return _model(arrays, settings)


def _model(arrays: dict[str, AnyArray], settings: Settings) -> Model:
    n_groups = len(arrays["key"]) if "key" in arrays else 0
    network = network_for(settings.forecast)
    bank = empty_bank(0, network, settings.forecast.ensemble)
    _adopt(bank, arrays, n_groups)
    return Model(settings, bank, network)


@dataclass(frozen=True, slots=True)
class Copied:
    """Arrays that nobody changes any more, and texts: what ``chunks`` makes a file of, on any thread."""

    arrays: dict[str, AnyArray]
    texts: dict[str, str]

    def chunks(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes of a safetensors file."""
        return chunks(self.arrays, self.texts)


def copy_state(state: State, texts: Mapping[str, str]) -> Copied:
    """Copy the shard, for a file of its own, with texts of the caller's beside it."""
    n = len(state.table.names)
    arrays = {
        f"{part}.{name}": a[:n].copy() for part, stage in state.parts().items() for name, a in stage.arrays().items()
    }
    return Copied(arrays, {_FORMAT: _STATE_MAGIC.decode(), _NAMES: json.dumps(state.table.names), **texts})


def copy_model(model: Model) -> Copied:
    """Copy the networks, for a file of their own."""
    arrays = {name: array.copy() for name, array in model.bank.arrays().items()}
    return Copied(arrays, {_FORMAT: _MODEL_MAGIC.decode()})


def parse_state(data: bytes, settings: Settings) -> tuple[State, dict[str, str]]:
    """Return the shard of a file made of ``copy_state``, and the texts beside it.

    Raises:
        SnapshotError: Wrong kind or version, or made with other sizes.
    """
    arrays, texts = _parse(data, _STATE_MAGIC)
    return _state(arrays, texts, settings), texts


def parse_model(data: bytes, settings: Settings) -> Model:
    """Return the networks of a file made of ``copy_model``.

    Raises:
        SnapshotError: Wrong kind or version, made with other sizes, or not finite.
    """
    arrays, _ = _parse(data, _MODEL_MAGIC)
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise SnapshotError(f"{name}: not finite")
    return _model(arrays, settings)


def fingerprint(model: Model, state: State) -> str:
    """Return a SHA-256 over a shard and the networks it uses: equal where every number is equal."""
    digest = sha256()
    n = len(state.table.names)
    arrays = {f"{part}.{name}": a[:n] for part, stage in state.parts().items() for name, a in stage.arrays().items()}
    for part in chunks(arrays, {_NAMES: json.dumps(state.table.names)}):
        digest.update(part)
    for part in chunks(model.bank.take(networks(state)), {}):
        digest.update(part)
    return digest.hexdigest()


def _parse(data: bytes, magic: bytes) -> tuple[dict[str, AnyArray], dict[str, str]]:
    arrays, texts = parse(data)
    if texts.get(_FORMAT) != magic.decode():
        raise SnapshotError(f"not a snapshot of this version: {texts.get(_FORMAT, 'of no kind')[:40]!r}")
    return arrays, texts


def _adopt(part: SlotArrays, arrays: dict[str, AnyArray], capacity: int) -> None:
    """Restore one part, or say which array does not fit."""
    try:
        part.adopt(arrays, capacity)
    except ValueError as error:
        raise SnapshotError(f"snapshot made with other settings: {error}") from error
