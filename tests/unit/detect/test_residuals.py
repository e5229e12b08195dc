"""Residuals: two yardsticks per target, floors in the sensor's unit, nothing where nothing was foretold."""

import numpy as np
import pytest

from pipeline.core.records import F64
from pipeline.detect.residuals import residuals

ACTIVITY = 1  # the second of two targets is in log units


def of_one(realised: list[float], location: list[float], scale: list[float], spread: float) -> F64:
    """Return the residuals of one stream with a level and a log-activity, shape (2, 2)."""
    columns = (np.array([realised]), np.array([location]), np.array([scale]))
    found: F64 = residuals(*columns, np.array([spread]), ACTIVITY)[0]
    return found


def test_a_residual_is_measured_by_the_foretold_scale_and_by_the_spread() -> None:
    # level: 3 / (0.9 + 2 % of 5) = 3, and 3 / 5; activity: 0.4 / (0.1 + 0.1) = 2, and 0.4 itself
    found = of_one([13.0, 0.9], [10.0, 0.5], [0.9, 0.1], 5.0)
    assert found == pytest.approx(np.array([[3.0, 2.0], [0.6, 0.4]]))


def test_the_sign_says_on_which_side_reality_lay() -> None:
    found = of_one([7.0, 0.1], [10.0, 0.5], [0.9, 0.1], 5.0)
    assert (found < 0).all()


def test_a_network_that_is_very_sure_does_not_make_a_trifle_surprising() -> None:
    found = of_one([10.1, 0.51], [10.0, 0.5], [0.0, 0.0], 5.0)
    assert found[0] == pytest.approx([1.0, 0.1])  # 0.1 / (2 % of 5), 0.01 / 0.1


@pytest.mark.parametrize("missing", ["location", "scale"])
def test_what_was_not_foretold_has_no_residual_on_either_yardstick(missing: str) -> None:
    given = {"location": [10.0, 0.5], "scale": [0.9, 0.1]}
    given[missing][0] = np.nan
    found = of_one([13.0, 0.9], given["location"], given["scale"], 5.0)
    assert np.isnan(found[:, 0]).all()
    assert np.isfinite(found[:, 1]).all()
