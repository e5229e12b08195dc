"""Exponential smoothing and the season before, each by itself."""

import numpy as np
import pytest

from pipeline.core.records import F64
from pipeline.forecast.baselines import N_FORMS, N_SMOOTHINGS, Seasonal, Smoothing, faded

ONE = slice(0, 1)
MOST = np.full(1, np.inf)


def smoothed(values: F64, smoothing: Smoothing | None = None) -> F64:
    """Return the forecast made after each value."""
    smoothing = smoothing or Smoothing.empty(1, smoothings=N_SMOOTHINGS)
    out = []
    for value in values:
        smoothing.learn_smoothing(ONE, np.array([value]), MOST)
        out.append(smoothing.smooth(ONE, np.array([value]))[0])
    return np.array(out)


def seasons(values: F64, period: int) -> F64:
    """Return the forecast made after each value, from the one a period earlier."""
    seasonal = Seasonal.empty(1, forms=N_FORMS)
    out = []
    for t in range(len(values) - 1):
        now, following = (np.array([values[i] if i >= 0 else np.nan]) for i in (t - period, t + 1 - period))
        seasonal.learn_seasonal(ONE, values[t : t + 1], MOST)
        out.append(seasonal.repeat_season(ONE, values[t : t + 1], now, following)[0])
    return np.array(out)


def test_a_constant_is_foretold_from_the_first_value_on() -> None:
    assert (smoothed(np.full(50, 3.5)) == 3.5).all()


def test_the_level_of_noise_is_found() -> None:
    values = 8 + np.random.default_rng(0).normal(size=1500)
    assert np.abs(smoothed(values)[200:] - 8).mean() < 0.25


def test_a_ramp_is_continued() -> None:
    values = np.linspace(0.0, 597.0, 200)
    assert smoothed(values)[100:] == pytest.approx(values[100:] + 3, abs=0.01)


def test_noise_with_spikes_up_is_foretold_nearer_its_median_than_its_mean() -> None:
    rng = np.random.default_rng(1)
    values = np.where(rng.random(3000) < 0.1, 50.0, 0.0) + 0.5 * rng.normal(size=3000)
    assert np.median(smoothed(values)[500:]) < 1  # the mean is 5


def test_a_new_level_is_reached_within_some_readings() -> None:
    values = 0.1 * np.random.default_rng(2).normal(size=600)
    values[300:] += 20
    assert np.abs(smoothed(values)[320:] - 20).max() < 0.5


def test_after_a_gap_the_level_is_the_next_value_whatever_was_before() -> None:
    smoothing = Smoothing.empty(1, smoothings=N_SMOOTHINGS)
    smoothed(np.random.default_rng(3).normal(size=100), smoothing)
    smoothing.forget_levels(np.array([0]))
    assert smoothed(np.array([1000.0]), smoothing).tolist() == [1000.0]


def test_a_season_that_repeats_exactly_is_foretold_exactly() -> None:
    values = np.tile(np.random.default_rng(4).normal(size=20), 10)
    assert np.array_equal(seasons(values, 20)[20:], values[21:])


def test_a_season_whose_level_moved_is_shifted() -> None:
    values = np.tile(10 * np.random.default_rng(5).normal(size=20), 20) + np.repeat(np.arange(4) * 7.0, 100)
    assert np.abs(seasons(values, 20)[180:199] - values[181:200]).mean() < 0.5


def test_without_a_season_nothing_is_foretold() -> None:
    assert np.isnan(seasons(np.arange(10.0), 20)).all()


def test_means_are_plain_at_first_and_then_fade() -> None:
    mean, sizes = np.zeros((1, 1)), np.random.default_rng(6).exponential(size=400)
    for n, size in enumerate(sizes[:50]):
        mean = faded(mean, np.array([[size]]), np.array([n], np.int32), 0.01)
    assert mean[0, 0] == pytest.approx(sizes[:50].mean())
    for n, _ in enumerate(sizes, start=50):
        mean = faded(mean, np.array([[9.0]]), np.array([n], np.int32), 0.01)
    assert mean[0, 0] == pytest.approx(9, rel=0.05)
