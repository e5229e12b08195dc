"""Snapshots: whole or refused; a stream packed alone goes on exactly as it would have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import Batch
from pipeline.core.settings import Settings, parse_settings
from pipeline.flow.engine import update
from pipeline.flow.sealing import SnapshotError
from pipeline.flow.sharing import admit, evict
from pipeline.flow.snapshot import pack, pack_model, unpack, unpack_model
from pipeline.flow.state import Model, State, new_model

SMALL = """
streams: {window_len: 128}
forecast: {hidden: 4}
training: {window: 32}
detection: {n_warmup: 100, n_kept: 64}
"""
NAMES = ["a", "b", "c"]


def small(**changed: str) -> Settings:
    text = SMALL
    for old, new in changed.items():
        text = text.replace(old, new)
    return parse_settings(text, "test")


def batch_of(slots: list[int], first: int, n: int) -> Batch:
    """Return readings ``first .. first + n - 1`` of each slot: a wave with noise, other for each name's number."""
    number = np.arange(first, first + n, dtype=np.float64)
    slot = np.repeat(np.array(slots, np.int32), n)
    time = np.tile(number * 60, len(slots))
    wave = np.concatenate([np.sin(number / 5) + np.cos(number**2) * 0.3 for _ in slots])
    return Batch(slot, np.arange(len(slot)), time, wave, np.zeros(len(slot), np.uint8))


@pytest.fixture(scope="module")
def shard() -> tuple[Model, State]:
    """Three streams with 300 readings each; a test that changes it takes a copy by packing."""
    model, state = new_model(small()), State.empty(small())
    slots = admit(model, state, NAMES).tolist()
    update(model, state, batch_of(slots, 0, 300), np.inf)
    return model, state


@given(st.data())
def test_a_single_flipped_bit_anywhere_is_noticed(shard: tuple[Model, State], data: st.DataObject) -> None:
    packed = bytearray(pack(shard[1]))
    at = data.draw(st.integers(0, len(packed) - 1) | st.integers(0, 2000))
    packed[at] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(SnapshotError, match=r"damaged snapshot|not a snapshot of this version"):
        unpack(bytes(packed), small())


@given(st.data())
def test_a_cut_or_lengthened_snapshot_is_refused(shard: tuple[Model, State], data: st.DataObject) -> None:
    packed = pack_model(shard[0])
    cut = data.draw(st.integers(0, len(packed) - 1) | st.integers(0, 60))
    for broken in (packed[:cut], packed + b"\0"):
        with pytest.raises(SnapshotError, match=r"damaged snapshot|not a snapshot of this version"):
            unpack_model(broken, small())


def test_a_snapshot_of_another_kind_or_version_is_refused(shard: tuple[Model, State]) -> None:
    packed, networks = pack(shard[1]), pack_model(shard[0])
    assert packed[:8] == b"FTSTATE4"
    for other in (networks, b"FTSTATE3" + packed[8:], b""):
        with pytest.raises(SnapshotError, match="not a snapshot of this version"):
            unpack(other, small())
    with pytest.raises(SnapshotError, match="not a snapshot of this version"):
        unpack_model(packed, small())


@pytest.mark.parametrize(
    ("old", "new", "array"),
    [
        ("window_len: 128", "window_len: 256", r"Windows\.since"),
        ("hidden: 4", "hidden: 5", r"Pending\.hidden"),
        ("hidden: 4", "hidden: 4, ensemble: 2", r"Pending\.hidden"),
        ("hidden: 4", "hidden: 4, cell: gru", r"Pending\.hidden"),
        ("hidden: 4", "hidden: 4, context: [{stream: a, inputs: [b]}]", r"Windows\.context"),
        ("n_kept: 64", "n_kept: 65", r"Surprise\.largest"),
    ],
)
def test_a_snapshot_made_with_other_sizes_is_refused_and_names_the_array(
    shard: tuple[Model, State], old: str, new: str, array: str
) -> None:
    with pytest.raises(SnapshotError, match=f"made with other settings: {array}: expected"):
        unpack(pack(shard[1]), small(**{old: new}))


@pytest.mark.parametrize("changed", ["hidden: 5", "hidden: 4, ensemble: 2", "hidden: 4, cell: peephole"])
def test_networks_of_another_size_are_refused(shard: tuple[Model, State], changed: str) -> None:
    with pytest.raises(SnapshotError, match=r"made with other settings: Bank\.weights: expected"):
        unpack_model(pack_model(shard[0]), small(**{"hidden: 4": changed}))


def test_networks_come_back_bit_for_bit_whatever_their_number_and_kind() -> None:
    settings = small(**{"hidden: 4": "hidden: 4, ensemble: 2, cell: gru, layers: 2"})
    model, state = new_model(settings), State.empty(settings)
    admit(model, state, NAMES)
    model.bank.m += np.random.default_rng(2).integers(-128, 128, model.bank.m.shape, np.int8)
    model.bank.v += np.random.default_rng(1).integers(0, 999, model.bank.v.shape, np.uint16)
    model.bank.n_rounds[1] = 7
    restored = unpack_model(pack_model(model), settings)
    for name, array in model.bank.arrays().items():
        assert np.array_equal(restored.bank.arrays()[name], array), name
    assert restored.network == model.network
    assert pack_model(restored) == pack_model(model)


def test_a_stream_packed_alone_takes_its_next_steps_exactly(shard: tuple[Model, State]) -> None:
    model, state = unpack_model(pack_model(shard[0]), small()), unpack(pack(shard[1]), small())
    alone = unpack(pack(state, ["b"]), small())
    assert alone.table.names == ["b"]
    _, expected = update(model, state, batch_of([0, 1, 2], 300, 40), np.inf)
    _, found = update(model, alone, batch_of([0], 300, 40), np.inf)
    assert np.isfinite(found.score).all()
    for column in ("outcome", "forecast", "lower", "upper", "score", "event", "health"):
        assert np.array_equal(getattr(found, column), getattr(expected, column)[40:80], equal_nan=True), column
    assert pack(alone) == pack(state, ["b"])


def test_a_stream_that_is_not_there_cannot_be_packed(shard: tuple[Model, State]) -> None:
    with pytest.raises(KeyError, match="nobody"):
        pack(shard[1], ["a", "nobody"])


def test_free_slots_survive(shard: tuple[Model, State]) -> None:
    model, state = unpack_model(pack_model(shard[0]), small()), unpack(pack(shard[1]), small())
    evict(model, state, ["b"])
    restored = unpack(pack(state), small())
    assert restored.table.names == ["a", None, "c"]
    assert admit(model, restored, ["d", "c"]).tolist() == [1, 2]


def test_an_empty_shard_can_be_packed() -> None:
    restored = unpack(pack(State.empty(small())), small())
    assert len(restored.table) == 0
    assert admit(new_model(small()), restored, ["a"]).tolist() == [0]
