"""Scaling: plain mean and variance at first, then bounded influence, and never a spread of zero."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.streams.scaling import Scaling

ALL = slice(0, 1)
ONE = np.array([0])
YES, NO = np.ones(1), np.zeros(1)


def learnt(values: list[float]) -> Scaling:
    scaling = Scaling.empty(1)
    for n, value in enumerate(values):
        scaling.learn(ALL, np.array([value]), np.array([n]), YES)
    return scaling


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=32))
def test_the_first_readings_give_the_plain_mean_and_variance(values: list[float]) -> None:
    scaling = learnt(values)
    assert scaling.mean[0] == pytest.approx(np.mean(values), rel=1e-9, abs=1e-9)
    assert scaling.var[0] == pytest.approx(np.var(values), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("glitch", [1e12, -1e12])
def test_a_glitch_counts_as_ten_spreads_and_no_more(glitch: float) -> None:
    scaling = learnt([-1.0, 1.0] * 50)
    assert (scaling.mean[0], scaling.var[0]) == pytest.approx((0.0, 1.0))
    scaling.learn(ALL, np.array([glitch]), np.array([100]), YES)
    assert scaling.mean[0] == pytest.approx(np.sign(glitch) * 10 / 101)
    assert scaling.var[0] == pytest.approx(100 / 101 * (1 + 100 / 101))


def test_old_readings_weigh_less_and_less_so_that_a_change_is_followed() -> None:
    scaling = learnt([-1.0, 1.0] * 50)
    for n in range(100, 20_100):
        scaling.learn(ALL, np.array([10.0 + (-1.0) ** n]), np.array([n]), YES)
    assert scaling.mean[0] == pytest.approx(10, abs=0.05)
    assert scaling.spread(ONE)[0] == pytest.approx(1, abs=0.2)


def test_what_may_not_teach_changes_nothing() -> None:
    scaling = learnt([-1.0, 1.0] * 50)
    before = scaling.take(ONE)
    scaling.learn(ALL, np.array([4.0]), np.array([100]), NO)
    assert scaling.take(ONE) == before


@pytest.mark.parametrize("level", [0.0, 50.0, -50.0])
def test_a_constant_stream_has_a_spread_of_a_millionth_of_its_level(level: float) -> None:
    spread = learnt([level] * 100).spread(ONE)[0]
    assert spread == pytest.approx(1e-6 * (abs(level) + 1e-6))
    assert spread > 0


def test_rebasing_starts_from_recent_readings_of_the_named_streams_only() -> None:
    scaling = Scaling.empty(3)
    scaling.rebase(np.array([2, 0]), np.array([[1.0, 3.0], [10.0, 30.0]]))
    assert scaling.mean.tolist() == [20.0, 0.0, 2.0]
    assert scaling.var.tolist() == [100.0, 0.0, 1.0]


def test_recentring_moves_the_location_and_keeps_the_spread() -> None:
    scaling = Scaling.empty(2)
    scaling.mean[:], scaling.var[:] = 1.0, 4.0
    scaling.recentre(np.array([1]), np.array([[7.0, 9.0, 1e9]]))
    assert scaling.mean.tolist() == [1.0, 9.0], "the median: one glitch does not decide"
    assert scaling.var.tolist() == [4.0, 4.0]


def test_a_glitch_among_the_first_readings_is_discounted_at_the_32nd() -> None:
    values = np.random.default_rng(3).normal(20.0, 2.0, 32)
    values[5] = 1e12
    scaling = Scaling.empty(1)
    for n, value in enumerate(values):
        scaling.learn(np.array([0]), np.array([value]), np.array([n]), np.ones(1))
    assert scaling.spread(np.array([0]))[0] > 1e10
    scaling.discount_glitches(np.array([0]), values[None])
    assert scaling.mean[0] == pytest.approx(20.0, abs=1.5)
    assert 1.0 < scaling.spread(np.array([0]))[0] < 4.0


def test_a_stream_that_mostly_shows_one_value_keeps_its_estimate() -> None:
    scaling = Scaling.empty(1)
    scaling.mean[0], scaling.var[0] = 3.0, 7.0
    values = np.zeros((1, 32))
    values[0, 4] = 50.0
    scaling.discount_glitches(np.array([0]), values)
    assert (scaling.mean[0], scaling.var[0]) == (3.0, 7.0)
