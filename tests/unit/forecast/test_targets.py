"""What was foretold against what came: the four targets by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.forecast.targets import ACTIVITY, LONG, NEXT, SHORT, Horizons, log_activity, realised

HORIZONS = Horizons(short=2, long=4)


def test_the_newest_readings_become_four_targets() -> None:
    # ring, oldest first: the reading before the long horizon, then its four readings
    recent = np.array([[100.0, 1.0, 3.0, 2.0, 6.0]])
    came = realised(recent, np.array([10.0]), HORIZONS)[0]
    assert came[NEXT] == 6
    assert came[SHORT] == (2 + 6) / 2
    assert came[LONG] == (1 + 3 + 2 + 6) / 4
    assert came[ACTIVITY] == pytest.approx(np.log((99 + 2 + 1 + 4) / 4 + 0.01 * 10))


def test_every_stream_has_targets_of_its_own() -> None:
    recent = np.arange(10.0).reshape(2, 5)
    both = realised(recent, np.array([1.0, 2.0]), HORIZONS)
    for stream in range(2):
        alone = realised(recent[[stream]], np.array([stream + 1.0]), HORIZONS)
        assert np.array_equal(both[[stream]], alone)


def test_the_activity_of_a_flat_line_is_finite() -> None:
    came = realised(np.full((1, 5), 21.5), np.array([0.3]), HORIZONS)
    assert came[0, ACTIVITY] == pytest.approx(np.log(0.003))


@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_log_activity_shifts_by_the_logarithm_of_a_change_of_unit(change: float, spread: float, unit: float) -> None:
    before, after = (log_activity(np.array([a * change]), np.array([a * spread]))[0] for a in (1.0, unit))
    assert after == pytest.approx(before + np.log(unit), abs=1e-9)


def test_without_a_spread_a_flat_line_has_no_activity_and_no_warning() -> None:
    assert log_activity(np.zeros(1), np.zeros(1))[0] == -np.inf


def test_each_target_says_how_many_readings_it_covers() -> None:
    assert HORIZONS.lengths == (1, 2, 4, 4)
    assert [str(n) in name for n, name in zip((2, 4, 4), HORIZONS.names()[1:], strict=True)] == [True] * 3
