"""Key figures of the battery: rates beside the promise, shares found in time, and what is said of them."""

import io
import json
import math

import pytest
from rich.console import Console

from pipeline.evaluate.battery_faults import FAULTS
from pipeline.evaluate.battery_job import CleanStream, Outcome, Planting
from pipeline.evaluate.battery_report import Report, as_json, delay_table, found_table, kinds_table, summary_lines
from pipeline.evaluate.battery_summary import fault_rows, kind_rows, poisson_interval

NAN = math.nan
A_MONTH = 1 / 30


def stream(kind: str, n_alarms: int, verdicts: dict[str, int] | None = None) -> CleanStream:
    return CleanStream(kind, 0, 8640, 30.0, tuple(float(i) for i in range(n_alarms)), verdicts or {})


def planted(episode: float, verdict: float = NAN, *, masked: bool = False, kind: str = "white") -> Planting:
    return Planting(kind, 0, "step", 4.0, masked, 1, episode, verdict)


def outcome(*planted: Planting) -> Outcome:
    clean = (stream("constant", 0), stream("white", 1), stream("white", 3, {"noisy": 2, "drift": 9}), stream("ar1", 9))
    return Outcome(clean, planted, 50_000)


def report(*planted: Planting) -> Report:
    found = outcome(*planted)
    return Report(kind_rows(found, A_MONTH), fault_rows(found), "1 in 30 days", found.n_readings, 1, 12.0)


def test_a_rate_is_that_of_all_streams_of_a_kind_over_the_promised_one() -> None:
    constant, white, ar1 = kind_rows(outcome(), A_MONTH)
    assert (white.n_streams, white.n_alarms, white.n_alarming, white.days) == (2, 4, 2, 60.0)
    assert white.ratio == pytest.approx(2.0)
    assert (white.low, white.high) == pytest.approx((0.54, 5.12), abs=0.02)
    assert white.verdicts == {"noisy": 2}  # drift is no verdict about the sensor
    assert [row.is_kept for row in (constant, white, ar1)] == [True, True, False]


def test_silence_breaks_the_promise_of_all_but_constants_which_must_be_silent() -> None:
    rows = kind_rows(Outcome((stream("constant", 0), stream("white", 0)), (), 1), A_MONTH)
    assert [row.is_kept for row in rows] == [True, False]
    rows = kind_rows(Outcome((stream("constant", 1), stream("white", 1)), (), 1), A_MONTH)
    assert [row.is_kept for row in rows] == [False, True]


@pytest.mark.parametrize(
    ("n", "low", "high"), [(0, 0.0, 3.69), (1, 0.025, 5.57), (10, 4.80, 18.39), (200, 173.2, 229.7)]
)
def test_the_interval_is_within_a_hundredth_of_the_exact_one(n: int, low: float, high: float) -> None:
    found = poisson_interval(n)
    assert found == pytest.approx((low, high), abs=0.01 * (high - low))


def test_shares_count_what_was_found_within_60_and_500_by_either_and_leave_masked_ones_out() -> None:
    rows = fault_rows(
        outcome(
            planted(60.0), planted(61.0), planted(NAN, 500.0), planted(501.0), planted(NAN), planted(1.0, masked=True)
        )
    )
    row = rows[0]
    assert (row.n, row.n_masked) == (5, 1)
    assert (row.soon, row.later) == (0.2, 0.6)
    assert row.in_time == row.soon
    assert row.delay == 61.0
    assert (row.by_episode, row.by_verdict) == (2, 1)
    assert row.n_before == 1.0


def test_whoever_tells_first_gets_the_credit() -> None:
    row = fault_rows(outcome(planted(5.0, 3.0), planted(3.0, 5.0), planted(4.0, 4.0)))[0]
    assert (row.by_episode, row.by_verdict) == (2, 1)
    assert row.delay == 3.0


def test_what_nobody_can_see_is_not_required() -> None:
    white, walk = fault_rows(outcome(planted(1.0), planted(1.0, kind="random_walk")))
    assert white.is_required
    assert not walk.is_required
    assert "each reading is a step" in walk.hidden
    assert not fault_rows(outcome(planted(1.0, masked=True)))[0].is_required


def test_lines_name_what_is_broken_and_missed() -> None:
    lines = list(summary_lines(report(planted(1.0), planted(NAN), planted(1.0, kind="random_walk"))))
    assert lines[0].startswith("3 kinds, 4 clean streams, 120 stream-days, 50,000 readings")
    assert lines[1] == "promise kept (0.3 to 2 times): 2 of 3 kinds; not: ar1 9.00"
    assert lines[2] == "faults found as asked (90% in time): 0 of 1 cases; not: step on white 50%"
    assert any(line.startswith("in brackets: step on random_walk - each reading") for line in lines)


def test_tables_have_a_line_per_case_and_a_column_per_kind() -> None:
    found = report(planted(7.0), planted(NAN), planted(NAN, kind="ar1"))
    console = Console(width=200, record=True, file=io.StringIO())
    for table in (kinds_table(found), found_table(found), delay_table(found)):
        console.print(table)
    text = console.export_text()
    assert "4 sd *" in text
    assert [line.split() for line in text.splitlines() if line.strip().startswith("step")] == [
        ["step", "4", "sd", "*", "50", "0"],
        ["step", "4", "sd", "*", "7", "-"],
    ]


def test_json_holds_no_number_that_json_does_not_know() -> None:
    document = as_json(report(planted(NAN)))
    text = json.dumps(document, allow_nan=False)
    row = json.loads(text)["faults"][0]
    assert row["delay"] is None
    assert row["is_required"]
    assert {kind["kind"] for kind in document["kinds"]} == {"constant", "white", "ar1"}
    assert set(row) >= {"soon", "later", "by_verdict", "n_before", "hidden"}
    assert FAULTS[row["fault"]].required == row["size"]
