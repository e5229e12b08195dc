"""The skill of the LSTM against persistence."""

import numpy as np
import pytest

from pipeline.core.records import F64, Bool
from pipeline.forecast.baselines import Skill

ALL = slice(0, 3)


def learn(skill: Skill, lstm: F64, persistence: F64, is_known: Bool, n: int = 1) -> None:
    for _ in range(n):
        skill.learn(ALL, (lstm, persistence), np.ones(3), is_known)


def test_nothing_is_known_before_the_first_pair_of_forecasts() -> None:
    skill = Skill.empty(3)
    assert np.isnan(skill.ratio(ALL)).all()
    learn(skill, np.full(3, np.nan), np.full(3, np.nan), np.zeros(3, np.bool_))
    assert np.isnan(skill.ratio(ALL)).all()


def test_the_ratio_is_that_of_the_absolute_errors_from_the_first_reading_on() -> None:
    skill = Skill.empty(3)
    learn(skill, np.array([1.0, -2.0, 3.0]), np.array([-2.0, 2.0, 1.0]), np.ones(3, np.bool_))
    assert skill.ratio(ALL) == pytest.approx([0.5, 1, 3])
    learn(skill, np.array([1.0, -2.0, 3.0]), np.array([-2.0, 2.0, 1.0]), np.ones(3, np.bool_), n=30)
    assert skill.ratio(ALL) == pytest.approx([0.5, 1, 3])


def test_old_errors_fade() -> None:
    skill = Skill.empty(3)
    ones, known = np.ones(3), np.ones(3, np.bool_)
    learn(skill, 4 * ones, ones, known, n=50)
    learn(skill, 0.5 * ones, ones, known, n=1000)
    assert skill.ratio(ALL) == pytest.approx(0.5 * ones, rel=1e-2)


def test_one_glitch_does_not_decide_the_comparison() -> None:
    skill = Skill.empty(3)
    ones, known = np.ones(3), np.ones(3, np.bool_)
    learn(skill, 0.5 * ones, ones, known, n=500)
    learn(skill, 1e12 * ones, ones, known)
    assert (skill.ratio(ALL) < 0.7).all()


def test_a_reading_without_a_forecast_changes_nothing() -> None:
    skill = Skill.empty(3)
    learn(skill, np.ones(3), 2 * np.ones(3), np.ones(3, np.bool_))
    before = skill.take(np.arange(3))
    learn(skill, np.full(3, np.nan), np.full(3, 5.0), np.zeros(3, np.bool_))
    after = skill.take(np.arange(3))
    assert all(np.array_equal(after[name], before[name]) for name in before)


def test_other_streams_are_not_touched() -> None:
    skill = Skill.empty(3)
    skill.learn(np.array([2, 0]), (np.array([1.0, 3.0]), np.array([2.0, 2.0])), np.ones(2), np.ones(2, np.bool_))
    assert skill.ratio(ALL) == pytest.approx([1.5, np.nan, 0.5], nan_ok=True)
