"""Onset: when a change that has just been noticed began, within a few readings, and never after the alert."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F64
from pipeline.detect.onset import Onset

N_STREAMS = 100
AT = 400  # number of the first reading of the change
STEP_S = 60.0
NAN = float("nan")


def onsets(residuals: F64, shares: F64) -> F64:
    """Return the onset that is told at the last reading, as the number of a reading, shape (S,), from (T, S) each."""
    n_streams = residuals.shape[1]
    onset = Onset.empty(n_streams, sides=2)
    for number, (row, share) in enumerate(zip(residuals, shares, strict=True)):
        onset.step(slice(0, n_streams), np.full(n_streams, STEP_S * number), row, share)
    last = STEP_S * (len(residuals) - 1)
    return np.array([onset.estimate(slot, last) for slot in range(n_streams)]) / STEP_S


def noise(n: int, seed: int = 1) -> F64:
    return np.random.default_rng(seed).normal(size=(n, N_STREAMS))


def calm(n: int) -> F64:
    """Scores as shares of the level, of readings that surprise nobody."""
    return np.full((n, N_STREAMS), 0.2)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("n_until_noticed", [2, 10, 40])
def test_the_onset_of_a_step_is_told_within_a_few_readings(side: int, n_until_noticed: int) -> None:
    residuals = noise(AT + n_until_noticed)
    residuals[AT:] += 4 * side
    away = np.abs(onsets(residuals, calm(AT + n_until_noticed)) - AT)
    assert np.median(away) <= 2
    assert (away <= 10).mean() > 0.9


@pytest.mark.parametrize("slope", [0.05, 0.2])
def test_the_onset_of_a_ramp_is_told_long_before_it_is_noticed(slope: float) -> None:
    n_until_noticed = int(6 / slope)
    residuals = noise(AT + n_until_noticed)
    residuals[AT:] += slope * np.arange(n_until_noticed)[:, None]
    found = onsets(residuals, calm(AT + n_until_noticed))
    assert AT - 10 < np.median(found) < AT + 0.5 * n_until_noticed


def test_one_glitch_before_does_not_date_a_later_step_back() -> None:
    residuals = noise(AT + 5)
    residuals[AT - 100] = 1e6
    residuals[AT:] += 5
    assert np.median(np.abs(onsets(residuals, calm(AT + 5)) - AT)) <= 2


def test_a_single_reading_far_off_began_with_itself_or_just_before() -> None:
    residuals = noise(AT + 1)
    residuals[AT] = 30
    found = onsets(residuals, calm(AT + 1))
    assert np.median(AT - found) <= 3


def test_what_residuals_are_blind_to_began_after_the_stream_was_last_calm() -> None:
    """As when a sensor is stuck where it usually is: its forecasts are met, and yet the score rises."""
    residuals, shares = np.zeros((AT + 30, N_STREAMS)), calm(AT + 30)
    shares[AT:] = np.linspace(0.6, 1.0, 30)[:, None]
    assert (onsets(residuals, shares) == AT).all()
    shares[AT + 20] = 0.1
    assert (onsets(residuals, shares) == AT + 21).all()


def test_without_any_sign_before_it_began_when_it_was_noticed() -> None:
    assert (onsets(np.zeros((AT, N_STREAMS)), calm(AT)) == AT - 1).all()


def test_readings_without_a_forecast_neither_hide_a_change_nor_make_one() -> None:
    residuals = noise(AT + 10)
    residuals[AT:] += 5
    residuals[AT + 3 : AT + 6] = NAN
    assert np.median(np.abs(onsets(residuals, calm(AT + 10)) - AT)) <= 2
    assert (onsets(np.full((50, N_STREAMS), NAN), calm(50)) == 49).all()


@given(st.integers(1, 60), st.integers(0, 2**32 - 1), st.floats(0, 1e6), st.floats(0, 2))
def test_an_onset_is_never_later_than_the_alert_nor_before_the_first_reading(
    n: int, seed: int, size: float, share: float
) -> None:
    rng = np.random.default_rng(seed)
    found = onsets(size * rng.normal(size=(n, 3)), share * rng.random((n, 3)))
    assert ((found >= 0) & (found <= n - 1)).all()


def test_streams_do_not_date_each_other() -> None:
    residuals, shares = noise(AT), np.random.default_rng(2).random((AT, N_STREAMS))
    residuals[AT - 20 :, ::2] += 3
    together = onsets(residuals, shares)
    for stream in (0, 1, 7):
        one = slice(stream, stream + 1)
        assert onsets(residuals[:, one], shares[:, one])[0] == together[stream]


def test_how_streams_are_addressed_does_not_matter() -> None:
    residuals = noise(50, seed=5)
    by_slice, by_index = Onset.empty(N_STREAMS, sides=2), Onset.empty(N_STREAMS, sides=2)
    for number, row in enumerate(residuals):
        for onset, ix in ((by_slice, slice(0, N_STREAMS)), (by_index, np.arange(N_STREAMS))):
            onset.step(ix, np.full(N_STREAMS, STEP_S * number), row, np.full(N_STREAMS, 0.2))
    for name, array in by_slice.arrays().items():
        assert np.array_equal(array, by_index.arrays()[name], equal_nan=True), name
