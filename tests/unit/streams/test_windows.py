"""Windows: rings that behave like the last readings of a list, for every stream apart."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F64
from pipeline.streams.windows import Windows, recent_values

N_STREAMS, WIDTH = 3, 4
ONE = np.array([0])


def empty(n_streams: int = N_STREAMS, width: int = WIDTH) -> Windows:
    windows = Windows.empty(n_streams, window=width, outlook=2, context=1)
    windows.unit[:] = 0.1
    return windows


def push(windows: Windows, slot: int, time: float, value: float) -> None:
    windows.push(slice(slot, slot + 1), np.array([slot]), np.array([time]), np.array([value]))


@given(st.lists(st.tuples(st.integers(0, N_STREAMS - 1), st.floats(-9, 9)), max_size=30), st.integers(1, WIDTH))
def test_the_last_readings_are_those_of_a_list(pushes: list[tuple[int, float]], length: int) -> None:
    windows = empty()
    model: list[list[tuple[float, float]]] = [[] for _ in range(N_STREAMS)]
    for time, (slot, value) in enumerate(pushes):
        push(windows, slot, time, value)
        model[slot].append((time, value))
    slots = np.array([2, 0, 1])
    stretch = windows.last(slots, length)
    recent = recent_values(windows, slots, length)
    for row, slot in enumerate(slots):
        newest = model[slot][-length:]
        n_missing = length - len(newest)
        valid = stretch.is_valid[row]
        assert valid.tolist() == [False] * n_missing + [True] * len(newest)
        assert list(zip(stretch.time[row][valid], stretch.value[row][valid], strict=True)) == newest
        assert recent[row].tolist() == [0.0] * n_missing + [value for _, value in newest]
        assert windows.n[slot] == len(model[slot])
        assert windows.newest[slot] == (model[slot][-1][0] if model[slot] else -np.inf)


def test_a_run_of_slots_and_an_index_array_address_the_same_streams() -> None:
    by_run, by_index = empty(), empty()
    slots, time, value = np.array([1, 2]), np.array([5.0, 6.0]), np.array([50.0, 60.0])
    by_run.push(slice(1, 3), slots, time, value)
    by_index.push(slots, slots, time, value)
    for name, array in by_run.arrays().items():
        assert np.array_equal(array, by_index.arrays()[name], equal_nan=name == "since"), name
    assert by_run.n.tolist() == [0, 1, 1]


def test_only_the_newest_reading_is_marked_untaught_and_its_successor_in_the_ring_is_not() -> None:
    windows = empty(1, 3)
    for i in range(4):
        push(windows, 0, i, i)
    windows.mark_untaught(np.array([0]))
    assert windows.last(np.array([0]), 3).is_taught.tolist() == [[True, True, False]]
    for i in range(4, 7):
        push(windows, 0, i, i)
    assert windows.last(np.array([0]), 3).is_taught.all()


@given(st.integers(0, 11))
def test_rewriting_keeps_the_order_of_last(n: int) -> None:
    windows = empty(2)
    for i in range(n):
        push(windows, 1, i, i)
    fresh = np.array([[10.0, 11.0, 12.0, 13.0]])
    windows.rewrite(np.array([1]), fresh)
    assert windows.last(np.array([1]), WIDTH).value.tolist() == fresh.tolist()
    assert not windows.value[0].any()


def outlook_of(number: int) -> F64:
    """Return what is known at a reading of the next one: 100 times its number, and one more."""
    return np.array([[100.0 * number, 100.0 * number + 1]])


def noted(n: int, *, width: int = WIDTH) -> Windows:
    """Return one stream of readings 0, 1, ... with what was known at each, and context of a tenth of its number."""
    windows = empty(1, width)
    for i in range(n):
        push(windows, 0, i, i)
        windows.note(np.array([0]), outlook_of(i), np.array([[i / 10]], np.float32))
    return windows


@pytest.mark.parametrize("n", [1, 3, 4, 9])
def test_what_was_known_at_a_reading_stays_beside_it(n: int) -> None:
    windows = noted(n)
    stretch, (outlook, context) = windows.last(np.array([0]), WIDTH), windows.noted(np.array([0]), WIDTH)
    for row in np.flatnonzero(stretch.is_valid[0]):
        number = stretch.value[0, row]
        assert outlook[0, row] == pytest.approx(outlook_of(int(number))[0] - number, rel=0.004)
        assert context[0, row, 0] == pytest.approx(number / 10)


def test_one_season_before_the_newest_reading_is_what_was_foreseen_for_it() -> None:
    windows = noted(6)
    push(windows, 0, 6, 6)  # not noted yet, as when it has just come
    assert windows.season_before(np.array([0])) == pytest.approx([500.0], abs=0.004 * 495.0)


def test_nothing_is_known_of_the_season_before_a_first_reading() -> None:
    windows = empty(2)
    push(windows, 0, 0, 5.0)
    assert np.isnan(windows.season_before(np.array([0, 1]))).all()


def test_what_was_known_of_other_values_is_forgotten_when_a_window_is_rewritten() -> None:
    windows = noted(6)
    windows.rewrite(np.array([0]), np.zeros((1, WIDTH)))
    outlook, context = windows.noted(np.array([0]), WIDTH)
    assert np.isnan(outlook).all()
    assert np.isfinite(context).all()


def at_times(times: F64, *, width: int) -> Windows:
    windows = empty(1, width)
    for time in times:
        push(windows, 0, float(time), 1.0)
    return windows


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=40), st.floats(-1e9, 2e9), st.integers(1, 16))
def test_event_times_are_known_to_a_fraction_of_the_time_since(steps: list[float], begin: float, width: int) -> None:
    times: F64 = begin + np.cumsum(steps)
    held: F64 = times[-width:]
    found = at_times(times, width=width).last(ONE, len(held)).time[0]
    assert (np.abs(found - held) <= 1e-7 * (times[-1] - held) + 1e-6).all()
    assert found[-1] == times[-1]


@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=40), st.integers(1, 16))
def test_readings_that_are_held_are_known_again_and_no_others(steps: list[float], width: int) -> None:
    times: F64 = 1.7e9 + np.cumsum(steps)
    windows = at_times(times, width=width)
    asked = np.unique(np.concatenate((times, (times[1:] + times[:-1]) / 2, times[:1] - 1.0)))
    is_held = np.isin(asked, times[-width:])
    apart = np.abs(asked[:, None] - times[-width:]).min(axis=1)
    sure = is_held | (apart > 2e-7 * (times[-1] - asked) + 2e-6)
    found = windows.holds(np.zeros(len(asked), np.int64), asked)
    assert (found == is_held)[sure].all()


def test_the_newest_readings_can_be_given_other_times() -> None:
    windows = at_times(np.arange(0.0, 360.0, 60.0), width=4)
    windows.retime(0, np.array([1.0, 2.0, 4.0, 8.0]))
    push(windows, 0, 16.0, 1.0)
    assert windows.last(ONE, 4).time.tolist() == [[2.0, 4.0, 8.0, 16.0]]
    assert windows.newest[0] == 16.0
