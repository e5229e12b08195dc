"""Counters: told by never falling, read as increments, given back when they fall after all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F64
from pipeline.streams.counters import Counters, to_increments, to_readings
from pipeline.streams.windows import Windows

ALL = slice(0, 1)
ONE = np.array([0])
N_EVIDENCE = 256


def first_shown(values: F64) -> int | None:
    """Return after how many readings a stream is first taken for a counter."""
    counters = Counters.empty(1)
    for n, value in enumerate(values):
        if counters.learn(ALL, np.array([value]), np.array([n]))[0]:
            return n + 1
    return None


def counter_at(last: float) -> Counters:
    counters = Counters.empty(1)
    counters.is_counter[0] = True
    counters.last[0] = last
    return counters


def window_of(values: F64, width: int) -> Windows:
    windows = Windows.empty(1, window=width, outlook=1, context=0)
    for time, value in enumerate(values):
        windows.push(ALL, ONE, np.array([float(time)]), np.array([value]))
    return windows


def test_a_stream_that_only_rises_is_a_counter_after_256_readings() -> None:
    assert first_shown(np.arange(600.0)) == N_EVIDENCE


def test_a_stream_that_starts_to_rise_late_is_found_at_the_next_power_of_two() -> None:
    late = np.maximum(0.0, np.arange(600.0) - 250)
    assert first_shown(late) == 2 * N_EVIDENCE


def test_a_constant_a_rarely_stepping_and_a_once_falling_stream_are_no_counters() -> None:
    rising = np.arange(1100.0)
    once = rising.copy()
    once[100:] -= 0.5
    once[100] = once[99] - 0.1
    assert first_shown(np.full(1100, 3.0)) is None
    assert first_shown(np.floor(rising / 10)) is None
    assert first_shown(once) is None


def test_the_share_of_rises_that_makes_a_counter_is_a_quarter() -> None:
    assert first_shown(np.floor(np.arange(600.0) / 3)) == N_EVIDENCE
    assert first_shown(np.floor(np.arange(600.0) / 5)) is None


def test_a_counter_is_read_as_its_increment() -> None:
    base, worked = counter_at(1000.0).split(ALL, np.array([1002.5]), np.ones(1))
    assert (base[0], worked[0]) == (1000.0, 2.5)


def test_a_gauge_is_read_as_it_is() -> None:
    counters = counter_at(1000.0)
    counters.is_counter[0] = False
    base, worked = counters.split(ALL, np.array([2.5]), np.full(1, 0.1))
    assert (base[0], worked[0]) == (0.0, 2.5)


def test_an_increment_over_a_gap_counts_as_that_of_one_interval() -> None:
    base, worked = counter_at(1000.0).split(ALL, np.array([1040.0]), np.full(1, 1 / 20))
    assert (base[0], worked[0]) == (1038.0, 2.0)


@pytest.mark.parametrize(
    ("value", "is_mistaken"), [(1001.0, False), (1000.0, False), (3.0, False), (600.0, True), (-1.0, True)]
)
def test_a_fall_to_less_than_half_is_a_reset_and_any_other_shows_a_gauge(value: float, is_mistaken: bool) -> None:  # noqa: FBT001 - a case of the table
    found = counter_at(1000.0).mistaken(ALL, ONE, np.array([value]))
    assert found.tolist() == [0] * is_mistaken


def test_after_a_reset_the_counter_counted_from_zero() -> None:
    base, worked = counter_at(1000.0).split(ALL, np.array([3.0]), np.ones(1))
    assert (base[0], worked[0]) == (0.0, 3.0)


def test_a_counter_is_shown_once() -> None:
    counters = counter_at(1000.0)
    counters.n_rises[0] = 511
    assert not counters.learn(ALL, np.array([1001.0]), np.array([511]))[0]


@given(st.lists(st.integers(0, 9), min_size=2, max_size=20), st.integers(2, 8))
def test_windows_become_increments_and_are_given_back_exactly(rises: list[int], width: int) -> None:
    readings = np.cumsum(rises).astype(float)
    windows = window_of(readings, width)
    n_held = min(width, len(readings))
    held = readings[-n_held:]
    to_increments(windows, ONE)
    increments = windows.last(ONE, n_held).value[0]
    assert increments[1:].tolist() == np.diff(held).tolist()
    assert increments[0] == increments[1]
    to_readings(windows, ONE, readings[-1:])
    assert windows.last(ONE, n_held).value[0].tolist() == held.tolist()


def test_only_the_named_windows_change() -> None:
    windows = Windows.empty(2, window=4, outlook=1, context=0)
    for i in range(5):
        windows.push(slice(0, 2), np.array([0, 1]), np.full(2, float(i)), np.array([i * 10.0, i * 7.0]))
    to_increments(windows, ONE)
    assert windows.last(np.array([0, 1]), 3).value.tolist() == [[10.0, 10.0, 10.0], [14.0, 21.0, 28.0]]
