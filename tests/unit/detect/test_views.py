"""Views: what came against what was foretold and what is usual, with floors, two-sided, in whatever unit."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F64
from pipeline.detect.views import (
    FLOOR_OF_ACTIVITY,
    FLOOR_OF_SPREAD,
    N_OF_FORECASTS,
    N_RECENT,
    N_VIEWS,
    Found,
    Recent,
    Usual,
    UsualSpread,
    View,
    look,
)

NAN = float("nan")
FORETOLD = [View.NEXT_READING, View.NEXT_SHORT, View.NEXT_LONG, View.ACTIVITY]
LEVELS = slice(0, 3)  # targets in the sensor's unit; activity is the log of a share


@dataclass(frozen=True)
class Case:
    """One stream's readings, forecasts and what is usual, in the sensor's unit."""

    came: tuple[float, ...] = (13.0, 9.0, 11.0, 0.9)
    foretold: tuple[float, ...] = (10.0, 10.0, 10.0, 0.5)
    scale: tuple[float, ...] = (0.9, 0.4, 0.9, 0.1)
    mean: float = 11.0
    deviation: float = 3.0
    level: float = 8.0
    spread: float = 5.0
    usual_deviation: float = 4.0

    def look(self, *, unit: float = 1.0, offset: float = 0.0) -> Found:
        """Look at it, with two members that foretell the same, in another unit if asked."""
        factor, shift = np.array([unit] * 3 + [1.0]), np.array([offset] * 3 + [0.0])
        came, foretold = (np.array([row]) * factor + shift for row in (self.came, self.foretold))
        value, mean, level = (np.array([number * unit + offset]) for number in (self.came[0], self.mean, self.level))
        recent = Recent(value, mean, np.array([self.deviation * unit]))
        usual = Usual(level, np.array([self.spread * unit]), np.array([self.usual_deviation * unit]))
        scale = np.array([self.scale]) * factor
        return look(came, foretold[:, None].repeat(2, axis=1), scale[:, None].repeat(2, axis=1), recent, usual)


def views_of(found: Found) -> F64:
    """Return the views of each member, the same of both, shape (A, 7)."""
    assert np.array_equal(found.of_forecasts[:, 0], found.of_forecasts[:, 1], equal_nan=True)
    return np.concatenate((found.of_forecasts[:, 0], found.of_past), axis=1)


def test_every_view_is_what_it_says() -> None:
    found = Case().look()
    floor = FLOOR_OF_SPREAD * 5.0
    expected = {
        View.NEXT_READING: 3.0 / (0.9 + floor),
        View.NEXT_SHORT: -1.0 / (0.4 + floor),
        View.NEXT_LONG: 1.0 / (0.9 + floor),
        View.ACTIVITY: 0.4 / (0.1 + FLOOR_OF_ACTIVITY),
        View.RESIDUAL: 3.0 - floor,
        View.SPREAD: 3.0 - 4.0,
        View.LEVEL: 13.0 - 8.0 - floor,
    }
    assert views_of(found).shape == (1, N_VIEWS)
    assert {view: views_of(found)[0, view] for view in expected} == pytest.approx(expected)
    assert found.sizes[0] == pytest.approx([3.0, 3.0, 11.0 - 8.0])  # of the residual, and of the recent mean


def test_views_are_signed_and_sizes_are_not() -> None:
    above = Case().look()
    below = Case((7.0, 11.0, 9.0, 0.1), mean=9.0, deviation=5.0, level=12.0).look()
    assert views_of(below)[0] == pytest.approx(-views_of(above)[0])
    assert below.sizes == pytest.approx(above.sizes)


def test_a_network_that_is_very_sure_of_a_quiet_stream_does_not_make_trifles_strange() -> None:
    trifle = FLOOR_OF_SPREAD * 5.0
    case = Case((10.0 + trifle, 10.0 + trifle, 10.0, 0.51), scale=(0.0, 0.0, 0.0, 0.0), mean=10.0, level=10.0)
    found = case.look()
    assert np.abs(views_of(found)[0, FORETOLD]).max() <= 1 + 1e-9
    assert views_of(found)[0, [View.RESIDUAL, View.LEVEL]] == pytest.approx(0, abs=1e-9)
    assert found.sizes[0] == pytest.approx(trifle)


def test_a_perfect_forecast_has_no_residual_and_the_smallest_size() -> None:
    found = Case((10.0, 10.0, 10.0, 0.5), mean=8.0).look()
    assert (views_of(found)[0, [*FORETOLD, View.RESIDUAL]] == 0).all()
    assert found.sizes[0] == pytest.approx(FLOOR_OF_SPREAD * 5.0)


@pytest.mark.parametrize("target", FORETOLD)
@pytest.mark.parametrize("missing", ["foretold", "scale"])
def test_what_was_not_foretold_has_no_view_and_the_others_keep_theirs(target: View, missing: str) -> None:
    before = Case()
    foretold, scale = list(before.foretold), list(before.scale)
    {"foretold": foretold, "scale": scale}[missing][target] = NAN
    found, whole = Case(foretold=tuple(foretold), scale=tuple(scale)).look(), before.look()
    blind = {target, View.RESIDUAL} if target == View.NEXT_READING else {target}
    assert np.isnan(views_of(found)[0, list(blind)]).all()
    others = [view for view in FORETOLD if view not in blind]
    assert (views_of(found)[0, others] == views_of(whole)[0, others]).all()
    assert np.isnan(found.sizes[0, 0]) == (target == View.NEXT_READING)


NUMBERS = st.floats(-1e3, 1e3)
WIDTHS = st.floats(0.01, 100)
CASES = st.builds(
    Case,
    came=st.tuples(NUMBERS, NUMBERS, NUMBERS, st.floats(-5, 5)),
    foretold=st.tuples(NUMBERS, NUMBERS, NUMBERS, st.floats(-5, 5)),
    scale=st.tuples(WIDTHS, WIDTHS, WIDTHS, WIDTHS),
    mean=NUMBERS,
    deviation=WIDTHS,
    level=NUMBERS,
    spread=WIDTHS,
    usual_deviation=WIDTHS,
)


@given(CASES, st.floats(0.01, 100), st.floats(-1e3, 1e3))
def test_another_unit_changes_nothing_but_the_unit(case: Case, unit: float, offset: float) -> None:
    """Views by the foretold scale have no unit; the others have the sensor's, and are held against a past in it."""
    before, after = case.look(), case.look(unit=unit, offset=offset)
    assert views_of(after)[:, FORETOLD] == pytest.approx(views_of(before)[:, FORETOLD], rel=1e-6, abs=1e-4)
    in_unit = [View.RESIDUAL, View.SPREAD, View.LEVEL]
    assert views_of(after)[:, in_unit] / unit == pytest.approx(views_of(before)[:, in_unit], rel=1e-6, abs=1e-4)
    assert after.sizes / unit == pytest.approx(before.sizes, rel=1e-6, abs=1e-4)


@given(CASES, st.floats(0.01, 100), st.floats(-1e3, 1e3))
def test_measured_in_its_own_unit_a_stream_looks_alike_whatever_the_sensors_is(
    case: Case, unit: float, offset: float
) -> None:
    before = case.look().measured_in(np.array([3.0]))
    after = case.look(unit=unit, offset=offset).measured_in(np.array([3.0 * unit]))
    assert views_of(after) == pytest.approx(views_of(before), rel=1e-6, abs=1e-4)
    assert after.sizes == pytest.approx(before.sizes, rel=1e-6, abs=1e-4)


def test_without_a_unit_views_stay_in_the_sensors() -> None:
    found = Found(np.ones((1, 2, N_OF_FORECASTS)), np.ones((1, 2)), np.ones((1, 3)))
    same, halved = found.measured_in(np.zeros(1)), found.measured_in(np.full(1, 2.0))
    for name in ("of_forecasts", "of_past", "sizes"):
        assert np.array_equal(getattr(same, name), getattr(found, name)), name
    assert halved.of_forecasts[0, 1].tolist() == [1.0] * View.RESIDUAL + [0.5]
    assert np.array_equal(halved.of_past, found.of_past / 2)
    assert np.array_equal(halved.sizes, found.sizes / 2)


@given(CASES)
def test_sizes_are_positive_and_views_are_finite(case: Case) -> None:
    found = case.look()
    assert (found.sizes > 0).all()
    assert np.isfinite(views_of(found)).all()


def test_the_newest_readings_are_summed_up() -> None:
    recent = Recent.of(np.array([[1.0, 2.0, 3.0, 6.0]]), np.array([9]))
    assert (recent.value[0], recent.mean[0]) == (6.0, 3.0)
    assert recent.deviation[0] == pytest.approx(np.sqrt((4 + 1 + 0 + 9) / 4))


def test_of_a_young_stream_only_what_has_come_counts() -> None:
    rows = np.array([[99.0, 99.0, 2.0, 4.0], [99.0, 99.0, 99.0, 7.0], [1.0, 2.0, 3.0, 6.0]])
    recent = Recent.of(rows, np.array([2, 1, 4]))
    assert recent.value.tolist() == [4.0, 7.0, 6.0]
    assert recent.mean.tolist() == [3.0, 7.0, 3.0]
    assert recent.deviation.tolist() == pytest.approx([1.0, 0.0, np.sqrt(3.5)])


def test_streams_are_summed_up_alike_beside_young_ones_and_alone() -> None:
    rows = np.random.default_rng(1).normal(size=(3, N_RECENT))
    beside = Recent.of(rows, np.array([N_RECENT, 7, N_RECENT]))
    for i, n in enumerate((N_RECENT, 7, N_RECENT)):
        alone = Recent.of(rows[i : i + 1], np.array([n]))
        assert beside.mean[i] == pytest.approx(alone.mean[0], rel=1e-12)
        assert beside.deviation[i] == pytest.approx(alone.deviation[0], rel=1e-12)


def taught(deviations: F64, spread: float = 1.0) -> UsualSpread:
    """Return what is usual after the last sixty readings had these standard deviations, one after the other."""
    usual = UsualSpread.empty(1)
    for n, deviation in enumerate(deviations):
        recent = Recent(np.array([20.0]), np.array([20.0]), np.array([deviation]))
        usual.learn(slice(0, 1), recent, np.array([spread]), np.array([n]))
    return usual


def usual_after(deviations: F64) -> float:
    return float(taught(deviations).usual_spread[0])


def test_the_usual_spread_is_the_mean_of_the_spreads_seen() -> None:
    deviations = np.random.default_rng(2).uniform(0.5, 1.5, 500)
    assert usual_after(deviations) == pytest.approx(deviations.mean())


def test_the_usual_spread_follows_slowly_when_the_stream_becomes_livelier() -> None:
    found = usual_after(np.concatenate((np.full(3000, 1.0), np.full(1000, 2.0))))
    assert 1.1 < found < 1.9


def test_a_glitch_moves_the_usual_spread_no_further_than_a_strong_fault() -> None:
    """A reading of a million spreads is among the last sixty for sixty readings."""
    calm = np.full(1000, 1.0)
    glitch, fault = calm.copy(), calm.copy()
    glitch[500 : 500 + N_RECENT] = 1e6
    fault[500 : 500 + N_RECENT] = 5.0
    assert usual_after(glitch) <= usual_after(fault) < 1.5


def test_a_stream_is_still_when_it_has_been_all_alike_for_long_and_no_longer_once_it_moves() -> None:
    moving, still = np.full(300, 1.0), np.zeros(300)
    assert not taught(moving).is_still(slice(0, 1))[0]
    assert not taught(np.concatenate((moving, still[:N_RECENT]))).is_still(slice(0, 1))[0]
    assert taught(np.concatenate((moving, still))).is_still(slice(0, 1))[0]
    assert taught(np.concatenate((moving, still + 1e-14))).is_still(slice(0, 1))[0]  # the last bits of a mean
    assert not taught(np.concatenate((still, [0.5]))).is_still(slice(0, 1))[0]


@pytest.mark.parametrize("value", [0.0, 20.0, -1e9, 0.1])
def test_readings_that_are_all_the_same_are_alike(value: float) -> None:
    same, other = np.full((1, N_RECENT), value), np.full((1, N_RECENT), value)
    other[0, 3] += 1e-3 * max(abs(value), 1.0)
    assert Recent.of(same, np.array([N_RECENT])).is_alike()[0]
    assert not Recent.of(other, np.array([N_RECENT])).is_alike()[0]
