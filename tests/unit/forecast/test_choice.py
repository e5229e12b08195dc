"""Calm and shaken: what follows a shock is judged apart, and a change is no shock."""

import numpy as np

from pipeline.core.records import F64
from pipeline.forecast.baselines import Forecaster
from pipeline.forecast.league import League, empty_league

ONE, SLOT = slice(0, 1), np.array([0])


def run(league: League, values: F64) -> list[bool]:
    """Pass readings of one stream through, without LSTM and season; return where it was shaken."""
    shaken = []
    for value in values:
        one, nothing = np.array([value]), np.full(1, np.nan)
        league.learn(ONE, SLOT, one, np.ones(1))
        shaken.append(bool(league.is_shaken[0]))
        league.foretell(ONE, SLOT, one, nothing, nothing)
        league.join(ONE, one, nothing, nothing)
    return shaken


def spiky(n: int, seed: int = 1) -> F64:
    """Return noise with a spike of 60 every fifty readings: it never lasts."""
    values = np.random.default_rng(seed).normal(scale=0.5, size=n)
    values[50::50] += 60
    return values


def test_spikes_shake_and_ordinary_readings_do_not() -> None:
    shaken = np.flatnonzero(run(empty_league(1), spiky(1000)))
    assert set(shaken.tolist()) <= {*range(50, 1000, 50), *range(51, 1000, 50)}
    assert len(shaken) >= 17


def test_after_a_spike_its_end_is_foretold_and_not_its_stay() -> None:
    league, values = empty_league(1), spiky(2001)
    run(league, values)  # the last reading is a spike
    assert league.is_shaken[0]
    _, location, _ = league.shown(ONE)
    assert values[-1] > 50
    assert abs(location[0]) < 6


def test_a_level_that_stays_is_followed_like_any_change() -> None:
    values = spiky(2001)
    values[1500:] += 200
    league = empty_league(1)
    run(league, values[:1600])
    assert abs(league.shown(ONE)[1][0] - 200) < 10


def test_shocks_in_a_row_are_a_change_and_shake_no_more() -> None:
    values = np.random.default_rng(3).normal(size=300) * 0.1
    values[200:] += np.where(np.arange(100) % 2, 500.0, -500.0) * np.geomspace(1, 1e6, 100)
    shaken = run(empty_league(1), values)
    assert any(shaken[200:208])
    assert not any(shaken[209:250])


def test_a_forecaster_that_is_best_in_one_mood_only_is_chosen_in_that_mood_only() -> None:
    league = empty_league(1)
    run(league, spiky(3000))
    calm, shaken = (Forecaster(who) for who in league.who[0])
    assert calm in {Forecaster.SMOOTHING, Forecaster.BLEND, Forecaster.AUTOREGRESSION}
    assert shaken != Forecaster.PERSISTENCE
    errors = league.mood_error[0]
    assert errors[1, Forecaster.PERSISTENCE] > 10 * errors[0, Forecaster.PERSISTENCE]
