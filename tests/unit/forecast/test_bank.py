"""The bank: layout of streams by group, one step of all of them, ensembles, initial weights."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.forecast_settings import ForecastSettings
from pipeline.core.records import F32, I32
from pipeline.forecast.bank import Bank, combine, empty_bank, run, step
from pipeline.forecast.by_torch.rectangles import Plan, plan_for, plans_for
from pipeline.forecast.features import N_FEATURES
from pipeline.forecast.network import network_for
from pipeline.forecast.targets import ACTIVITY, LONG, NEXT, SHORT

N_HIDDEN = 5
NETWORK = network_for(ForecastSettings(hidden=N_HIDDEN))
MIXED = np.array([7, 2, 2, 5, 7, 2], np.int32)  # groups of unequal size, out of order, with gaps between them
UNEQUAL = np.array([3] * 40 + [1, 4, 4, 6, 8, 3, 0], np.int32)  # one large group among small ones


def made_bank(n_groups: int = 9, n_members: int = 1) -> Bank:
    """Return networks whose heads let the hidden state be seen in the outputs."""
    bank, rng = empty_bank(n_groups, NETWORK, n_members), np.random.default_rng(3)
    for member in range(n_members):
        bank.weights[:, member] = NETWORK.initial(rng.random((n_groups, NETWORK.stack.n_weights)))
    head = bank.weights[..., NETWORK.stack.n_weights :]
    head += rng.normal(0, 0.5, head.shape).astype(np.float32)
    return bank


def normal(*shape: int) -> F32:
    return np.random.default_rng(4).normal(size=shape).astype(np.float32)


def states(n_streams: int, n_members: int = 1) -> F32:
    return np.tanh(normal(n_streams, n_members, NETWORK.stack.n_state)[:, :, ::-1]).copy()


def one_by_one(bank: Bank, group_of: I32, x: F32, state: F32) -> tuple[F32, F32]:
    """Step every stream in a call of its own."""
    rows = [step(NETWORK, bank, group_of[[i]], x[[i]], state[[i]]) for i in range(len(group_of))]
    return np.concatenate([out for out, _ in rows]), np.concatenate([new for _, new in rows])


def assert_same(found: tuple[F32, F32], expected: tuple[F32, F32]) -> None:
    for a, b in zip(found, expected, strict=True):
        assert np.allclose(a, b, rtol=1e-6, atol=1e-6)


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


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 70)), min_size=1, max_size=8), st.randoms())
def test_plans_together_hold_every_stream_once_and_waste_little(sizes: list[tuple[int, int]], order: Random) -> None:
    groups = [group for group, size in sizes for _ in range(size)]
    order.shuffle(groups)
    group_of = np.array(groups, np.int32)
    plans = plans_for(group_of)
    held = np.concatenate([np.arange(len(groups))[index] for index, _ in plans])
    assert sorted(held.tolist()) == list(range(len(groups)))
    assert sum(plan.n_groups * plan.n_rows for _, plan in plans) <= 2 * len(groups)


LAYOUTS = pytest.mark.parametrize(
    "group_of",
    [
        np.arange(6, dtype=np.int32),
        np.zeros(6, np.int32),
        MIXED,
        np.array([1, 3, 4, 6, 7, 8], np.int32),
        MIXED[::-1],
        UNEQUAL,
    ],
    ids=["network each", "fleet", "mixed", "gaps in numbers", "mixed, reversed", "unequal sizes"],
)


@LAYOUTS
@pytest.mark.parametrize("n_members", [1, 3])
def test_one_step_of_all_streams_equals_a_step_of_each_alone(group_of: I32, n_members: int) -> None:
    bank, n = made_bank(n_members=n_members), len(group_of)
    x, state = normal(n, N_FEATURES), states(n, n_members)
    assert_same(step(NETWORK, bank, group_of, x, state), one_by_one(bank, group_of, x, state))


@LAYOUTS
def test_each_member_of_an_ensemble_steps_as_a_network_of_its_own(group_of: I32) -> None:
    bank, n = made_bank(n_members=3), len(group_of)
    x, state = normal(n, N_FEATURES), states(n, 3)
    out, new_state = step(NETWORK, bank, group_of, x, state)
    for member in range(3):
        single = empty_bank(9, NETWORK, 1)
        single.weights[:, 0] = bank.weights[:, member]
        own = slice(member, member + 1)
        assert_same((out[:, own], new_state[:, own]), step(NETWORK, single, group_of, x, state[:, own].copy()))


def test_a_step_changes_neither_weights_nor_what_it_was_given() -> None:
    bank, x, state = made_bank(), normal(9, N_FEATURES), states(9)
    before = [a.copy() for a in (x, state, *bank.arrays().values())]
    step(NETWORK, bank, np.arange(9, dtype=np.int32), x, state)
    assert all(np.array_equal(a, b) for a, b in zip((x, state, *bank.arrays().values()), before, strict=True))


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_run_equals_stepping_over_the_valid_readings_only(n_members: int) -> None:
    bank, length = made_bank(n_members=n_members), 10
    n_valid = np.array([10, 1, 0, 4, 7, 10])
    x = normal(6, length, N_FEATURES)
    out, state = run(NETWORK, bank, MIXED, x, np.arange(length) >= length - n_valid[:, None])
    for i, n in enumerate(n_valid):
        state_i = np.zeros((1, n_members, NETWORK.stack.n_state), np.float32)
        out_i = out[[i]]
        for t in range(length - n, length):
            out_i, state_i = step(NETWORK, bank, MIXED[[i]], x[[i], t], state_i)
        assert_same((out[[i]], state[[i]]), (out_i, state_i))


def test_initial_weights_depend_on_the_key_alone() -> None:
    keys = np.array([11, 22, 33], np.uint64)
    together, apart = empty_bank(3, NETWORK, 2), empty_bank(8, NETWORK, 2)
    together.initialise(NETWORK, np.arange(3), keys)
    apart.initialise(NETWORK, np.array([6]), keys[1:2])
    apart.initialise(NETWORK, np.array([2]), keys[:1])
    assert np.array_equal(apart.weights[6], together.weights[1])
    assert np.array_equal(apart.weights[2], together.weights[0])
    assert not np.array_equal(together.weights[0], together.weights[1])


def test_members_start_unlike_each_other_and_the_first_as_a_network_alone() -> None:
    keys = np.array([11, 22], np.uint64)
    three, one = empty_bank(2, NETWORK, 3), empty_bank(2, NETWORK, 1)
    three.initialise(NETWORK, np.arange(2), keys)
    one.initialise(NETWORK, np.arange(2), keys)
    assert np.array_equal(three.weights[:, :1], one.weights)
    recurrent = three.weights[..., : NETWORK.stack.n_weights].reshape(6, -1)
    assert len(np.unique(recurrent, axis=0)) == 6


def test_initial_weights_are_bounded_and_forget_gates_start_open() -> None:
    weights = NETWORK.initial(np.random.default_rng(1).random((4, NETWORK.stack.n_weights)))
    n_kernel = (N_FEATURES + N_HIDDEN) * 4 * N_HIDDEN
    kernel, bias = weights[:, :n_kernel], weights[:, n_kernel : NETWORK.stack.n_weights]
    bound = 1 / np.sqrt(N_HIDDEN)
    assert 0.9 * bound < np.abs(kernel).max() <= bound
    assert sorted(set(bias.ravel().tolist())) == [0, 1]
    assert (bias.sum(axis=1) == N_HIDDEN).all()  # one gate of four starts open: which, the tests of cells say


def test_a_group_given_to_a_new_stream_starts_afresh() -> None:
    bank = empty_bank(1, NETWORK, 2)
    bank.initialise(NETWORK, np.array([0]), np.array([5], np.uint64))
    fresh = {name: array.copy() for name, array in bank.arrays().items()}
    assert np.allclose(fresh["previous"], fresh["weights"], rtol=1e-3, atol=1e-7)
    for array in bank.arrays().values():
        array[:] = 1
    bank.initialise(NETWORK, np.array([0]), np.array([5], np.uint64))
    assert all(np.array_equal(array, fresh[name]) for name, array in bank.arrays().items())


def test_the_first_forecast_is_damped_persistence() -> None:
    bank = empty_bank(1, NETWORK, 2)
    bank.initialise(NETWORK, np.array([0]), np.array([5], np.uint64))
    x = normal(8, N_FEATURES)
    for value in (1.5, -0.5):
        x[:, 0] = value
        out, _ = step(NETWORK, bank, np.zeros(8, np.int32), x, states(8, 2))
        for target, weight in ((NEXT, 1.0), (SHORT, 0.8), (LONG, 0.5), (ACTIVITY, 0.0)):
            assert np.allclose(out[..., 2 * target], weight * value, atol=1e-6), target
        assert (out[..., 1::2] == -1).all()


def test_growing_keeps_weights_and_moments() -> None:
    bank = made_bank(2, n_members=2)
    bank.v += 3
    before = {name: array.copy() for name, array in bank.arrays().items()}
    bank.grow(5)
    assert bank.capacity == 5
    for name, array in bank.arrays().items():
        assert np.array_equal(array[:2], before[name]), name
        assert not array[2:].any(), name


def test_one_member_is_its_own_forecast_bit_for_bit() -> None:
    out = normal(7, 1, NETWORK.n_outputs) * 30
    assert np.array_equal(combine(out), out[:, 0])


def test_an_ensembles_forecast_is_the_mean_and_the_spread_of_the_mixture() -> None:
    out = normal(7, 3, NETWORK.n_outputs)
    both = combine(out)
    location, spread = out[..., 0::2].astype(np.float64), np.exp(out[..., 1::2].astype(np.float64))
    assert both[:, 0::2] == pytest.approx(location.mean(axis=1), abs=1e-6)
    variance = (spread**2).mean(axis=1) + location.var(axis=1)  # of a mixture of three of equal weight
    assert np.exp(2 * both[:, 1::2]) == pytest.approx(variance, rel=1e-5)


def test_members_that_agree_are_as_sure_as_each_and_those_that_do_not_are_less() -> None:
    one = normal(5, 1, NETWORK.n_outputs)
    alike = combine(one.repeat(2, axis=1))
    assert alike == pytest.approx(one[:, 0], abs=1e-6)
    apart = one.repeat(2, axis=1)
    apart[:, 1, 0::2] += 1
    assert (combine(apart)[:, 1::2] > alike[:, 1::2]).all()


def test_a_member_gone_wild_leaves_a_finite_forecast() -> None:
    out = np.zeros((1, 2, NETWORK.n_outputs), np.float32)
    out[0, 1] = [1e15, 1e30] * (NETWORK.n_outputs // 2)
    assert np.isfinite(combine(out)).all()
