"""Per-stream arrays: growing keeps, resetting clears, what is taken can be put back."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.columns import AnyArray, SlotArrays, column


@dataclass
class Level(SlotArrays):
    """A made-up stage's state."""

    mean: AnyArray = column(np.float64)
    ring: AnyArray = column(np.float32, "window", fill=np.nan)
    n: AnyArray = column(np.int64, fill=7)


def numbered(capacity: int) -> Level:
    level = Level.empty(capacity, window=3)
    level.mean[:] = np.arange(capacity)
    level.ring[:] = np.arange(capacity * 3).reshape(capacity, 3)
    level.n[:] = -np.arange(capacity)
    return level


@given(st.integers(1, 8), st.integers(0, 8))
def test_growing_keeps_old_slots_and_adds_some_that_are_reset_to_initial_ones(capacity: int, more: int) -> None:
    level = numbered(capacity)
    level.grow(capacity + more)
    level.reset(np.arange(capacity, capacity + more))
    assert level.capacity == capacity + more
    assert (level.ring[:capacity] == numbered(capacity).ring).all()
    assert np.isnan(level.ring[capacity:]).all()
    assert (level.n[capacity:] == 7).all()


@given(st.permutations(range(6)), st.integers(0, 6))
def test_what_was_taken_can_be_put_back_elsewhere(order: list[int], n: int) -> None:
    slots = np.array(order[:n], np.int64)
    source, target = numbered(6), Level.empty(6, window=3)
    target.put(slots, source.take(slots))
    for name, array in target.arrays().items():
        assert (array[slots] == source.arrays()[name][slots]).all()
    others = np.setdiff1d(np.arange(6), slots)
    assert (target.n[others] == 7).all()


def test_taken_rows_are_copies() -> None:
    level = numbered(2)
    rows = level.take(np.array([0]))
    level.reset(np.array([0, 1]))
    assert (rows["ring"] == [[0, 1, 2]]).all()
    assert np.isnan(level.ring).all()


@pytest.mark.parametrize("broken", [None, np.zeros((1, 2), np.float32), np.zeros((1, 3), np.float64)])
def test_rows_of_another_shape_or_type_are_refused(broken: AnyArray | None) -> None:
    rows = {name: row for name, row in numbered(1).take(np.array([0])).items() if name != "ring"}
    if broken is not None:
        rows["ring"] = broken
    level = Level.empty(1, window=3)
    for take_over in (partial(level.put, np.array([0]), rows), partial(level.adopt, rows, 1)):
        with pytest.raises(ValueError, match=r"Level\.ring: expected float32\(1, 3\), got"):
            take_over()


def test_rows_that_are_adopted_are_written_to_and_those_that_cannot_be_are_copied() -> None:
    rows = numbered(4).take(np.arange(4))
    rows["n"].flags.writeable = False
    level = Level.empty(1, window=3)
    level.adopt(rows, 4)
    level.reset(np.array([2]))
    assert level.capacity == 4
    assert np.isnan(rows["ring"][2]).all()
    assert level.n.tolist() == [0, -1, 7, -3]
    assert rows["n"].tolist() == [0, -1, -2, -3]
