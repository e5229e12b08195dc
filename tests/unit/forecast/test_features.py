"""What the network sees: squashing and its inverse, the calendar, the interval, the outlook, context."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F32, F64
from pipeline.forecast.features import N_FEATURES, N_OUTLOOK, features, squash, unsquash

VALUE, CHANGE, DAY_SIN, DAY_COS, WEEK_SIN, WEEK_COS, INTERVAL = range(7)
SEASON, HIGH, LOW, SEASON_CHANGE, HAS_SEASON, SMOOTHING, AUTOREGRESSION = range(7, N_FEATURES)


def at(*moments: datetime) -> F64:
    return np.array([moment.timestamp() for moment in moments])


def bare(z: F64, change: F64, time: F64, ratio: F64) -> F32:
    """Return the features where nothing is known of the next reading, and there is no context."""
    return features(z, change, time, ratio, np.full((*z.shape, N_OUTLOOK), np.nan), np.zeros((*z.shape, 0), np.float32))


def calendar(time: F64) -> F32:
    return bare(0 * time, 0 * time, time, np.ones_like(time))


@given(st.floats(-8, 8), st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_unsquash_undoes_squash(z: float, location: float, spread: float) -> None:
    one = np.ones(1)
    value = unsquash(z * one, location * one, spread * one)
    assert squash(value, location * one, spread * one)[0] == pytest.approx(z, abs=1e-5)


def test_squash_is_linear_near_the_middle_and_logarithmic_far_out() -> None:
    z = squash(np.array([10.0, 10.02, 7.0, 2010.0]), np.array(10.0), np.array(2.0))
    assert z == pytest.approx([0, 0.01, np.arcsinh(-1.5), np.log(2000)], rel=1e-4, abs=1e-9)


def test_absurd_values_stay_bounded_both_ways() -> None:
    z = squash(np.array([-1e15, 1e15]), np.zeros(2), np.full(2, 1e-12))  # the gate lets no larger in
    assert z.tolist() == [-12, 12]
    assert np.isfinite(unsquash(np.array([-1e9, 1e9]), np.zeros(2), np.ones(2))).all()


def test_a_change_of_unit_leaves_the_squashed_value() -> None:
    value, one = np.linspace(-5, 5, 11), np.ones(11)
    fahrenheit = squash(1.8 * value + 32, (1.8 * 3 + 32) * one, 1.8 * 2 * one)
    assert fahrenheit == pytest.approx(squash(value, 3 * one, 2 * one), abs=1e-12)


def test_value_and_change_come_first() -> None:
    x = bare(np.array([0.5]), np.array([-0.25]), np.zeros(1), np.ones(1))
    assert x.dtype == np.float32
    assert x[0, [VALUE, CHANGE]].tolist() == [0.5, -0.25]


def test_the_day_is_a_circle_that_starts_at_midnight_utc() -> None:
    hours = at(*(datetime(2026, 3, 4, hour, tzinfo=UTC) for hour in (0, 6, 12, 18)))
    x = calendar(hours)
    assert x[:, DAY_SIN] == pytest.approx([0, 1, 0, -1], abs=1e-5)
    assert x[:, DAY_COS] == pytest.approx([1, 0, -1, 0], abs=1e-5)


def test_the_week_is_a_circle_that_starts_on_monday() -> None:
    monday, thursday_noon = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 5, 12, tzinfo=UTC)
    assert (monday.weekday(), thursday_noon.weekday()) == (0, 3)
    x = calendar(at(monday, thursday_noon))
    assert x[:, WEEK_SIN] == pytest.approx([0, 0], abs=1e-5)
    assert x[:, WEEK_COS] == pytest.approx([1, -1], abs=1e-5)


@given(st.floats(0, 4e9))
def test_the_calendar_repeats_every_week(time: float) -> None:
    x = calendar(np.array([time, time + 7 * 86400]))
    assert x[0] == pytest.approx(x[1], abs=1e-4)


def test_the_interval_is_a_bounded_logarithm_of_its_ratio_to_the_usual_one() -> None:
    ratio = np.array([1.0, np.e, 1e9, 0.0, 0.5])
    x = bare(np.zeros(5), np.zeros(5), np.zeros(5), ratio)
    assert x[:, INTERVAL] == pytest.approx([0, 1, 3, -3, -np.log(2)], abs=1e-6)


def test_any_shape_gains_a_last_axis_of_features() -> None:
    x = bare(np.zeros((2, 5)), np.zeros((2, 5)), np.zeros((2, 5)), np.ones((2, 5)))
    assert x.shape == (2, 5, N_FEATURES)


def test_what_was_one_season_ago_comes_as_values_and_as_the_change_it_made_then() -> None:
    outlook = np.array([[1.0, 3.0, -2.0, 0.25, np.nan, np.nan]])  # before the next reading, and before this one
    x = features(np.array([0.5]), np.zeros(1), np.zeros(1), np.ones(1), outlook, np.zeros((1, 0), np.float32))
    assert x[0, [SEASON, HIGH, LOW, SEASON_CHANGE, HAS_SEASON]].tolist() == [1, 3, -2, 0.75, 1]


def test_what_baselines_foretell_comes_as_the_step_that_they_foretell() -> None:
    outlook = np.array([[np.nan] * 4 + [1.5, -0.5]])
    x = features(np.array([0.5]), np.zeros(1), np.zeros(1), np.ones(1), outlook, np.zeros((1, 0), np.float32))
    assert x[0, [SMOOTHING, AUTOREGRESSION]].tolist() == [1, -1]


def test_what_is_unknown_is_zero_and_a_missing_season_says_so() -> None:
    x = bare(np.full(3, 0.5), np.zeros(3), np.zeros(3), np.ones(3))
    assert not x[:, SEASON:].any()
    assert np.isfinite(x).all()


def test_context_comes_last_and_as_it_is() -> None:
    context = np.array([[0.5, -1.5]], np.float32)
    x = features(np.zeros(1), np.zeros(1), np.zeros(1), np.ones(1), np.full((1, N_OUTLOOK), np.nan), context)
    assert x.shape == (1, N_FEATURES + 2)
    assert x[0, N_FEATURES:].tolist() == [0.5, -1.5]
