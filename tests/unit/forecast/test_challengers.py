"""The gate: finite, no worse on held-out windows, still finding seeded faults; and what must be taken back.

The networks here foretell a constant: their outputs are their head's biases, so that every verdict
can be worked out by hand.
"""

import numpy as np
import pytest

from pipeline.core.forecast_settings import ForecastSettings
from pipeline.core.records import F32
from pipeline.forecast.features import N_FEATURES
from pipeline.forecast.gate import Comparison, Outcome, compare, is_finite, is_regression, verdict
from pipeline.forecast.network import network_for
from pipeline.forecast.targets import ACTIVITY, N_TARGETS, NEXT
from pipeline.forecast.training import N_SETTLING, Windows

NETWORK = network_for(ForecastSettings(hidden=2))
N_GROUPS, N_ROWS, N_STEPS = 3, 4, 24
YES = np.ones(N_GROUPS, np.bool_)


def constant(location: float = 0.0, log_spread: float = -1.0, n_members: int = 1) -> F32:
    """Return networks that foretell one location and spread of every target, whatever they see."""
    weights = np.zeros((N_GROUPS, n_members, NETWORK.n_weights), np.float32)
    weights[..., -2 * N_TARGETS :: 2] = location
    weights[..., -2 * N_TARGETS + 1 :: 2] = log_spread
    return weights


def made_windows(spread: float = 0.3) -> Windows:
    """Return windows whose targets lie around 0."""
    rng = np.random.default_rng(1)
    shape = (N_GROUPS, N_ROWS, N_STEPS)
    x = rng.normal(size=(*shape, N_FEATURES)).astype(np.float32)
    y = rng.normal(0, spread, (*shape, N_TARGETS)).astype(np.float32)
    return Windows(x, y, np.ones((*shape, N_TARGETS), np.bool_))


def outcomes(challenger: F32, champion: F32 | None = None, windows: Windows | None = None) -> list[str]:
    found = compare(NETWORK, constant() if champion is None else champion, challenger, windows or made_windows())
    return [Outcome(outcome).name for outcome in verdict(found, is_finite(challenger))]


def test_a_network_is_as_good_as_itself() -> None:
    found = compare(NETWORK, constant(), constant(), made_windows())
    assert found.worse.tolist() == found.lost.tolist() == [0.0] * N_GROUPS
    assert outcomes(constant()) == ["ACCEPTED"] * N_GROUPS
    assert not is_regression(found).any()


def test_how_much_worse_is_the_mean_difference_of_the_likelihoods() -> None:
    windows = made_windows()
    y = windows.y[:, :, N_SETTLING:].astype(np.float64)
    by_hand = [log_s + 2.5 * np.log1p(((y - mu) / np.exp(log_s)) ** 2 / 4) for mu, log_s in ((0, -1), (0.2, -0.5))]
    found = compare(NETWORK, constant(), constant(0.2, -0.5), windows)
    assert found.worse == pytest.approx((by_hand[1] - by_hand[0]).mean(axis=(1, 2, 3)), abs=1e-5)


def test_a_better_challenger_is_accepted() -> None:
    assert outcomes(constant(), champion=constant(location=3.0)) == ["ACCEPTED"] * N_GROUPS


def test_a_challenger_that_foretells_worse_is_refused_by_the_hold_out() -> None:
    assert outcomes(constant(location=3.0)) == ["HOLD_OUT"] * N_GROUPS


def test_a_network_that_has_learnt_to_expect_anything_is_refused() -> None:
    assert outcomes(constant(log_spread=3.0)) == ["HOLD_OUT"] * N_GROUPS


def test_a_network_that_is_little_worse_but_would_miss_faults_is_refused_by_the_seeded_faults() -> None:
    """A fault of four spreads is asinh(4) = 2.1 away: found at four scales of e^-1, missed at four of e^-0.5."""
    challenger = constant(log_spread=-0.5)
    found = compare(NETWORK, constant(), challenger, made_windows(spread=0.4))
    assert (found.worse < 0.5).all()
    assert (found.lost > 0.5).all()
    assert outcomes(challenger, windows=made_windows(spread=0.4)) == ["FAULTS"] * N_GROUPS


def test_a_fault_that_the_champion_would_miss_too_is_no_loss() -> None:
    unsure = constant(log_spread=0.0)
    assert compare(NETWORK, unsure, constant(log_spread=0.1), made_windows()).lost.tolist() == [0.0] * N_GROUPS


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, -1])
def test_one_weight_that_is_not_finite_refuses_its_own_network_only(poison: float, place: int) -> None:
    challenger = constant(n_members=2)
    challenger[1, 1, place] = poison
    assert outcomes(challenger, champion=constant(n_members=2)) == ["ACCEPTED", "NOT_FINITE", "ACCEPTED"]


def test_an_optimiser_that_is_not_finite_counts_as_well() -> None:
    moments = constant()
    moments[2, 0, 5] = np.nan
    assert is_finite(constant(), moments).tolist() == [True, True, False]


def test_where_nothing_was_held_out_yet_only_finiteness_is_asked_for() -> None:
    windows = made_windows()
    windows.is_known[:] = False
    found = compare(NETWORK, constant(), constant(location=9.0), windows)
    assert np.isnan([found.worse, found.lost]).all()
    assert verdict(found, YES).tolist() == [Outcome.ACCEPTED] * N_GROUPS
    assert verdict(found, ~YES).tolist() == [Outcome.NOT_FINITE] * N_GROUPS
    assert not is_regression(found).any()


def test_each_network_is_judged_on_its_own_windows() -> None:
    windows = made_windows()
    windows.y[1] += 1.5
    found = outcomes(constant(1.5, -2.0), champion=constant(0.0, -2.0), windows=windows)
    assert found == ["HOLD_OUT", "ACCEPTED", "HOLD_OUT"]


def test_only_known_targets_count() -> None:
    windows = made_windows()
    known, expected = windows.is_known.copy(), compare(NETWORK, constant(), constant(0.2), windows)
    windows.is_known[:, 1:] = False
    part = compare(NETWORK, constant(), constant(0.2), windows)
    windows.y[:, 1:] = 1e9
    again = compare(NETWORK, constant(), constant(0.2), windows)
    assert (again.worse.tolist(), again.lost.tolist()) == (part.worse.tolist(), part.lost.tolist())
    assert known.all()
    assert not np.allclose(part.worse, expected.worse)


def test_faults_are_seeded_into_levels_and_not_into_the_activity() -> None:
    windows = made_windows()
    windows.is_known[..., [target for target in range(N_TARGETS) if target != ACTIVITY]] = False
    found = compare(NETWORK, constant(), constant(log_spread=-0.5), windows)
    assert np.isnan(found.lost).all()
    assert np.isfinite(found.worse).all()


def test_an_ensemble_is_judged_by_the_mean_of_its_members() -> None:
    windows = made_windows()
    champion, challenger = constant(n_members=2), constant(n_members=2)
    challenger[:, 1] = constant(0.5, -0.5)[:, 0]
    both = compare(NETWORK, champion, challenger, windows)
    alone = compare(NETWORK, constant(), constant(0.5, -0.5), windows)
    assert both.worse == pytest.approx(alone.worse / 2, abs=1e-6)
    assert both.lost == pytest.approx(alone.lost / 2, abs=1e-6)


def test_absurd_targets_and_absurd_networks_give_numbers() -> None:
    windows = made_windows()
    windows.y[..., NEXT] = 12.0
    for challenger in (constant(location=1e6), constant(log_spread=1e6), constant(log_spread=-1e6)):
        found = compare(NETWORK, constant(), challenger, windows)
        assert np.isfinite([found.worse, found.lost]).all()


@pytest.mark.parametrize(("worse", "is_taken_back"), [(0.9, False), (1.1, True), (-3.0, False), (np.nan, False)])
def test_weights_in_force_are_taken_back_when_they_are_a_nat_worse(
    worse: float,
    is_taken_back: bool,  # noqa: FBT001 - a case
) -> None:
    since = Comparison(np.full(1, worse, np.float32), np.zeros(1, np.float32))
    assert is_regression(since).tolist() == [is_taken_back]
