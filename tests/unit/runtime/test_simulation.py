"""``foretell simulate``: faults by name and time, ground truth, and the same readings as a table and as messages."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.core.errors import UsageError
from pipeline.runtime.message_recording import decoded_recording
from pipeline.runtime.simulation import START_S, ground_truth, recent_start_s, simulated
from pipeline.sources.message_files import message_header
from pipeline.sources.recording import read_recording
from pipeline.sources.simulator import DAY_STEPS, STEP_S

runner = CliRunner()


def test_named_faults_strike_at_their_times_and_no_others_do() -> None:
    plant = simulated(1, 3, faults=["surge@2026-01-06T12:00", "door_ajar@1.75d"])
    assert [(fault.name, plant.time_s(fault.start) - START_S) for fault in plant.faults] == [
        ("surge", 36 * 3600),
        ("door_ajar", 42 * 3600),
    ]
    healthy = simulated(1, 3, faults=[])
    assert healthy.faults == ()
    struck = {"meter/voltage"} | {f"cold-store/{each}" for each in ("air_temperature", "compressor_kw")}
    changed = {name for name, values in plant.values.items() if not np.array_equal(values, healthy.values[name])}
    assert struck <= changed <= struck | {"cold-store/evaporator_temperature"}


@pytest.mark.parametrize(
    ("fault", "match"),
    [
        ("surge", "has no time"),
        ("surge@soon", "has no time"),
        ("flood@1d", "'flood' is no fault; faults are: bearing_dry"),
        ("surge@3d", "does not fit"),
        ("surge@2025-01-01", "does not fit"),
    ],
)
def test_a_wrong_fault_is_named(fault: str, match: str) -> None:
    with pytest.raises(UsageError, match=match):
        simulated(1, 3, faults=[fault])


def test_two_faults_do_not_alter_one_stream_at_a_time() -> None:
    with pytest.raises(UsageError, match="door_ajar begins while door_ajar alters the same stream"):
        simulated(1, 3, faults=["door_ajar@1d", "door_ajar@1.1d"])


def test_the_ground_truth_says_what_was_planted(tmp_path: Path) -> None:
    output, truth = tmp_path / "plant.csv", tmp_path / "truth.json"
    done = runner.invoke(app, ["simulate", "-o", str(output), "--days", "5", "--truth", str(truth)])
    assert done.exit_code == 0, done.output
    told = json.loads(truth.read_text())
    assert told == ground_truth(simulated(1, 5), 1)
    assert len(told["faults"]) == 14
    assert told["faults"][0].keys() >= {"name", "stream", "kind", "start", "end", "affected"}
    assert done.output.count(told["faults"][0]["start"]) == 1


def test_a_table_and_messages_hold_the_same_readings(tmp_path: Path) -> None:
    table, messages = tmp_path / "plant.csv", tmp_path / "plant.jsonl"
    for path in (table, messages):
        assert runner.invoke(app, ["simulate", "-o", str(path), "--days", "1"]).exit_code == 0
    header = message_header(messages)
    assert header is not None
    one, other = read_recording(table).readings, decoded_recording(messages, header).readings
    assert {f"plant/{name}" for name in other.names} == set(one.names)
    assert len(one) == len(other)
    for name in other.names:
        rows = one.stream == list(one.names).index(f"plant/{name}")
        same = other.stream == list(other.names).index(name)
        np.testing.assert_array_equal(one.time[rows], other.time[same])
        np.testing.assert_allclose(one.value[rows], other.value[same], atol=1e-3)


def test_a_run_for_a_broker_is_never_ahead_of_the_clock() -> None:
    start_s = recent_start_s(2)
    assert start_s % 86_400 == 0
    assert start_s + 2 * DAY_STEPS * STEP_S <= recent_start_s(0) + 86_400


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-o", "a.csv", "--to-broker", "127.0.0.1"],
        ["-o", "a.csv", "--no-faults", "--fault", "surge@1d"],
        ["-o", "a.csv", "--start", "soon"],
        ["--to-broker", "127.0.0.1", "--speed", "fast"],
        ["--to-broker", "ftp://x", "--days", "1"],
    ],
)
def test_wrong_usage_is_named(arguments: list[str]) -> None:
    done = runner.invoke(app, ["simulate", *arguments])
    assert isinstance(done.exception, UsageError)
