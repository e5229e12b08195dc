"""Context: other streams' newest values at a time, on a scale of what each has been before."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F32, F64
from pipeline.streams.context import Context, newest_values

ONE = np.array([0])


def played(values: F64) -> tuple[Context, F32]:
    """Give one stream its context values (N, K) one after the other; return them scaled."""
    context = Context.empty(1, context=values.shape[1])
    return context, np.concatenate([context.scaled(ONE, row[None]) for row in values])


def noise(n: int = 400) -> F64:
    return np.random.default_rng(1).normal(size=(n, 1))


def test_a_value_is_told_in_spreads_from_the_middle_of_those_before() -> None:
    _, z = played(np.array([[5.0], [7.0], [7.0], [3.0]]))
    assert z[2, 0] == pytest.approx((7 - 6) / 1)
    mean, spread = np.mean([5, 7, 7]), np.std([5, 7, 7])
    assert z[3, 0] == pytest.approx(max(-3, (3 - mean) / spread), abs=1e-6)


def test_a_value_does_not_scale_itself() -> None:
    context, _ = played(noise())
    other = Context.empty(1, context=1)
    other.put(ONE, context.take(ONE))
    one, two = context.scaled(ONE, np.array([[1.0]])), other.scaled(ONE, np.array([[2.0]]))
    assert two[0, 0] / one[0, 0] == pytest.approx(2, abs=0.2)


def test_scaled_values_stay_within_three() -> None:
    _, z = played(np.append(noise(), [[1e15], [-1e15]], axis=0))
    assert np.abs(z).max() == 3


def test_where_there_is_no_value_it_is_zero_and_nothing_is_learnt() -> None:
    context, _ = played(noise())
    before = context.take(ONE)
    assert context.scaled(ONE, np.array([[np.nan]])).tolist() == [[0.0]]
    for name, array in context.take(ONE).items():
        assert np.array_equal(array, before[name]), name


def test_gaps_leave_no_trace() -> None:
    values = noise(50)
    with_gaps = np.full((150, 1), np.nan)
    with_gaps[::3] = values
    assert np.array_equal(played(with_gaps)[1][::3], played(values)[1])


def test_each_input_has_a_scale_of_its_own() -> None:
    both = np.column_stack((noise(), 1000 + 50 * noise()[::-1]))
    assert np.array_equal(played(both)[1][:, :1], played(both[:, :1])[1])
    assert np.array_equal(played(both)[1][:, 1:], played(both[:, 1:])[1])


def test_a_command_that_rests_is_zero_and_its_first_change_shows() -> None:
    _, z = played(np.array([[0.0]] * 20 + [[1.0]]))
    assert not z[:20].any()
    assert z[20, 0] == 1


@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_a_change_of_unit_changes_nothing_after_the_first_value(a: float, b: float) -> None:
    values = noise(60)
    assert played(a * values + b)[1][1:] == pytest.approx(played(values)[1][1:], abs=1e-4)


def test_a_change_of_unit_changes_nothing_from_the_first_value_on() -> None:
    assert played(np.array([[1.0]]))[1].tolist() == played(np.array([[-1.0]]))[1].tolist()


def test_streams_without_context_have_none() -> None:
    context = Context.empty(2, context=0)
    assert context.scaled(slice(0, 2), np.zeros((2, 0))).shape == (2, 0)


TIMES = st.lists(st.integers(0, 20), max_size=12)


@given(TIMES, TIMES)
def test_the_newest_value_is_the_last_of_those_up_to_the_time_asked_for(asked: list[int], read: list[int]) -> None:
    time = np.array(sorted(read), np.float64)
    found = newest_values(np.array(asked, np.float64), time, 10 * time)
    for at, value in zip(asked, found, strict=True):
        before = [t for t in read if t <= at]
        assert value == 10 * max(before) if before else np.isnan(value)
