"""The table: names to slots, bounded, dense, and closed to names that are none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.streams.table import StreamTable, is_stream_name

HOSTILE = ["", "a b", "a\n", "\x1b[31m", "ä", "a+", "#", "a" * 129, "a\0b", "a,b", '"']


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_stream_name_is_refused_and_takes_no_slot(name: str) -> None:
    table = StreamTable(5)
    assert not is_stream_name(name)
    assert table.admit([name, "good"]).tolist() == [-1, 0]
    assert len(table) == 1
    assert name not in table


def test_the_longest_name_is_admitted() -> None:
    assert StreamTable(1).admit(["Pump-1/a_b.c" + "d" * 116]).tolist() == [0]


def test_streams_beyond_the_cap_are_refused_until_one_is_evicted() -> None:
    table = StreamTable(2)
    assert table.admit(["a", "b", "c", "a"]).tolist() == [0, 1, -1, 0]
    assert table.evict(["a"]).tolist() == [0]
    assert table.admit(["c", "a"]).tolist() == [0, -1]


def test_the_lowest_free_slot_is_taken_first() -> None:
    table = StreamTable(9)
    table.admit(list("abcde"))
    assert table.evict(["d", "a", "b"]).tolist() == [3, 0, 1]
    assert table.live.tolist() == [2, 4]
    assert table.admit(["x", "y", "z", "w"]).tolist() == [0, 1, 3, 5]


def test_evicting_the_unknown_or_the_same_twice_is_harmless() -> None:
    table = StreamTable(3)
    table.admit(["a", "b"])
    assert table.evict(["nobody", "a", "a", ""]).tolist() == [0]
    assert table.admit(["c", "d"]).tolist() == [0, 2]


def test_a_restored_table_knows_its_names_and_its_free_slots() -> None:
    table = StreamTable(4)
    table.restore(["a", None, "b", None])
    assert len(table) == 2
    assert table.admit(["b", "c", "d", "e"]).tolist() == [2, 1, 3, -1]


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdef")), max_size=40))
def test_live_streams_keep_their_slots_and_never_share_one(moves: list[tuple[bool, str]]) -> None:
    table, model = StreamTable(4), dict[str, int]()
    for admits, name in moves:
        if not admits:
            assert table.evict([name]).tolist() == ([model.pop(name)] if name in model else [])
        else:
            lowest = next(slot for slot in range(5) if slot not in model.values())
            expected = model.get(name, lowest if len(model) < 4 else -1)
            assert table.admit([name]).tolist() == [expected]
            if expected >= 0:
                model[name] = expected
    assert {name: slot for slot, name in enumerate(table.names) if name is not None} == model
    assert table.live.tolist() == sorted(model.values())
    assert len(table.names) <= 4
