"""The bank: layout of streams by group, one step of all of them, initial weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F32, I32
from pipeline.forecast.bank import Bank, Plan, empty_bank, plan_for, run, step
from pipeline.forecast.features import N_FEATURES
from pipeline.forecast.targets import ACTIVITY, LONG, NEXT, SHORT

N_HIDDEN = 5
MIXED = np.array([7, 2, 2, 5, 7, 2], np.int32)  # groups of unequal size, out of order, with gaps between them
WEIGHTS = ("kernel", "bias", "head", "head_bias")


def made_bank(n_groups: int = 9) -> Bank:
    bank = empty_bank(n_groups, N_HIDDEN)
    bank.initialise(np.arange(n_groups), np.arange(100, 100 + n_groups, dtype=np.uint64))
    rng = np.random.default_rng(3)
    bank.head += rng.normal(0, 0.5, bank.head.shape).astype(np.float32)  # let the hidden state be seen in the outputs
    return bank


def normal(*shape: int) -> F32:
    return np.random.default_rng(4).normal(size=shape).astype(np.float32)


def one_by_one(bank: Bank, group_of: I32, x: F32, h: F32, c: F32) -> tuple[F32, F32, F32]:
    """Step every stream in a call of its own."""
    rows = [step(bank, plan_for(group_of[[i]]), x[[i]], h[[i]], c[[i]]) for i in range(len(group_of))]
    return tuple(np.concatenate(part) for part in zip(*rows, strict=True))  # type: ignore[return-value] # always three


def assert_same(found: tuple[F32, F32, F32], expected: tuple[F32, F32, F32]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert np.allclose(a, b, rtol=0, atol=1e-6)


def test_a_network_per_stream_is_one_row_per_group_and_copies_no_weight() -> None:
    assert plan_for(np.arange(3, 8, dtype=np.int32)) == Plan(slice(3, 8), 5, 1, None)


def test_a_fleet_is_one_group_with_a_row_per_stream() -> None:
    assert plan_for(np.zeros(6, np.int32)) == Plan(slice(0, 1), 1, 6, None)


def test_mixed_groups_are_laid_out_in_a_rectangle_of_the_largest() -> None:
    plan = plan_for(MIXED)
    assert isinstance(plan.groups, np.ndarray)
    assert plan.groups.tolist() == [2, 5, 7]
    assert (plan.n_groups, plan.n_rows) == (3, 3)
    assert plan.place is not None
    assert plan.place.tolist() == [6, 0, 1, 3, 7, 2]


def test_groups_that_are_consecutive_but_out_of_order_keep_their_streams_apart() -> None:
    plan = plan_for(np.array([4, 3], np.int32))
    assert plan.groups == slice(3, 5)
    assert plan.place is not None
    assert plan.place.tolist() == [1, 0]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=30))
def test_every_stream_has_a_place_of_its_own_in_the_row_of_its_group(groups: list[int]) -> None:
    group_of = np.array(groups, np.int32)
    plan = plan_for(group_of)
    place = np.arange(len(groups)) if plan.place is None else plan.place
    taken = np.arange(13)[plan.groups]
    assert len(taken) == plan.n_groups
    assert len(set(place.tolist())) == len(groups)
    assert taken[place // plan.n_rows].tolist() == groups


@pytest.mark.parametrize(
    "group_of",
    [np.arange(6, dtype=np.int32), np.zeros(6, np.int32), MIXED, np.array([1, 3, 4, 6, 7, 8], np.int32), MIXED[::-1]],
    ids=["network each", "fleet", "mixed", "gaps in numbers", "mixed, reversed"],
)
def test_one_step_of_all_streams_equals_a_step_of_each_alone(group_of: I32) -> None:
    bank = made_bank()
    x, h, c = normal(6, N_FEATURES), normal(6, N_HIDDEN), normal(6, N_HIDDEN)[::-1].copy()
    assert_same(step(bank, plan_for(group_of), x, h, c), one_by_one(bank, group_of, x, h, c))


def test_a_step_changes_neither_weights_nor_what_it_was_given() -> None:
    bank = made_bank()
    x, h, c = normal(9, N_FEATURES), normal(9, N_HIDDEN), normal(9, N_HIDDEN)
    before = [a.copy() for a in (x, h, c, *bank.arrays().values())]
    step(bank, plan_for(np.arange(9, dtype=np.int32)), x, h, c)
    assert all(np.array_equal(a, b) for a, b in zip((x, h, c, *bank.arrays().values()), before, strict=True))


def test_a_run_equals_stepping_over_the_valid_readings_only() -> None:
    bank, length = made_bank(), 10
    n_valid = np.array([10, 1, 0, 4, 7, 10])
    x = normal(6, length, N_FEATURES)
    is_valid = np.arange(length) >= length - n_valid[:, None]
    h, c, out = run(bank, plan_for(MIXED), x, is_valid)
    for i, n in enumerate(n_valid):
        mine = plan_for(MIXED[[i]])
        h_i = c_i = np.zeros((1, N_HIDDEN), np.float32)
        out_i = out[[i]]
        for t in range(length - n, length):
            h_i, c_i, out_i = step(bank, mine, x[[i], t], h_i, c_i)
        assert_same((h[[i]], c[[i]], out[[i]]), (h_i, c_i, out_i))


def test_initial_weights_depend_on_the_key_alone() -> None:
    keys = np.array([11, 22, 33], np.uint64)
    together, apart = empty_bank(3, N_HIDDEN), empty_bank(8, N_HIDDEN)
    together.initialise(np.arange(3), keys)
    apart.initialise(np.array([6]), keys[1:2])
    apart.initialise(np.array([2]), keys[:1])
    for name in WEIGHTS:
        mine, other = getattr(apart, name), getattr(together, name)
        assert np.array_equal(mine[6], other[1]), name
        assert np.array_equal(mine[2], other[0]), name
    assert not np.array_equal(together.kernel[0], together.kernel[1])


def test_initial_weights_are_bounded_and_forget_gates_start_open() -> None:
    bank = empty_bank(4, N_HIDDEN)
    bank.initialise(np.arange(4), np.arange(4, dtype=np.uint64))
    bound = 1 / np.sqrt(N_HIDDEN)
    assert np.abs(bank.kernel).max() <= bound
    assert np.abs(bank.kernel).max() > 0.9 * bound
    i, f, o, g = np.split(bank.bias, 4, axis=1)
    assert (f == 1).all()
    assert not np.concatenate((i, o, g)).any()


def test_a_group_given_to_a_new_stream_starts_afresh() -> None:
    bank = empty_bank(1, N_HIDDEN)
    bank.initialise(np.array([0]), np.array([5], np.uint64))
    fresh = {name: array.copy() for name, array in bank.arrays().items()}
    for array in bank.arrays().values():
        array[:] = 1
    bank.initialise(np.array([0]), np.array([5], np.uint64))
    assert all(np.array_equal(array, fresh[name]) for name, array in bank.arrays().items())


def test_the_first_forecast_is_damped_persistence() -> None:
    bank = empty_bank(1, N_HIDDEN)
    bank.initialise(np.array([0]), np.array([5], np.uint64))
    x = normal(8, N_FEATURES)
    zeros = np.zeros((8, N_HIDDEN), np.float32)
    for value in (1.5, -0.5):
        x[:, 0] = value
        _, _, out = step(bank, plan_for(np.zeros(8, np.int32)), x, normal(8, N_HIDDEN), zeros)
        for target, weight in ((NEXT, 1.0), (SHORT, 0.8), (LONG, 0.5), (ACTIVITY, 0.0)):
            assert np.allclose(out[:, 2 * target], weight * value, atol=1e-6), target
        assert (out[:, 1::2] == -1).all()


def test_growing_keeps_weights_and_moments() -> None:
    bank = made_bank(2)
    bank.m_kernel += 3
    before = {name: array.copy() for name, array in bank.arrays().items()}
    bank.grow(5)
    assert bank.capacity == 5
    for name, array in bank.arrays().items():
        assert np.array_equal(array[:2], before[name]), name
        assert not array[2:].any(), name
