"""Adam's moments in three bytes: near enough, bounded, and their share of each other nearer still."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F32
from pipeline.core.short_floats import shortened
from pipeline.forecast.moments import MOST_SHARE, packed, unpacked
from pipeline.forecast.training import BETA_1, BETA_2


def after(gradients: F32) -> tuple[F32, F32]:
    """Return the moments of numbers that saw gradients one after the other, shape (steps, N)."""
    m = v = np.zeros(gradients.shape[1], np.float32)
    for g in gradients:
        m, v = BETA_1 * m + (1 - BETA_1) * g, BETA_2 * v + (1 - BETA_2) * g * g
    return m.astype(np.float32), v.astype(np.float32)


@given(st.integers(1, 60), st.integers(0, 99), st.sampled_from([1e-7, 1e-3, 1.0]))
def test_moments_come_back_about_as_they_were_and_their_share_nearer(n_steps: int, seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    m, v = after((size * rng.standard_t(2, (n_steps, 50)).clip(-5, 5)).astype(np.float32))
    m, v = m[v > 0], v[v > 0]
    found_m, found_v = unpacked(*packed(m, v))
    assert found_v == pytest.approx(v, rel=0.004)
    assert found_m / np.sqrt(found_v) == pytest.approx(m / np.sqrt(v), abs=0.51 * MOST_SHARE / 127)


def test_no_share_is_larger_than_the_largest_that_a_byte_holds() -> None:
    gradients = (BETA_1 / BETA_2) ** np.arange(200.0)[::-1, None]  # the worst there are
    m, v = after(gradients.astype(np.float32))
    assert 0.99 * MOST_SHARE < m[0] / np.sqrt(v[0]) <= MOST_SHARE
    assert packed(m, v)[0].tolist() == [127]


def test_what_is_kept_comes_back_as_it_was() -> None:
    sizes = shortened(np.logspace(-20, 2, 99).astype(np.float32))
    share, size = (a.ravel() for a in np.meshgrid(np.arange(-127, 128, dtype=np.int8), sizes))
    again = packed(*unpacked(share.astype(np.int8), size.astype(np.uint16)))
    assert np.array_equal(again[0], share)
    assert np.array_equal(again[1], size)


def test_moments_that_are_none_and_of_a_network_that_was_never_taught_are_no_trouble() -> None:
    m, v = np.array([0, np.nan, 1, np.inf], np.float32), np.array([0, np.nan, 0, 1], np.float32)
    share, size = packed(m, v)
    assert share.tolist() == [0, 0, 0, 0]
    m, v = unpacked(share[[0, 2]], size[[0, 2]])
    assert m.tolist() == v.tolist() == [0, 0]
