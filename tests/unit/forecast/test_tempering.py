"""How far to follow the LSTM: as far as would have been best, and no step at all when it has lost its way."""

import numpy as np
import pytest

from pipeline.forecast.tempering import N_SHARES, SHARES, Tempering

ONE = slice(0, 1)


def share_after(true_share: float, n: int = 300, noise: float = 0.05) -> float:
    """Let what comes be ``true_share`` of the way that is foretold; return the share then in force."""
    rng = np.random.default_rng(5)
    tempering, value = Tempering.empty(1, shares=N_SHARES), np.zeros(1)
    for way in rng.normal(size=n):
        tempering.temper(ONE, value, value + way)
        change = np.array([true_share * way + noise * rng.normal()])
        tempering.learn_tempering(ONE, change, np.full(1, 50.0))
        value = value + change
    return float(tempering.temper(ONE, value, value + 1.0)[0] - value[0])


@pytest.mark.parametrize("share", SHARES.tolist())
def test_the_share_that_would_have_been_best_is_taken(share: float) -> None:
    assert share_after(share) == pytest.approx(share)


def test_a_forecaster_that_points_the_wrong_way_is_not_followed_at_all() -> None:
    assert share_after(-0.7) == 0


def test_at_first_all_of_the_way_is_taken() -> None:
    tempering = Tempering.empty(1, shares=N_SHARES)
    assert tempering.temper(ONE, np.array([2.0]), np.array([3.0])).tolist() == [3.0]


def test_without_a_forecast_nothing_is_learnt() -> None:
    tempering = Tempering.empty(1, shares=N_SHARES)
    assert np.isnan(tempering.temper(ONE, np.ones(1), np.full(1, np.nan))).all()
    before = tempering.take(np.array([0]))
    tempering.learn_tempering(ONE, np.ones(1), np.ones(1))
    after = tempering.take(np.array([0]))
    assert all(np.array_equal(before[name], after[name], equal_nan=True) for name in before)
