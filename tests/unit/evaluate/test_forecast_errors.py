"""Metrics of forecasts agree with sums done by hand, and say nothing where nothing can be said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluate.forecast_errors import (
    DAY_S,
    LEVELS,
    absolute_errors,
    coverage,
    floored_ratio,
    mean_error,
    pinball_loss,
    relative_error,
    seasonal_persistence,
)


def test_coverage_counts_the_ends_of_an_interval_and_leaves_out_what_has_none() -> None:
    errors = np.array([1.0, 1.0, 3.0, np.nan, 0.0])
    widths = np.array([[1.0, 2.0], [0.5, 2.0], [1.0, 3.0], [1.0, 1.0], [np.nan, 1.0]])
    assert coverage(errors, widths).tolist() == [1 / 3, 1.0]
    assert np.isnan(coverage(errors[3:], widths[3:])).all()


def test_pinball_loss_is_least_at_the_true_quantiles_of_a_normal_residual() -> None:
    residual = np.random.default_rng(1).normal(size=20_000)
    true = np.array([0.6745, 1.6449, 2.5758])
    losses = {k: pinball_loss(residual, np.tile(k * true, (len(residual), 1))) for k in (0.5, 0.8, 1.0, 1.25, 2.0)}
    assert min(losses, key=lambda k: losses[k]) == 1.0
    assert np.isnan(pinball_loss(residual[:0], np.zeros((0, len(LEVELS)))))


def test_a_diverged_forecast_gives_an_infinite_error_and_no_warning() -> None:
    errors = absolute_errors(np.array([-1e15, 1.0]), np.array([1.7e308, -1.7e308]))
    assert mean_error(errors, np.array([True, True])) > 1e307
    assert mean_error(absolute_errors(np.ones(2), np.array([1.0, np.inf])), np.ones(2, np.bool_)) == np.inf
    assert relative_error(1.0, np.inf) == 0.0


def test_a_reference_without_error_gives_no_ratio_but_a_perfect_baseline_does() -> None:
    assert np.isnan(relative_error(0.0, 0.0))
    assert np.isnan(relative_error(1.0, np.nan))
    assert np.isnan(floored_ratio(0.0, 0.0, 0.0))
    assert floored_ratio(0.5, 0.0, 1.0) == pytest.approx(500.0)


@given(
    steps=st.lists(st.floats(60.0, 2 * DAY_S), min_size=1, max_size=60),
    lag_s=st.floats(600.0, 5 * DAY_S),
)
def test_seasonal_persistence_is_the_newest_reading_that_is_a_season_old(steps: list[float], lag_s: float) -> None:
    time = np.cumsum(steps)
    value = np.arange(len(time), dtype=np.float64)
    expected = []
    for now in time:
        old = [(t, v) for t, v in zip(time, value, strict=True) if t <= now - lag_s]
        expected.append(old[-1][1] if old and now - old[-1][0] <= 1.05 * lag_s else np.nan)
    np.testing.assert_array_equal(seasonal_persistence(time, value, lag_s), expected)
