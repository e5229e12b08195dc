"""Maintenance windows cover what they say, across midnight, weeks and changes of the clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from pipeline.core.errors import UsageError
from pipeline.core.settings import parse_settings
from pipeline.core.windows import Window

BERLIN = ZoneInfo("Europe/Berlin")


def berlin(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp()


def test_a_window_from_then_to_then() -> None:
    window = Window.parse(since="2026-03-01T10:00:00+01:00", until="2026-03-01T12:00:00+01:00")
    times = ("2026-03-01T09:59:59", "2026-03-01T10:00:00", "2026-03-01T11:59:59", "2026-03-01T12:00:00")
    assert [window.covers(berlin(each)) for each in times] == [False, True, True, False]


def test_hours_of_some_days() -> None:
    window = Window.parse(days=("sat", "sun"), hours="06:00-14:00", zone="Europe/Berlin")
    times = ("2026-03-06T08:00", "2026-03-07T05:59", "2026-03-07T06:00", "2026-03-08T13:59", "2026-03-08T14:00")
    assert [window.covers(berlin(each)) for each in times] == [False, False, True, True, False]


def test_a_night_belongs_to_the_day_on_which_it_began() -> None:
    window = Window.parse(days=("sun",), hours="22:00-06:00", zone="Europe/Berlin")
    times = ("2026-03-08T05:00", "2026-03-08T22:00", "2026-03-09T05:59", "2026-03-09T06:00", "2026-03-09T22:30")
    assert [window.covers(berlin(each)) for each in times] == [False, True, True, False, False]


def test_whole_days() -> None:
    window = Window.parse(days=("mon",), zone="Europe/Berlin")
    times = ("2026-03-08T23:59", "2026-03-09T00:00", "2026-03-09T23:59", "2026-03-10T00:00")
    assert [window.covers(berlin(each)) for each in times] == [False, True, True, False]


def test_hours_are_those_of_the_wall_clock_when_it_changes() -> None:
    window = Window.parse(hours="01:00-04:00", zone="Europe/Berlin")
    spring, autumn = berlin("2026-03-29T00:30"), berlin("2026-10-25T00:30")
    assert [window.covers(spring + hour * 3600) for hour in range(4)] == [False, True, True, False]
    assert [window.covers(autumn + hour * 3600) for hour in range(6)] == [False, True, True, True, True, False]


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("match: 'press-*'", "needs until, days or hours"),
        ("match: 'press-*', since: 2026-03-01T10:00:00Z", "needs until"),
        ("match: 'press-*', hours: '25:00-26:00'", "hours must be like"),
        ("match: 'press-*', hours: '6-14'", "hours must be like"),
        ("match: 'press-*', until: '2026-03-01T10:00:00'", "not a time with its zone"),
        ("match: 'press-*', until: tomorrow", "not a time with its zone"),
        ("match: 'press-*', until: '2026-03-01T10:00:00Z', since: '2026-03-02T10:00:00Z'", "before until"),
        ("match: 'press-*', days: [sat], timezone: Mars/Base", "not a time zone"),
        ("match: 'press-*', days: [sat], timezone: ../../etc/passwd", "not a time zone"),
        ("match: 'press-*', days: [caturday]", "days"),
        ("match: '[x', days: [sat]", "match"),
        ("days: [sat]", "match"),
    ],
)
def test_what_is_no_window_is_an_error_of_the_configuration(keys: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        parse_settings(f"alerts:\n  silences:\n  - {{{keys}}}\n", "edge.yaml")
