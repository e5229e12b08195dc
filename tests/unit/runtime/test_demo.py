import asyncio
import json
from collections.abc import Sequence
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from pipeline.core.records import EpisodeEvent, Event, Health, HealthEvent, episode_id
from pipeline.core.settings import DetectionSettings, Settings
from pipeline.decode.topics import Route
from pipeline.runtime.demo import demo_settings
from pipeline.runtime.demo_report import (
    DemoOutcome,
    delay_readings,
    expectation,
    fault_line,
    finding_line,
    summary_json,
    summary_lines,
)
from pipeline.runtime.demo_table import fleet_table, worst_first
from pipeline.runtime.demo_verdict import Expected, Fate, Finding, judge
from pipeline.runtime.plant import Allowance
from pipeline.runtime.session import FleetView
from pipeline.sources.simulator import STEP_S, Plant, simulate

START_S = 1772323200  # a midnight, UTC
#: Strikes "a" from 100 to 200, may be found until 240, moves "b" as well.
FAULT = Expected("a", 100.0, 240.0, (("a", 350.0), ("b", 300.0)))


def opened(stream: str, at_s: float) -> EpisodeEvent:
    return EpisodeEvent(
        event=Event.OPEN,
        stream=stream,
        episode=episode_id(stream, at_s),
        opened_s=at_s,
        at_s=at_s,
        peak_score=5.0,
        peak_s=at_s,
        value=2.0,
        forecast=1.0,
        lower=0.5,
        upper=1.5,
        level=4.5,
        view="the next reading",
    )


def verdict(stream: str, at_s: float) -> HealthEvent:
    return HealthEvent(stream, Health.STUCK, raised=True, at_s=at_s, since_s=at_s - 10, text="has not moved")


@pytest.fixture(scope="module")
def plant() -> Plant:
    return simulate(1, 3600, START_S)


@pytest.mark.parametrize(
    ("alerts", "fate", "n_false"),
    [
        ([], Fate.MISSED, 0),
        ([("a", 99)], Fate.MISSED, 1),
        ([("a", 100)], Fate.FOUND, 0),
        ([("a", 240)], Fate.FOUND, 0),
        ([("a", 241)], Fate.MISSED, 0),
        ([("a", 350)], Fate.MISSED, 0),
        ([("a", 351)], Fate.MISSED, 1),
        ([("b", 150)], Fate.MISSED, 0),
        ([("b", 99)], Fate.MISSED, 1),
        ([("b", 301)], Fate.MISSED, 1),
        ([("c", 150)], Fate.MISSED, 1),
        ([("a", 120), ("a", 200), ("a", 300)], Fate.FOUND, 0),
        ([("c", 50), ("a", 110), ("a", 400)], Fate.FOUND, 2),
    ],
)
def test_an_alert_in_time_finds_a_fault_and_one_elsewhere_is_false(
    alerts: list[tuple[str, float]], fate: Fate, n_false: int
) -> None:
    verdict = judge([FAULT], [opened(*alert) for alert in alerts], reached_s=1000.0)
    assert verdict.fates == (fate,)
    assert len(verdict.false_alerts) == n_false


def test_the_first_alert_in_time_is_the_finder() -> None:
    verdict = judge([FAULT], [opened("a", 90), opened("a", 130), opened("a", 140)], reached_s=1000.0)
    assert verdict.finders == (opened("a", 130),)


def test_a_verdict_on_the_sensor_finds_a_fault_and_false_ones_are_counted_apart_from_alerts() -> None:
    found = judge([FAULT], [verdict("a", 90), verdict("a", 130), opened("a", 140)], reached_s=1000.0)
    assert found.finders == (verdict("a", 130),)
    assert (found.false_alerts, found.false_verdicts) == ((), (verdict("a", 90),))


def test_a_fault_whose_time_is_not_over_is_undecided() -> None:
    assert judge([FAULT], [], reached_s=239.0).fates == (Fate.UNDECIDED,)
    assert judge([FAULT], [], reached_s=240.0).fates == (Fate.MISSED,)


def test_an_alert_on_a_stream_that_another_fault_moves_is_judged_by_each_fault() -> None:
    other = Expected("b", 290.0, 400.0, (("b", 500.0),))
    verdict = judge([FAULT, other], [opened("b", 295.0)], reached_s=1000.0)
    assert verdict.fates == (Fate.MISSED, Fate.FOUND)
    assert verdict.false_alerts == ()


def test_expectations_count_the_readings_of_each_stream(plant: Plant) -> None:
    slow = next(fault for fault in plant.faults if fault.stream.startswith("weather/"))
    expected = expectation(plant, slow)
    assert expected.start_s == plant.time_s(slow.start)
    assert expected.found_until_s == plant.time_s(slow.end - 1)  # while it lasts
    spike = next(fault for fault in plant.faults if fault.kind == "spike")
    assert expectation(plant, spike).found_until_s == plant.time_s(spike.start + 7)  # its first eight readings
    assert dict(expected.excused)[slow.stream] == pytest.approx(plant.time_s(slow.end + 300), abs=2 * STEP_S)


def test_a_delay_of_one_reading_means_the_first_altered_one(plant: Plant) -> None:
    spike = next(fault for fault in plant.faults if fault.kind == "spike")
    assert delay_readings(plant, spike, opened(spike.stream, plant.time_s(spike.start))) == 1
    assert delay_readings(plant, spike, opened(spike.stream, plant.time_s(spike.start + 4))) == 5


def test_lines_say_when_what_and_how_late(plant: Plant) -> None:
    step = next(fault for fault in plant.faults if fault.kind == "step")
    assert f"{step.stream}  step: {step.story}" in fault_line(plant, step)
    in_time = finding_line(plant, opened(step.stream, plant.time_s(step.start + 12)))
    assert "step found after 13 readings (1 h 00 min): 2, forecast 1, score 5.0, the next reading" in in_time
    assert "consequence" in finding_line(plant, opened(step.stream, plant.time_s(step.end)))
    assert "false alert" in finding_line(plant, opened("weather/wind_m_s", plant.time_s(700)))
    cycle = next(fault for fault in plant.faults if fault.kind == "lost_cycle")
    assert "consequence" in finding_line(plant, opened(cycle.affected[0], plant.time_s(cycle.start)))


def outcome(plant: Plant, alerts: Sequence[Finding], reached: int) -> DemoOutcome:
    return DemoOutcome(plant, 1, tuple(alerts), reached, plant.n_readings, 50.0)


def test_a_summary_counts_found_missed_and_false(plant: Plant) -> None:
    found, late, *missed = plant.faults
    alerts = [
        opened("weather/wind_m_s", plant.time_s(700)),
        opened(found.stream, plant.time_s(found.start + 2)),
        opened(late.stream, plant.time_s(late.end + 60)),
    ]
    summary = summary_json(outcome(plant, alerts, plant.n - 1))
    assert (summary["n_planted"], summary["n_found"], summary["n_missed"]) == (len(plant.faults), 1, len(missed) + 1)
    assert (summary["n_false"], summary["n_undecided"], summary["is_complete"]) == (1, 0, True)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    lines = summary_lines(outcome(plant, alerts, plant.n - 1))
    n_promised = len(plant.values) * plant.n * STEP_S / DetectionSettings().seconds_per_false_alarm
    told = f"Summary: {len(plant.faults)} planted, 1 found, {len(missed) + 1} missed, 1 false"
    assert lines[0] == f"{told} (the budget allows {n_promised:.0f})"
    assert summary["n_false_promised"] == round(n_promised, 1)
    assert sum(line.startswith("  missed ") for line in lines) == len(missed) + 1
    assert sum("noticed only when it was over" in line for line in lines) == 1


def test_a_summary_tells_verdicts_in_the_words_of_the_verdict(plant: Plant) -> None:
    stuck = next(fault for fault in plant.faults if fault.kind == "stuck")
    findings = [verdict("weather/wind_m_s", plant.time_s(700)), verdict(stuck.stream, plant.time_s(stuck.start + 11))]
    lines = summary_lines(outcome(plant, findings, plant.n - 1))
    assert lines[0].endswith(", 1 false verdict on sensors")
    (found,) = [line for line in lines if line.startswith("  found")]
    assert found.endswith("after 12 readings (55 min), sensor stuck")
    assert "sensor day" in finding_line(plant, findings[1])
    assert "false verdict" in finding_line(plant, findings[0])
    summary = summary_json(outcome(plant, findings, plant.n - 1))
    assert (summary["n_found"], summary["n_false"], summary["n_false_verdicts"]) == (1, 0, 1)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_a_summary_so_far_leaves_out_what_had_not_struck(plant: Plant) -> None:
    first = plant.faults[0]
    lines = summary_lines(outcome(plant, [], first.start))
    assert lines[0] == "Summary: 1 planted, 0 found, 0 missed, 0 false (the budget allows 4), 1 undecided when it ended"
    assert "ended early" in lines[1]
    assert summary_lines(outcome(plant, [], -1))[0].startswith("Summary: 0 planted")


def test_a_run_too_short_for_faults_says_so() -> None:
    short = simulate(1, 100, START_S)
    assert any("too short" in line for line in summary_lines(outcome(short, [], 99)))


def fleet(n: int) -> FleetView:
    score = np.arange(n, dtype=float)
    score[:2] = np.nan
    is_open = np.zeros(n, np.bool_)
    is_open[3] = True
    column = np.full(n, 1.25)
    return FleetView(
        names=tuple(f"device/sensor-{i}" for i in range(n)),
        n_readings=np.arange(n),
        time=column,
        value=column,
        forecast=np.where(np.isnan(score), np.nan, column),
        lower=column,
        upper=column,
        score=score,
        level=np.full(n, 4.5),
        is_open=is_open,
        skill_ratio=np.full((n, 1), np.nan),
        shown=np.zeros(n, np.int8),
        health=np.zeros(n, np.uint16),
    )


def test_open_episodes_come_first_then_scores_then_warm_ups() -> None:
    assert worst_first(fleet(6)).tolist() == [3, 5, 4, 2, 0, 1]


def test_a_broken_sensor_comes_after_open_episodes_and_is_called_by_its_verdict() -> None:
    view = fleet(6)
    view.health[4] = Health.TOO_QUIET | Health.GAP
    assert worst_first(view).tolist() == [3, 4, 5, 2, 0, 1]
    shown = StringIO()
    Console(width=140, file=shown).print(fleet_table(view, "now", n_rows=6))
    (row,) = [line for line in shown.getvalue().splitlines() if "sensor-4" in line]
    assert "too quiet" in row


@pytest.mark.parametrize("n", [4, 40])
def test_the_table_fits_its_rows_and_hides_missing_numbers(n: int) -> None:
    shown = StringIO()
    Console(width=140, file=shown).print(fleet_table(fleet(n), "now", n_rows=5))
    text = shown.getvalue()
    assert text.count("device/") == min(n, 5)
    assert "nan" not in text


def test_the_demo_runs_the_defaults_on_the_plants_broker() -> None:
    settings = demo_settings(1234)
    default = Settings()
    assert (settings.detection, settings.forecast) == (default.detection, default.forecast)
    assert (settings.streams, settings.training) == (default.streams, default.training)
    topics = settings.mqtt.topics[0]
    assert Route.parse(topics.topic, topics.stream).stream("plant/pump-1", "speed_rpm") == "pump-1/speed_rpm"


@pytest.mark.parametrize(("said", "step"), [(b"", 0), (b"12\n40\n", 40), (b"12\nnonsense\n99\n", 12)])
def test_the_plant_stops_when_its_parent_falls_silent_or_talks_nonsense(said: bytes, step: int) -> None:
    async def follow() -> Allowance:
        lines = asyncio.StreamReader()
        lines.feed_data(said)
        lines.feed_eof()
        allowance = Allowance()
        await allowance.follow(lines)
        return allowance

    allowance = asyncio.run(follow())
    assert allowance.ended.is_set()
    assert allowance.step == step
