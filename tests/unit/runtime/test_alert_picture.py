"""The picture in the terminal: readings where they belong, the band, the marks; total over odd evidence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.evidence import Evidence
from pipeline.core.records import F64
from pipeline.runtime.alert_picture import HEIGHT, MAX_WIDTH, picture

AT = 1772359200.0
TIME = AT + 60.0 * np.arange(64.0)


def drawn(evidence: Evidence, *, onset_s: float = AT, opened_s: float = AT, width: int = 80) -> list[str]:
    return [line.plain for line in picture(evidence, onset_s=onset_s, opened_s=opened_s, width=width)]


def flat(value: F64) -> Evidence:
    return Evidence(TIME, value, np.zeros(64), np.full(64, -1.0), np.full(64, 1.0))


def cells(lines: list[str]) -> list[str]:
    return [line.partition("│")[2] for line in lines[:HEIGHT]]


def is_dots(cell: str) -> bool:
    return 0x2800 < ord(cell) <= 0x28FF


def test_a_step_up_goes_from_the_lower_left_to_the_upper_right() -> None:
    rows = cells(drawn(flat(np.where(np.arange(64) < 32, 0.0, 10.0))))
    half = len(rows[0]) // 2
    assert any(map(is_dots, rows[0][half + 1 :]))
    assert not any(map(is_dots, rows[0][: half - 1]))
    low = "".join(row[half + 1 :] for row in rows[HEIGHT // 2 + 1 :])
    assert not any(map(is_dots, low))


def test_the_band_is_where_readings_were_foretold() -> None:
    rows = cells(drawn(flat(np.where(np.arange(64) < 32, 0.0, 10.0))))
    assert "░" in rows[-1] or "░" in rows[-2]
    assert "░" not in rows[0]


def test_beginning_and_noticing_are_marked_under_their_readings() -> None:
    lines = drawn(flat(np.zeros(64)), onset_s=TIME[16], opened_s=TIME[48])
    began = next(line for line in lines if "began 2026-03-01 10:16" in line)
    noticed = next(line for line in lines if "noticed 2026-03-01 10:48" in line)
    left = lines[0].index("│") + 1
    n = len(lines[0]) - left
    assert abs(began.index("▲") - left - 16 / 63 * n) <= 1
    assert abs(noticed.index("▲") - left - 48 / 63 * n) <= 1


def test_a_change_noticed_at_once_has_one_mark() -> None:
    lines = drawn(flat(np.zeros(64)), onset_s=TIME[30], opened_s=TIME[30])
    assert sum("▲" in line for line in lines) == 1
    assert any("began and noticed 2026-03-01 10:30" in line for line in lines)


def test_marks_outside_of_the_readings_are_left_out() -> None:
    text = "\n".join(drawn(flat(np.zeros(64)), onset_s=float("nan"), opened_s=AT - 1))
    assert "▲" not in text


def test_no_line_is_drawn_over_a_gap() -> None:
    time = np.where(np.arange(64) < 32, TIME, TIME + 3600)
    found = cells(drawn(Evidence(time, np.zeros(64), np.zeros(64), -np.ones(64), np.ones(64))))
    half = len(found[0]) // 2
    assert {row[half] for row in found} == {" "}


def test_readings_outside_of_the_band_stand_out() -> None:
    value = np.zeros(64)
    value[40] = 9.0
    lines = picture(flat(value), onset_s=AT, opened_s=AT, width=80)
    assert any(span.style == "bold red" for line in lines[:3] for span in line.spans)
    assert not any(span.style == "bold red" for span in lines[HEIGHT - 1].spans)


@pytest.mark.parametrize("width", [1, 40, 80, 1000])
def test_lines_fit_the_width(width: int) -> None:
    lines = drawn(flat(np.arange(64.0)), width=width)
    assert max(len(line) for line in lines[: HEIGHT + 2]) <= max(width, 40)
    assert max(len(line) for line in lines[: HEIGHT + 1]) <= MAX_WIDTH


numbers = st.floats(-1e18, 1e18) | st.just(float("nan"))


@given(st.integers(1, 12), st.data())
def test_no_evidence_makes_it_fail(n: int, data: st.DataObject) -> None:
    time = np.sort(np.array(data.draw(st.lists(st.floats(0, 4e9), min_size=n, max_size=n, unique=True))))
    value = np.array(data.draw(st.lists(st.floats(-1e18, 1e18), min_size=n, max_size=n)))
    ends = [np.array(data.draw(st.lists(numbers, min_size=n, max_size=n))) for _ in range(3)]
    lines = drawn(Evidence(time, value, *ends), onset_s=time[0], opened_s=time[-1])
    assert len(lines) >= HEIGHT
