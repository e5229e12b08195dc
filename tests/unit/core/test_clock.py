"""A manual clock moves forward only."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.clock import ManualClock

TIMES = st.lists(st.floats(-1e10, 1e10), min_size=1)


@given(TIMES)
def test_a_manual_clock_shows_the_latest_time_it_was_given(times: list[float]) -> None:
    clock = ManualClock(times[0])
    seen = []
    for time in times:
        clock.advance_to(time)
        seen.append(clock.now())
    assert seen == sorted(seen)
    assert clock.now() == max(times)
