"""Recordings and the simulated plant to a real mosquitto: what arrives is what was sent, at the pace asked for."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.core.errors import ForetellError
from pipeline.core.settings import Settings
from pipeline.runtime.record import Recorder
from pipeline.sources.inbox import Message, Origin
from pipeline.sources.message_files import new_message_file, read_messages
from pipeline.sources.messages import MessageHeader
from pipeline.sources.recording_table import Problems

pytestmark = pytest.mark.broker

LIMIT_S = 60.0
MESSAGES = [
    Message("plant/a", b"20.5", retained=False, arrival_s=100.0),
    Message("plant/b/ü", b"\x00\xff", retained=False, arrival_s=100.4, origin=Origin(properties=(("time", "5"),))),
    Message(
        "plant/c", b"", retained=False, arrival_s=101.0, origin=Origin(properties=(("content-type", "text/plain"),))
    ),
]
runner = CliRunner()


@contextmanager
def recording(mosquitto: Any, path: Path) -> Iterator[Recorder]:  # noqa: ANN401 - the fixture's class is conftest's own
    """Record everything while the block runs."""
    edge = {"mqtt": {"host": mosquitto.host, "port": mosquitto.port, "topics": [{"topic": "{rest}"}]}}
    recorder = Recorder(Settings.model_validate(edge | {"alerts": {"publish": False}}), path)
    thread = threading.Thread(target=recorder.run)
    thread.start()
    try:
        wait_until(lambda: recorder.is_subscribed)
        yield recorder
    finally:
        recorder.stop()
        thread.join()


def came(path: Path) -> list[Message]:
    return list(read_messages(path, Problems(str(path))))


def test_messages_arrive_as_they_were_recorded_and_at_their_pace(mosquitto: Any, tmp_path: Path) -> None:  # noqa: ANN401
    source, copy = tmp_path / "source.jsonl", tmp_path / "copy.jsonl"
    file = new_message_file(source, MessageHeader(), "--output")
    for message in MESSAGES:
        file.write(message)
    file.close()
    url = f"{mosquitto.host}:{mosquitto.port}"
    with recording(mosquitto, copy) as recorder:
        for speed in ("1", "max"):
            done = runner.invoke(app, ["replay", str(source), "--to-broker", url, "--speed", speed])
            assert done.exit_code == 0, (done.output, done.exception)
            assert "published 3 messages" in done.output
        wait_until(lambda: recorder.n_messages == 6)
    got = came(copy)
    assert [(m.topic, m.payload, m.origin.properties) for m in got] == 2 * [
        (m.topic, m.payload, m.origin.properties) for m in MESSAGES
    ]
    assert got[2].arrival_s - got[0].arrival_s > 0.9  # as it came
    assert got[5].arrival_s - got[3].arrival_s < 0.9  # as fast as it goes


def test_rows_of_a_table_arrive_as_flat_json(mosquitto: Any, tmp_path: Path) -> None:  # noqa: ANN401
    table, copy = tmp_path / "pump.csv", tmp_path / "copy.jsonl"
    table.write_text("timestamp,bar,rpm\n1772359200,1.5,900\n1772359260,1.6,901\n")
    with recording(mosquitto, copy) as recorder:
        done = runner.invoke(app, ["replay", str(table), "--to-broker", f"{mosquitto.host}:{mosquitto.port}"])
        assert done.exit_code == 0, (done.output, done.exception)
        wait_until(lambda: recorder.n_messages == 4)
    assert [(m.topic, json.loads(m.payload)["value"]) for m in came(copy)] == [
        ("sensors/pump/bar", 1.5),
        ("sensors/pump/rpm", 900),
        ("sensors/pump/bar", 1.6),
        ("sensors/pump/rpm", 901),
    ]


def test_the_simulated_plant_publishes_what_it_writes_to_a_file(mosquitto: Any, tmp_path: Path) -> None:  # noqa: ANN401
    source, copy = tmp_path / "plant.jsonl", tmp_path / "copy.jsonl"
    common = ["--days", "1", "--start", "2026-01-05", "--fault", "surge@12h"]
    assert runner.invoke(app, ["simulate", "-o", str(source), *common]).exit_code == 0
    want = came(source)
    with recording(mosquitto, copy) as recorder:
        url = f"{mosquitto.host}:{mosquitto.port}"
        done = runner.invoke(app, ["simulate", "--to-broker", url, "--speed", "max", *common])
        assert done.exit_code == 0, (done.output, done.exception)
        wait_until(lambda: recorder.n_messages == len(want))
    assert [(m.topic, m.payload) for m in came(copy)] == [(m.topic, m.payload) for m in want]


def test_a_broker_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("pipeline.runtime.paced._CONNECT_S", 0.2)
    table = tmp_path / "pump.csv"
    table.write_text("timestamp,bar\n1772359200,1.5\n")
    done = runner.invoke(app, ["replay", str(table), "--to-broker", "127.0.0.1:1"])
    assert isinstance(done.exception, ForetellError)
    assert "no connection to the broker at 127.0.0.1:1" in str(done.exception)


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
