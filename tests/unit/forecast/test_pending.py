"""Forecasts under way: each comes due exactly its horizon after it was made, in the sensor's unit."""

import numpy as np
import pytest

from pipeline.core.records import F32, F64
from pipeline.forecast.features import squash
from pipeline.forecast.pending import N_SETTLING, Pending
from pipeline.forecast.targets import ACTIVITY, LONG, N_TARGETS, NEXT, SHORT, Horizons

HORIZONS = Horizons(short=8, long=32)
LEVELS = [NEXT, SHORT, LONG]
SLOTS = np.array([1, 3])


def made_pending(middle: float = 0.0, spread: float = 1e6) -> Pending:
    """Return five streams; in so wide a scale squashing is the identity to a billionth."""
    pending = Pending.empty(5, members=2, hidden=4, pending=sum(HORIZONS.lengths))
    pending.location_of_scale[:] = middle
    pending.spread_of_scale[:] = spread
    return pending


def outputs(location: F64, log_spread: float = -1.0) -> F32:
    """Return the outputs of two networks that agree, for scaled locations of shape (A, C)."""
    out = np.full((len(location), 2, 2 * N_TARGETS), log_spread, np.float32)
    out[..., 0::2] = location[:, None]
    return out


def due(pending: Pending) -> tuple[F64, F64]:
    """Return what is due, the same of both networks, shape (A, C) each."""
    location, scale = pending.due(SLOTS, SLOTS, HORIZONS)
    for column in (location, scale):
        assert np.array_equal(column[:, 0], column[:, 1], equal_nan=True)
    return location[:, 0], scale[:, 0]


def foretell(pending: Pending, out: F32) -> tuple[F64, F64]:
    """Keep forecasts as the engine does after each reading; return those of the next."""
    location, scale = pending.foretell(SLOTS, pending.n_since[SLOTS], out, HORIZONS)
    pending.n_since[SLOTS] += 1
    return location, scale


def numbered(number: int, spread: float = 1e6) -> F32:
    """Return outputs that foretell, in the sensor's unit, ``number`` of stream 1 and 1000 + number of stream 3."""
    return outputs(np.arcsinh(np.array([[number], [1000 + number]]) / spread).repeat(N_TARGETS, axis=1))


def test_a_forecast_comes_due_exactly_its_horizon_after_it_was_made() -> None:
    pending = made_pending()
    for reading in range(150):
        location, _ = due(pending)
        for target in LEVELS:
            made_at = reading - HORIZONS.lengths[target]
            expected = [made_at, 1000 + made_at] if made_at >= 0 else [np.nan, np.nan]
            assert location[:, target] == pytest.approx(expected, abs=1e-3, nan_ok=True), (reading, target)
        foretell(pending, numbered(reading))


def test_the_activity_forecast_comes_due_after_the_long_horizon() -> None:
    pending = made_pending(spread=5.0)
    for reading in range(80):
        location, _ = due(pending)
        if reading >= HORIZONS.long:
            assert location[:, ACTIVITY] == pytest.approx([(reading - HORIZONS.long) / 10 + np.log(5)] * 2, abs=1e-5)
        foretell(pending, outputs(np.full((2, N_TARGETS), reading / 10)))


def test_forecasts_made_too_soon_after_a_start_are_not_held_against_reality() -> None:
    pending = made_pending()
    for reading in range(60):
        _, scale = due(pending)
        for target, horizon in enumerate(HORIZONS.lengths):
            assert np.isfinite(scale[:, target]).all() == (reading >= horizon + N_SETTLING), (reading, target)
        foretell(pending, numbered(reading))


def test_a_gap_drops_forecasts_and_hidden_state_of_its_stream_only() -> None:
    pending = made_pending()
    for reading in range(60):
        foretell(pending, numbered(reading))
    pending.hidden[:] = 1
    pending.forget(np.array([1]))
    location, scale = due(pending)
    assert np.isnan(location[0]).all()
    assert np.isnan(scale[0]).all()
    assert location[1, LEVELS] == pytest.approx([1059, 1052, 1028], abs=1e-3)
    assert pending.hidden.any(axis=(1, 2)).tolist() == [True, False, True, True, True]
    assert pending.spread_of_scale[1] == 1e6


def test_after_a_gap_no_forecast_from_before_it_comes_due() -> None:
    pending = made_pending()
    for reading in range(37):
        foretell(pending, numbered(reading))
    pending.forget(SLOTS)
    for reading in range(100, 180):
        location, _ = due(pending)
        known = location[0, LEVELS][np.isfinite(location[0, LEVELS])]
        assert (known >= 99.9).all()
        foretell(pending, numbered(reading))


def test_a_stream_without_a_scale_has_no_forecasts() -> None:
    pending = made_pending(spread=0.0)
    assert np.isnan(foretell(pending, outputs(np.ones((2, N_TARGETS))))[0]).all()
    location, _ = due(pending)
    assert np.isnan(location[:, NEXT]).all()


def test_forecasts_are_kept_in_the_sensors_unit_over_a_change_of_scale() -> None:
    pending = made_pending(middle=20.0, spread=2.0)
    foretell(pending, outputs(squash(np.full((2, N_TARGETS), 23.0), np.array(20.0), np.array(2.0))))
    pending.location_of_scale[:] = -5
    pending.spread_of_scale[:] = 100
    location, _ = due(pending)
    assert location[:, NEXT] == pytest.approx([23, 23], abs=1e-5)


def test_the_scale_of_a_forecast_is_that_of_the_squashed_one_times_the_slope() -> None:
    pending = made_pending(middle=20.0, spread=2.0)
    for _ in range(64):
        foretell(pending, outputs(np.full((2, N_TARGETS), 1.5), log_spread=-2.0))
    _, scale = due(pending)
    slope = 2 * np.cosh(1.5)  # d(20 + 2 sinh z) / dz
    assert scale[:, LEVELS] == pytest.approx(np.full((2, 3), np.exp(-2) * slope), rel=1e-6)
    assert scale[:, ACTIVITY] == pytest.approx([np.exp(-2)] * 2, rel=1e-6)  # log units: the spread only shifts it


def test_the_next_forecast_is_told_at_once_in_the_sensors_unit() -> None:
    pending = made_pending(middle=20.0, spread=2.0)
    location, scale = foretell(pending, outputs(np.full((2, N_TARGETS), 0.5), log_spread=-2.0))
    assert location == pytest.approx([20 + 2 * np.sinh(0.5)] * 2, rel=1e-6)
    assert scale == pytest.approx([2 * np.exp(-2) * np.cosh(0.5)] * 2, rel=1e-6)
    assert due(pending)[0][:, NEXT].tolist() == location.tolist()


def test_members_that_differ_are_kept_apart_and_the_next_reading_is_foretold_by_both() -> None:
    pending = made_pending(middle=20.0, spread=2.0)
    out = outputs(np.full((2, N_TARGETS), 0.5), log_spread=-2.0)
    out[:, 1, 0::2] = 1.5
    location, scale = foretell(pending, out)
    of_members = pending.due(SLOTS, SLOTS, HORIZONS)[0][:, :, NEXT]
    assert of_members == pytest.approx(20 + 2 * np.sinh([[0.5, 1.5]] * 2), rel=1e-6)
    assert location == pytest.approx([20 + 2 * np.sinh(1.0)] * 2, rel=1e-6)
    assert (scale > 2 * np.exp(-2) * np.cosh(1.5)).all()  # they disagree


def test_a_network_gone_wild_still_foretells_finite_numbers() -> None:
    pending = made_pending(spread=1.0)
    for _ in range(64):
        foretell(pending, outputs(np.array([[1e30] * N_TARGETS, [-1e30] * N_TARGETS]), log_spread=1e30))
    location, scale = due(pending)
    assert np.isfinite(location).all()
    assert np.isfinite(scale).all()
