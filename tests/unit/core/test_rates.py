"""Rates as people write them: read as meant, refused when not a rate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.rates import seconds_per_event

DAY = 86_400.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1 per 30 days", 30 * DAY),
        ("2 per week", 3.5 * DAY),
        ("1 per hour", 3600.0),
        ("3 per minute", 20.0),
        ("1 per 90 seconds", 90.0),
        ("1 per month", 30 * DAY),
        ("1 per year", 365 * DAY),
        ("0.5 per day", 2 * DAY),
        ("1 per 1.5 hours", 5400.0),
        ("  1 PER 7 Days ", 7 * DAY),
    ],
)
def test_a_rate_gives_the_seconds_to_one_event(text: str, seconds: float) -> None:
    assert seconds_per_event(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "often",
        "1 per",
        "1 per blue moon",
        "per day",
        "0 per day",
        "1 per 0 days",
        "-1 per day",
        "1 per -3 days",
        "1e3 per day",
        "nan per day",
        "inf per day",
        "1 per day per stream",
        "1/day",
        "1,5 per day",
        "one per day",
        "1 per day\n1 per week",
        "9" * 400 + " per day",
    ],
)
def test_what_is_no_rate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="must be a rate such as '1 per 30 days'"):
        seconds_per_event(text)


@given(st.integers(1, 10**6), st.integers(1, 10**6), st.sampled_from(["second", "minute", "hour", "day", "week"]))
def test_twice_the_events_come_in_half_the_time(events: int, time: int, unit: str) -> None:
    one = seconds_per_event(f"{events} per {time} {unit}s")
    assert seconds_per_event(f"{2 * events} per {time} {unit}s") == pytest.approx(one / 2)
    assert seconds_per_event(f"{events} per {2 * time} {unit}") == pytest.approx(2 * one)


@given(st.text(max_size=40) | st.text("0123456789. perdayshou\n", max_size=30))
def test_any_text_is_a_positive_time_or_refused(text: str) -> None:
    try:
        seconds = seconds_per_event(text)
    except ValueError as error:
        assert "must be a rate" in str(error)  # noqa: PT017 - either outcome is right, another error is not
    else:
        assert 0 < seconds < float("inf")
