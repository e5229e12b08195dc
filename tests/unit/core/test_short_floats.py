"""Numbers in two bytes: the nearest or the next larger one, whatever the number."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.short_floats import (
    SHORT_MINUS_INF,
    SHORT_NAN,
    coarsened,
    lengthened,
    refined,
    shortened,
    shortened_up,
)

NUMBERS = st.lists(st.floats(width=32, allow_nan=False), min_size=1)
MOST = np.array([0x7F7F], np.uint16)  # the largest number that is finite


@given(NUMBERS)
def test_no_other_number_of_two_bytes_is_nearer(numbers: list[float]) -> None:
    values = np.array(numbers, np.float32).clip(-lengthened(MOST), lengthened(MOST))
    short = shortened(values)
    found = lengthened(short).astype(np.float64)
    assert (np.abs(found - values) <= np.maximum(np.abs(values) / 256, 1e-40)).all()
    for step in (-1, 1):
        other = lengthened((short.astype(np.int64) + step).clip(0, 0xFF7F).astype(np.uint16)).astype(np.float64)
        assert (np.abs(np.nan_to_num(other, nan=np.inf) - values) >= np.abs(found - values)).all()


@given(NUMBERS)
def test_the_next_larger_one_is_no_smaller_and_the_one_before_it_is(numbers: list[float]) -> None:
    values = np.array(numbers, np.float32)
    found = lengthened(shortened_up(values))
    assert (found >= values).all()
    is_large = np.isfinite(found) & (np.abs(values) > 1e-30)
    assert (found[is_large] - values[is_large] < np.abs(values[is_large]) / 127).all()


@given(NUMBERS)
def test_both_leave_what_they_made_as_it_is(numbers: list[float]) -> None:
    for short in (shortened, shortened_up):
        once = short(np.array(numbers, np.float32))
        assert short(lengthened(once)).tolist() == once.tolist()


def test_what_is_missing_and_minus_infinity_have_their_names() -> None:
    assert shortened(np.array([np.nan, -np.inf], np.float32)).tolist() == [SHORT_NAN, SHORT_MINUS_INF]
    assert shortened_up(np.array([-np.inf], np.float32)).tolist() == [SHORT_MINUS_INF]
    assert np.isnan(lengthened(np.array([SHORT_NAN], np.uint16))).all()


@given(st.integers(1, 254), st.floats(0, 1))
def test_a_size_in_one_byte_is_the_nearest_of_four_to_an_octave(code: int, share: float) -> None:
    low, high = refined(np.array([code, code + 1], np.uint8)).astype(np.float64)
    assert 1.14 < high / low < 1.26
    value = np.array([low + share * (high - low)], np.float32)
    found = float(refined(coarsened(value))[0])
    assert found in {low, high}
    assert abs(found - float(value[0])) <= 0.5000001 * (high - low)


def test_every_byte_stands_for_a_size_of_its_own_and_what_lies_beyond_for_the_last() -> None:
    every = np.arange(256, dtype=np.uint8)
    sizes = refined(every)
    assert sizes[0] == 0
    assert (np.diff(sizes) > 0).all()
    assert coarsened(sizes).tolist() == every.tolist()
    assert coarsened(np.array([1e-30, 1e30, np.inf], np.float32)).tolist() == [0, 255, 255]
