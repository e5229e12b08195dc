"""Interval widths: the promised coverage on any distribution, and sane numbers on degenerate ones."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.core.records import F64
from pipeline.forecast.intervals import LEVELS, N_LEVELS, Intervals

N_STREAMS = 8
ALL = slice(0, N_STREAMS)
FIRST = np.zeros(N_STREAMS, np.int64)


def intervals() -> Intervals:
    return Intervals.empty(N_STREAMS, widths=2 * N_LEVELS)


def learn(tracked: Intervals, size: F64, scale: F64) -> None:
    """Teach the first of two forecasters; the second has no forecasts."""
    nothing = np.full(N_STREAMS, np.nan)
    tracked.learn_coverage(ALL, np.stack((size, nothing), axis=1), np.stack((scale, nothing), axis=1))


def coverage(draw: Callable[[np.random.Generator], F64], n: int = 4000) -> F64:
    """Return the share of readings inside, per level, over all streams and the last 9/10 of the readings."""
    tracked, rng, inside = intervals(), np.random.default_rng(5), []
    for _ in range(n):
        size = np.abs(draw(rng))
        inside.append(size[:, None] <= tracked.half_widths(ALL, FIRST, np.ones(N_STREAMS)))
        learn(tracked, size, np.ones(N_STREAMS))
    share: F64 = np.mean(inside[n // 10 :], axis=(0, 1))
    return share


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.normal(size=N_STREAMS),
        lambda rng: 50 * rng.normal(size=N_STREAMS),
        lambda rng: 0.02 * rng.uniform(-1, 1, N_STREAMS),
        lambda rng: rng.standard_t(2, N_STREAMS),
        lambda rng: rng.standard_cauchy(N_STREAMS),
        lambda rng: rng.exponential(size=N_STREAMS),
        lambda rng: np.where(rng.random(N_STREAMS) < 0.2, 30.0, 1.0) * rng.normal(size=N_STREAMS),
    ],
    ids=["normal", "fifty times too wide", "narrow uniform", "t2", "cauchy", "exponential", "mixture"],
)
def test_coverage_is_what_was_promised_whatever_the_distribution(draw: Callable[[np.random.Generator], F64]) -> None:
    assert coverage(draw) == pytest.approx(LEVELS, abs=0.02)


def test_before_anything_is_learnt_the_widths_are_quantiles_of_student_t() -> None:
    widths = intervals().half_widths(ALL, FIRST, np.full(N_STREAMS, 2.0))
    assert widths[0] == pytest.approx([1.481, 4.264, 9.208], rel=1e-3)


def test_widths_grow_with_the_level_even_where_the_tracked_multipliers_cross() -> None:
    tracked = intervals()
    tracked.widening[:, 0] = 4  # the 50 % level wider than the others
    widths = tracked.half_widths(ALL, FIRST, np.ones(N_STREAMS))
    assert (np.diff(widths, axis=1) >= 0).all()


def test_a_stream_that_is_always_foretold_exactly_gets_narrow_intervals_and_no_nan() -> None:
    tracked, zeros = intervals(), np.zeros(N_STREAMS)
    for _ in range(2000):
        learn(tracked, zeros, zeros)
    assert (tracked.half_widths(ALL, FIRST, zeros) == 0).all()
    assert np.isfinite(tracked.widening).all()


def test_a_miss_at_scale_zero_widens() -> None:
    tracked = intervals()
    learn(tracked, np.ones(N_STREAMS), np.zeros(N_STREAMS))
    assert (tracked.widening[:, :N_LEVELS] > 0).all()


def test_unknown_sizes_or_scales_teach_nothing() -> None:
    tracked, ones, nothing = intervals(), np.ones(N_STREAMS), np.full(N_STREAMS, np.nan)
    learn(tracked, nothing, ones)
    learn(tracked, ones, nothing)
    assert (tracked.widening == 0).all()
    learn(tracked, ones, ones)
    assert (tracked.widening[:, N_LEVELS:] == 0).all()


def test_multipliers_are_bounded() -> None:
    tracked = intervals()
    for _ in range(200):
        learn(tracked, np.full(N_STREAMS, 1e15), np.full(N_STREAMS, 1e-15))
    widths = tracked.half_widths(ALL, FIRST, np.ones(N_STREAMS))
    assert (widths <= 4.7 * np.exp(7)).all()


def test_twice_the_units_give_twice_the_widths() -> None:
    one, two, rng = intervals(), intervals(), np.random.default_rng(3)
    for _ in range(300):
        size = np.abs(rng.normal(size=N_STREAMS))
        learn(one, size, np.ones(N_STREAMS))
        learn(two, 1024 * size, np.full(N_STREAMS, 1024.0))
    assert np.array_equal(one.widening, two.widening)
