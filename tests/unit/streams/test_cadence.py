"""Cadence: the usual interval is met exactly, hardly moved by one absurd interval, and follows a lasting change."""

import numpy as np
import pytest

from pipeline.streams.cadence import Cadence

ALL = slice(0, 1)


def learn(cadence: Cadence, *intervals_s: float, n: int = 1) -> float:
    """Learn intervals, the first of them after ``n`` readings, and return the usual one."""
    for i, interval in enumerate(intervals_s):
        cadence.learn(ALL, np.array([interval]), np.array([n + i]))
    return float(cadence.step_s[0])


def test_there_is_no_cadence_before_the_second_reading() -> None:
    cadence = Cadence.empty(1)
    assert np.isnan(learn(cadence, np.nan, n=0))
    assert learn(cadence, 60.0) == 60.0


def test_a_constant_interval_is_met_exactly() -> None:
    assert learn(Cadence.empty(1), *[0.1] * 300) == 0.1


@pytest.mark.parametrize("absurd_s", [1e-9, 1e9])
def test_one_absurd_interval_moves_the_cadence_by_two_percent_and_is_forgotten(absurd_s: float) -> None:
    cadence = Cadence.empty(1)
    learn(cadence, *[60.0] * 100)
    moved = learn(cadence, absurd_s, n=101)
    assert abs(np.log(moved / 60.0)) == pytest.approx(0.02)
    assert learn(cadence, 60.0, 60.0, n=102) == 60.0


@pytest.mark.parametrize("later_s", [6.0, 600.0])
def test_a_lasting_change_is_followed(later_s: float) -> None:
    cadence = Cadence.empty(1)
    learn(cadence, *[60.0] * 100)
    n_needed = int(np.ceil(np.log(10) / 0.02))
    assert learn(cadence, *[later_s] * (n_needed // 2), n=101) != later_s
    assert learn(cadence, *[later_s] * n_needed, n=101 + n_needed // 2) == later_s


def test_jitter_leaves_the_cadence_at_the_median() -> None:
    rng = np.random.default_rng(3)
    intervals = 60 * np.exp(rng.normal(0, 0.3, 4000))
    assert learn(Cadence.empty(1), *intervals) == pytest.approx(60, rel=0.1)


def test_each_stream_learns_its_own() -> None:
    cadence = Cadence.empty(3)
    cadence.learn(np.array([0, 2]), np.array([1.0, 5.0]), np.array([1, 1]))
    assert cadence.step_s[[0, 2]].tolist() == [1.0, 5.0]
    assert np.isnan(cadence.step_s[1])
