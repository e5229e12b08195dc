"""Times and numbers as files write them."""

import numpy as np
import pytest

from pipeline.sources.recording_cells import holds_numbers, seconds, time_format

T0 = 1_400_030_040.25


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("2014-05-14T01:14:00.250Z", T0),
        ("2014-05-14 01:14:00.250000", T0),
        ("2014-05-14T03:14:00.25+02:00", T0),
        ("2014-05-13 21:14:00.250-0400", T0),
        (" 2014-05-14T01:14:00.25 ", T0),
        ("2014-05-14T01:14:00.250000999Z", T0),
        ("20140514T011400.25", T0),
        ("2014-05-14", 1_400_025_600.0),
        ("1400030040.25", T0),
        ("1400030040250", T0),
        ("1400030040250000", T0),
        ("1400030040250000000", T0),
        ("0", 0.0),
    ],
)
def test_a_time_is_recognised_however_it_is_written(cell: str, expected: float) -> None:
    per_second = time_format([cell])
    assert per_second is not None
    assert seconds([cell], per_second).tolist() == pytest.approx([expected], abs=1e-6, rel=0)


@pytest.mark.parametrize("cell", ["now", "today", "NaT", "14.05.2014", "2014-13-01", "01:14", "x" * 1000])
def test_other_words_are_no_times(cell: str) -> None:
    assert time_format([cell]) is None
    assert np.isnan(seconds([cell], 0.0)).all()


def test_the_unit_of_an_epoch_is_that_of_the_median() -> None:
    assert time_format(["0", "1400030040250", "1400030040251", "9" * 30]) == 1e3


def test_an_offset_time_outside_the_calendar_is_unreadable() -> None:
    assert np.isnan(
        seconds(["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "2100-01-01"], 0.0)
    ).tolist() == [
        True,
        True,
        False,
    ]


def test_half_of_a_column_decides_what_it_holds() -> None:
    assert holds_numbers(["1", "x"]) is True
    assert holds_numbers(["1", "x", "y"]) is False
