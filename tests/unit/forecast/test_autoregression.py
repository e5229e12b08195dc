"""The linear forecast: what it finds, and that nothing makes it blow up."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F64
from pipeline.forecast.autoregression import N_INPUTS, Autoregression

ONE = slice(0, 1)


def regressed(values: F64, autoregression: Autoregression | None = None) -> F64:
    """Return the forecast made after each value."""
    autoregression = autoregression or Autoregression.empty(1, inputs=N_INPUTS, products=N_INPUTS**2)
    nothing, out = np.full(1, np.nan), []
    for value in values[:, None]:
        autoregression.fit(ONE, value, np.ones(1))
        out.append(autoregression.regress(ONE, value, nothing, nothing)[0])
    return np.array(out)


def autoregressive(weight: float, n: int = 3000) -> tuple[F64, F64]:
    """Return a first-order process and its innovations."""
    shocks, values = np.random.default_rng(8).normal(size=n), np.zeros(n)
    for t in range(1, n):
        values[t] = weight * values[t - 1] + shocks[t]
    return values, shocks


@pytest.mark.parametrize("weight", [-0.7, 0.0, 0.5, 0.9])
def test_a_first_order_process_is_foretold_almost_as_well_as_can_be(weight: float) -> None:
    values, shocks = autoregressive(weight)
    error = np.abs(values[501:] - regressed(values)[500:-1]).mean()
    assert error < 1.04 * np.abs(shocks[501:]).mean()


def test_changes_that_go_on_are_continued() -> None:
    values = autoregressive(0.8)[0].cumsum()
    ratio = np.abs(values[501:] - regressed(values)[500:-1]).mean() / np.abs(np.diff(values)[500:]).mean()
    assert ratio < 0.7


def test_a_stream_that_rests_for_long_and_then_moves_gets_sane_forecasts() -> None:
    rng = np.random.default_rng(9)
    values = np.concatenate((rng.normal(size=300), np.full(20_000, 2.0), 2 + rng.normal(size=300)))
    forecasts = regressed(values)
    assert forecasts[1000:20_200] == pytest.approx(2, abs=1e-6)
    assert np.abs(forecasts[20_300:]).max() < 20


@given(st.lists(st.floats(-1e15, 1e15), min_size=2, max_size=60))
def test_any_values_give_finite_forecasts_near_the_last_changes(values: list[float]) -> None:
    forecasts = regressed(np.array(values))
    assert np.isfinite(forecasts).all()
    reach = np.abs(np.diff(values)).max() * 21
    assert (np.abs(forecasts - values) <= reach + 1e-6 * np.abs(values)).all()
