"""The power report: what a recording is made of, which faults are found in it, and how that is said."""

import io
import json
import math
from collections.abc import Sequence

import numpy as np
import pytest
from rich.console import Console

from pipeline.core.errors import UsageError
from pipeline.core.records import F64
from pipeline.core.settings import Settings
from pipeline.evaluate.battery_signals import clean
from pipeline.evaluate.power import SIZES, PowerRow, StreamPower, power_of
from pipeline.evaluate.power_report import as_json, power_table, summary_lines
from pipeline.evaluate.power_series import recorded_series

NAN = math.nan
#: Untrained, soon settled, and hardly ever wrong.
QUICK = Settings.model_validate(
    {
        "training": {"enabled": False},
        "detection": {"n_warmup": 200, "n_settled": 200, "false_alarms_per_stream": "1 per 300 days"},
    }
)


def noise(n: int) -> tuple[F64, F64]:
    value = 20 + 0.5 * np.random.default_rng(1).standard_normal(n)
    return 1e9 + 60.0 * np.arange(n, dtype=np.float64), value


@pytest.fixture(scope="module")
def found() -> StreamPower:
    return power_of("room", *noise(1200), QUICK, n_places=2, progress=lambda _: None)


def power(rows: Sequence[PowerRow], n_alarming: int = 0) -> StreamPower:
    return StreamPower("s", 5000, 0.5, has_cycle=True, n_places=10, n_alarming=n_alarming, rows=rows)


def row(size: float, soon: float, fault: str = "step") -> PowerRow:
    return PowerRow(fault, size, 0.5 * size, 10, soon, soon, 3.0 if soon else NAN)


@pytest.mark.parametrize("kind", ["daily", "daily_weekly"])
def test_a_daily_cycle_is_found_where_there_is_one(kind: str) -> None:
    series = clean(kind, 1, 1)[0]
    own = recorded_series(*series.readings())
    assert np.corrcoef(own.cycle, series.cycle)[0, 1] > 0.9


@pytest.mark.parametrize("kind", ["white", "ar1", "random_walk", "duty_cycle", "constant", "heavy_tailed"])
def test_no_daily_cycle_is_found_where_there_is_none(kind: str) -> None:
    assert not recorded_series(*clean(kind, 1, 1)[0].readings()).cycle.any()


@pytest.mark.parametrize("kind", ["counter", "quantised", "white", "report_on_change"])
def test_a_recorded_series_shows_what_was_recorded(kind: str) -> None:
    time, value = clean(kind, 1, 1)[0].readings()
    series = recorded_series(time, value)
    shown_time, shown = series.readings()
    assert np.array_equal(shown_time, time)
    assert np.allclose(shown, value, rtol=0, atol=1e-6)
    assert np.isnan(series.register) == (kind != "counter")
    assert (series.resolution > 0) == (kind in {"quantised", "report_on_change"})


def test_late_repeated_and_broken_readings_are_left_out() -> None:
    time = np.array([3.0, 1.0, 2.0, 2.0, np.nan, 4.0])
    value = np.array([30.0, 10.0, 20.0, 99.0, 5.0, np.inf])
    series = recorded_series(time, value)
    assert series.time.tolist() == [1.0, 2.0, 3.0]
    assert series.readings()[1].tolist() == [10.0, 20.0, 30.0]


def test_large_faults_are_found_and_small_ones_are_not(found: StreamPower) -> None:
    by_case = {(row.fault, row.size): row for row in found.rows}
    assert found.sd == pytest.approx(0.5, rel=0.4)
    assert by_case["step", 32.0].soon == 1.0
    assert by_case["spike", 32.0].soon == 1.0
    assert by_case["spike", 2.0].soon == 0.0
    assert by_case["dropout", 30.0].soon == 1.0
    assert by_case["unit", 1000.0].soon == 1.0
    assert by_case["step", 8.0].amount == pytest.approx(8 * found.sd)
    assert "lost_cycle" not in {row.fault for row in found.rows}
    assert all(row.n == found.n_places - found.n_alarming > 0 for row in found.rows)


def test_all_sizes_are_reported_from_small_to_large(found: StreamPower) -> None:
    for fault in ("spike", "step", "ramp", "noise_up", "noise_down"):
        assert [row.size for row in found.rows if row.fault == fault] == list(SIZES[fault])


def test_places_where_it_alerts_by_itself_do_not_count() -> None:
    time, value = noise(1200)
    value[690:] += 30  # in the first place's 500 readings, and just before the last one
    found = power_of("room", time, value, QUICK, n_places=2, progress=lambda _: None)
    assert found.n_places == 2
    assert found.n_alarming >= 1
    assert {row.n for row in found.rows} == {2 - found.n_alarming}


def test_a_recording_that_is_too_short_says_how_long_it_must_be() -> None:
    with pytest.raises(UsageError, match="room: 799 readings are too few; give a recording of 800 readings or more"):
        power_of("room", *noise(799), QUICK, n_places=2, progress=lambda _: None)


def test_the_smallest_size_is_one_above_which_nothing_is_missed() -> None:
    rows = [row(1, 0.0), row(2, 0.9), row(4, 0.8), row(8, 0.9), row(16, 1.0)]
    assert power(rows).smallest("step") == rows[3]
    assert power(rows[:3]).smallest("step") is None
    assert power([row(1, NAN)]).smallest("step") is None


def test_sentences_say_it_in_the_sensor_s_unit() -> None:
    lines = list(summary_lines(power([row(1, 0.0), row(4, 0.9), row(1, 0.0, "spike"), row(2, 0.5, "ramp")])))
    assert lines == [
        "s: 5,000 readings, faults planted at 10 places",
        "  a level shift of 2 or more is seen within 60 readings in 9 of 10 cases, half of them within 3",
        "  a single reading off by 0.5 is not seen within 60 readings in any of 10 cases",
        "  a drift by 1 over 200 readings is seen within 500 readings in 5 of 10 cases, half of them within 3",
    ]
    assert list(summary_lines(power([row(1, 0.0), row(4, 0.5)])))[1].startswith("  even a level shift of 2 is seen")


def test_where_it_always_alerts_nothing_is_claimed() -> None:
    lines = list(summary_lines(power([row(1, NAN)], n_alarming=10)))
    assert lines[-1] == "  nothing can be said: it alerts wherever a fault was planted"


def test_table_and_json_show_every_size(found: StreamPower) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(power_table(found))
    assert console.export_text().count("sd over 200") == len(SIZES["ramp"])
    document = json.loads(json.dumps(as_json([found]), allow_nan=False))["streams"][0]
    assert len(document["rows"]) == len(found.rows)
    assert document["smallest_found"]["step"]["amount"] > 0
