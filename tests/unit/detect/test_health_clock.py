"""Clock skew and counter resets: what is told, what is a habit, and when it is over."""

import numpy as np
import pytest

from pipeline.core.records import F64, Bool
from pipeline.detect.health_clock import N_INTERVALS, Clock, duration
from pipeline.detect.health_counter import Resets

ONE = np.array([0])
NO, YES = np.array([False]), np.array([True])


def jump(interval_s: float, step_s: float, before: F64 | None = None) -> tuple[Clock, bool]:
    """Return a clock after an interval, and whether it was called wrong."""
    clock = Clock.empty(1)
    before = np.full(N_INTERVALS, step_s) if before is None else before
    change = clock.hours(ONE, np.array([1e6]), np.array([interval_s]), np.array([step_s]), before[None])
    return clock, bool(len(change.raised))


@pytest.mark.parametrize(("hours", "words"), [(1, "1 h"), (2, "2 h"), (13, "13 h")])
def test_a_step_ahead_by_whole_hours_is_a_clock_that_was_moved(hours: int, words: str) -> None:
    clock, is_wrong = jump(60.0 + 3600 * hours, 60.0)
    assert is_wrong
    assert clock.why(0) == f"its clock jumped ahead by {words}, to the second: another time zone or summer time?"


@pytest.mark.parametrize(
    ("interval_s", "step_s"),
    [(60 + 3500.0, 60.0), (60 + 15 * 3600.0, 60.0), (1200.0, 60.0), (7200.0, 3600.0), (900 + 3600.0, 900.0)],
)
def test_other_silences_are_silences(interval_s: float, step_s: float) -> None:
    assert not jump(interval_s, step_s)[1]


def test_where_intervals_differ_an_hour_tells_nothing() -> None:
    uneven = np.random.default_rng(1).uniform(30, 90, N_INTERVALS)
    assert not jump(3660.0, 60.0, uneven)[1]
    assert not jump(3660.0, 60.0, np.full(N_INTERVALS, np.nan))[1]


def test_late_readings_count_while_each_is_later_than_the_one_before() -> None:
    clock = Clock.empty(1)
    for time in (100.0, 160.0, 220.0):
        clock.refuse(ONE, np.array([time]), YES, np.array([4000.0]))
    assert clock.n_late[0] == 3
    assert clock.first_late_s[0] == 100.0
    clock.refuse(ONE, np.array([150.0]), YES, np.array([4000.0]))
    assert clock.n_late[0] == 1
    clock.step(slice(0, 1), ONE, NO)
    assert clock.n_late[0] == 0


def test_readings_from_the_future_in_a_row_are_a_clock_that_is_ahead() -> None:
    clock = Clock.empty(1)
    found = [clock.refuse(ONE, np.array([3600.0 + 60 * k]), NO, np.array([60.0 * k])).tolist() for k in range(10)]
    assert found == [[]] * 7 + [[0]] + [[]] * 2
    assert clock.why(0) == "10 readings in a row from the future: its clock is 1 h ahead"


def test_a_clock_is_right_again_after_64_readings_on_time() -> None:
    clock = Clock.empty(1)
    cleared = [len(clock.step(slice(0, 1), ONE, YES)) for _ in range(64)]
    assert cleared == [0] * 63 + [1]


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.5, "0.5 s"), (60.0, "1 min"), (5400.0, "1.5 h"), (400 * 86_400.0, "400 days")]
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def resets_at(numbers: list[int], n: int, step_s: float = 60.0) -> list[tuple[int, str]]:
    """Return when the verdict on a counter that resets at certain readings was raised and cleared."""
    resets, is_held, found = Resets.empty(1), NO, list[tuple[int, str]]()
    for k in range(n):
        is_reset: Bool = np.array([k in numbers])
        change = resets.step(ONE, np.array([step_s * k]), np.array([k]), is_reset, is_held, np.array([step_s]))
        if len(change.raised):
            found.append((k, resets.why(0, 812.0, 0.0)))
        if len(change.cleared):
            found.append((k, resets.end(0)))
        is_held = YES if len(change.raised) else NO if len(change.cleared) else is_held
    return found


def test_a_reset_is_told_and_over_after_64_readings() -> None:
    assert resets_at([500], 1000) == [
        (500, "the counter fell from 812 to 0"),
        (564, "has counted on for 64 readings"),
    ]


def test_the_energy_of_today_resets_by_habit() -> None:
    assert len(resets_at(list(range(1440, 20 * 1440, 1440)), 20 * 1440)) == 2


def test_resets_at_any_time_are_a_habit_after_three() -> None:
    found = resets_at([500, 1750, 2100, 3333, 4000, 4800], 6000)
    assert [k for k, _ in found[::2]] == [500, 1750, 2100]
    assert found[4][1].endswith("if it does so again that is its habit")
