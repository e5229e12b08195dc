"""Numbers in two bytes: the nearest or the next larger one, whatever the number."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.short_floats import SHORT_MINUS_INF, SHORT_NAN, lengthened, shortened, shortened_up

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
