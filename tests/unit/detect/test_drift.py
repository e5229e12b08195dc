"""Drift: ramps and steps are found in time, clean streams are left alone, and one glitch is nothing."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river.drift import ADWIN

from pipeline.core.records import F64, Bool
from pipeline.detect.drift import DIMENSIONS, MIN_BETWEEN, Drift

DAY = 1440  # readings
SLOPES = np.array([0.02, 0.05, 0.1, 0.2, 0.5])  # standard deviations of the noise per reading
N_TRIALS = 100  # per slope


def empty(n_streams: int = 1) -> Drift:
    return Drift.empty(n_streams, views=2, **DIMENSIONS)


def views_of(value: F64, season: int = 0) -> F64:
    """Return readings (T, A) as both views, shape (T, A, 2); no season is known where it is 0."""
    since_season = np.full_like(value, np.nan)
    if season:
        since_season[season:] = value[season:] - value[:-season]
    return np.stack((value, since_season), axis=-1)


def found_in(value: F64, season: int = 0, drift: Drift | None = None) -> Bool:
    """Return where drifts are found in readings of shape (T, A)."""
    n_streams = value.shape[1]
    drift = drift or empty(n_streams)
    slots, known = np.arange(n_streams), np.ones(n_streams, np.bool_)
    return np.array([drift.step(slots, views, known) for views in views_of(value, season)])


def white(n: int, n_streams: int, seed: int = 1) -> F64:
    return np.random.default_rng(seed).normal(size=(n, n_streams))


def autoregressive(n: int, n_streams: int, memory: float) -> F64:
    """Return an AR(1) of standard deviation one."""
    x = white(n, n_streams)
    x[1:] *= np.sqrt(1 - memory**2)
    for t in range(1, n):
        x[t] += memory * x[t - 1]
    return x


def daily(n: int, n_streams: int) -> F64:
    """Return a daily cycle of five standard deviations of its noise, each stream at its own hour."""
    hour = np.arange(n)[:, None] / DAY + np.linspace(0, 1, n_streams)
    return 5 * np.sin(2 * np.pi * hour) + white(n, n_streams)


def duty_cycle(n: int, n_streams: int) -> F64:
    """Return pumps that switch with periods between 20 and 400 readings, on for a third of each."""
    period = np.linspace(20, 400, n_streams)
    return 10.0 * (np.arange(n)[:, None] % period < period / 3) + white(n, n_streams)


def bursty(n: int, n_streams: int) -> F64:
    """Return bursts of any size and of up to an hour, a few a day."""
    rng = np.random.default_rng(4)
    height = np.where(rng.random((n, n_streams)) < 1 / 300, rng.exponential(8, (n, n_streams)), 0)
    lasts = rng.integers(5, 60, (n, n_streams))
    x = np.zeros((n, n_streams))
    for t, stream in np.argwhere(height):
        x[t : t + lasts[t, stream], stream] = height[t, stream]
    return x + white(n, n_streams)


N_MONTH = 30 * DAY
N_CLEAN = 20  # streams of each kind
Maker = Callable[[int, int], F64]  # from the numbers of readings and of streams
CLEAN: dict[str, Maker] = {
    "white noise": white,
    "autoregressive": lambda n, n_streams: autoregressive(n, n_streams, 0.9),
    "heavy tails": lambda n, n_streams: np.random.default_rng(2).standard_t(3, (n, n_streams)),
    "daily cycle": daily,
    "duty cycle": duty_cycle,
    "random walk": lambda n, n_streams: white(n, n_streams).cumsum(axis=0),
    "bursty": bursty,
    "quantised": lambda n, n_streams: np.round(autoregressive(n, n_streams, 0.9) * 2) / 2,
    "constant": lambda n, n_streams: np.full((n, n_streams), 20.0),
}


@pytest.mark.parametrize("kind", CLEAN)
def test_a_month_of_a_clean_stream_holds_at_most_about_one_drift(kind: str) -> None:
    found = found_in(CLEAN[kind](N_MONTH, N_CLEAN), DAY)
    assert found.sum() <= N_CLEAN


TAUGHT: dict[str, tuple[int, int, Maker]] = {
    "white noise": (3200, 0, white),
    "autoregressive": (3200, 0, lambda n, n_streams: autoregressive(n, n_streams, 0.5)),
    "daily cycle": (3 * DAY, DAY, daily),
}


@pytest.mark.parametrize("kind", TAUGHT)
def test_a_ramp_is_found_before_the_level_has_moved_fifteen_standard_deviations(kind: str) -> None:
    n_clean, season, make = TAUGHT[kind]
    slope = np.repeat(SLOPES, N_TRIALS)
    start = n_clean + np.arange(len(slope)) % 16  # wherever blocks begin
    n = n_clean + 16 + int(15 / SLOPES.min())
    moved = slope * np.maximum(np.arange(n)[:, None] - start, 0)
    found = found_in(make(n, len(slope)) + moved, season) & (moved > 0)
    in_time = (found & (moved < 15)).any(axis=0).reshape(-1, N_TRIALS).mean(axis=1)
    assert dict(zip(SLOPES, in_time >= 0.95, strict=True)) == dict.fromkeys(SLOPES, True)


def test_a_lasting_step_is_found_within_sixty_readings() -> None:
    value = white(3300, N_TRIALS)
    value[3200:] += 6
    found = found_in(value)
    assert not found[:3200].any()
    assert found[3200:3260].any(axis=0).mean() >= 0.95


def test_one_glitch_is_no_drift_and_hides_none() -> None:
    value = white(3600, N_TRIALS)
    value[3000] += 1e6
    value[3500:] += 6
    found = found_in(value)
    assert not found[:3500].any()
    assert found[3500:].any(axis=0).mean() >= 0.95


def test_one_step_of_a_coarse_sensor_is_no_drift() -> None:
    value = np.full((4000, 1), 20.0)
    value[2000] = 20.5
    value[3000:] = 20.5
    assert not found_in(value).any()


def test_reports_of_a_ramp_that_goes_on_lie_apart() -> None:
    value = white(5000, 20) + 0.5 * np.maximum(np.arange(5000)[:, None] - 3200, 0)
    for found in found_in(value).T:
        assert found.sum() > 1
        assert np.diff(np.flatnonzero(found)).min() >= MIN_BETWEEN


def test_what_was_before_a_new_baseline_is_not_compared_with() -> None:
    drift = empty()
    value = white(4000, 1)
    assert not found_in(value[:3200], drift=drift).any()
    drift.forget(np.array([0]))
    assert not found_in(value[3200:] + 50, drift=drift).any()


def test_readings_that_do_not_count_change_nothing() -> None:
    drift, other = empty(2), empty(2)
    value = views_of(white(1000, 2))
    for views in value:
        drift.step(np.arange(2), views, np.array([True, False]))
        other.step(np.array([0]), views[:1], np.array([True]))
    for name, array in drift.arrays().items():
        np.testing.assert_array_equal(array, getattr(other, name))


def test_neither_unit_nor_offset_of_a_sensor_matters() -> None:
    value = white(3400, 20) + 0.2 * np.maximum(np.arange(3400)[:, None] - 3200, 0)
    found = found_in(value)
    assert found.any(axis=0).all()
    np.testing.assert_array_equal(found_in(1024 * value + 4096), found)
    np.testing.assert_array_equal(found_in(1e-9 * value - 1e-6), found)


def test_other_streams_and_a_restart_from_stored_arrays_change_no_bit() -> None:
    value = views_of(white(3400, 3) + 0.2 * np.maximum(np.arange(3400)[:, None] - 3200, 0))
    together, alone = empty(3), empty(1)
    for t, views in enumerate(value):
        if t == 3203:
            rows, alone = alone.take(np.array([0])), empty(2)
            alone.put(np.array([1]), rows)
        slot = np.array([int(t >= 3203)])
        found = alone.step(slot, views[1:2], np.array([True]))
        assert found == together.step(np.arange(3), views, np.ones(3, np.bool_))[1]
    for name, array in alone.take(np.array([1])).items():
        np.testing.assert_array_equal(array, together.take(np.array([1]))[name])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-1e15, 1e15, allow_subnormal=True), min_size=1, max_size=40), st.integers(0, 99))
def test_hostile_readings_neither_raise_nor_leave_anything_infinite(hostile: list[float], seed: int) -> None:
    value = white(2400, 1, seed)
    value[2200 : 2200 + len(hostile), 0] = hostile
    value[:80:2, 0] *= 1e15
    drift = empty()
    found_in(value, 500, drift)
    assert np.isfinite(drift.largest).all()
    assert not np.isinf(drift.level).any()


def test_the_detector_asked_is_that_of_river(monkeypatch: pytest.MonkeyPatch) -> None:
    value = white(3400, 50)
    value[3200:] += 6
    found = found_in(value)
    assert found.any()
    monkeypatch.setattr("river._river_rust.drift.AdaptiveWindowing", _Public)
    np.testing.assert_array_equal(found_in(value), found)


class _Public:
    """river's public ADWIN, answering as the one it wraps does."""

    def __init__(self, **settings: float) -> None:
        self._adwin = ADWIN(**settings)

    def update(self, x: float) -> bool:
        self._adwin.update(x)
        return self._adwin.drift_detected
