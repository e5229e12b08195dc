"""``foretell run`` as a process of its own, on a real mosquitto that goes away in between."""

import contextlib
import json
import math
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from prometheus_client.parser import text_string_to_metric_families

from pipeline.core.alert_records import Alert, StreamState
from pipeline.core.edge_settings import MqttSettings
from pipeline.core.records import EpisodeEvent, Event
from pipeline.sinks.outgoing import Announcer
from pipeline.sinks.publisher import Publisher
from pipeline.sources.mqtt import Connection

pytestmark = pytest.mark.broker

LIMIT_S = 60.0
CADENCE_S = 60.0
N_READINGS = 1200
#: Readings before the fault: well beyond the warm-up.
N_CLEAN = 1000
MAIN = "from pipeline.cli.main import main; main()"


class Broker(Protocol):
    """What these tests use of the ``mosquitto`` fixture."""

    host: str
    port: int

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Plant:
    """A publisher with QoS 1, and an ear on the alert topics."""

    def __init__(self, broker: Broker) -> None:
        self.alerts: list[dict[str, Any]] = []
        self.states: dict[str, dict[str, Any]] = {}
        self.incidents: dict[str, dict[str, Any]] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="plant", clean_session=False)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect_async(broker.host, broker.port)
        self._client.loop_start()
        wait_until(self._client.is_connected, "the plant is connected")

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish and wait until the broker has it."""
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(LIMIT_S)

    def is_connected(self) -> bool:
        return self._client.is_connected()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()  # noqa: SLF001 - paho leaves its wake-up pair to the collector, which warns

    def _on_connect(
        self, client: paho.Client, _data: object, _flags: paho.ConnectFlags, _code: ReasonCode, _more: Properties | None
    ) -> None:
        client.subscribe("foretell/#", qos=1)

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        _, _, kind, name = message.topic.split("/", 3)
        if kind == "alert":
            self.alerts.append(json.loads(message.payload))
        elif kind == "state":
            self.states[name] = json.loads(message.payload)
        elif kind == "incident":
            self.incidents[name] = json.loads(message.payload)


class Foretell:
    """The daemon as a user starts it."""

    def __init__(self, folder: Path, repository: Path, broker: Broker) -> None:
        self.metrics_port = free_port()
        config = folder / "edge.yaml"
        config.write_text(
            f"mqtt:\n  host: {broker.host}\n  port: {broker.port}\n  client_id: foretell-test\n"
            '  topics: [{topic: "plant/{device}/{sensor}", stream: "{device}/{sensor}"}]\n'
            f"metrics: {{port: {self.metrics_port}}}\n"
        )
        self.log = folder / "foretell.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", MAIN, "run", "-c", str(config)],
                cwd=repository,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=log,
            )

    def metric(self, name: str, **labels: str) -> float:
        """Return one sample of /metrics; NaN when it is not there, or nobody serves yet."""
        return self.samples(name).get(tuple(sorted(labels.items())), math.nan)

    def samples(self, name: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the samples of a metric by their labels; none when nobody serves yet."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as answer:  # our own port
                text = answer.read().decode()
        except urllib.error.URLError:
            assert self._process.poll() is None, self.log.read_text()
            return {}
        samples = (each for family in text_string_to_metric_families(text) for each in family.samples)
        return {tuple(sorted(each.labels.items())): each.value for each in samples if each.name == f"foretell_{name}"}

    def events(self) -> list[dict[str, Any]]:
        """Return the log; every line must be one JSON object."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def has_loaded(self, library: str) -> bool:
        """Say whether it has mapped a library into its memory."""
        return library in Path(f"/proc/{self._process.pid}/maps").read_text()

    def terminate(self) -> int:
        """Send SIGTERM; returns the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Return the exit code once it ended."""
        return self._process.wait(LIMIT_S)

    def kill(self) -> None:
        """End it whatever it does."""
        self._process.kill()
        self._process.wait()


@pytest.fixture
def plant(mosquitto: Broker) -> Iterator[Plant]:
    publisher = Plant(mosquitto)
    yield publisher
    publisher.close()


@pytest.fixture
def foretell(tmp_path: Path, repository: Path, mosquitto: Broker, plant: Plant) -> Iterator[Foretell]:
    """A running daemon that has subscribed."""
    assert plant.is_connected()
    daemon = Foretell(tmp_path, repository, mosquitto)
    try:
        wait_until(lambda: daemon.metric("mqtt_connected") == 1, "the daemon is connected")
        yield daemon
    finally:
        daemon.kill()


def free_port() -> int:
    """Return a free port from below the range that the kernel hands out."""
    while True:
        port = 10_000 + secrets.randbelow(10_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Poll a condition; fails with its name after a deadline far beyond what it needs."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)


def recording() -> list[bytes]:
    """A daily cycle with noise and event times of the last day, and a step near its end."""
    noise = random.Random(1)  # noqa: S311 - a seeded signal, not a secret
    start_s = math.floor(time.time()) - N_READINGS * CADENCE_S
    payloads = []
    for i in range(N_READINGS):
        value = 20 + 2 * math.sin(2 * math.pi * i / 288) + noise.gauss(0, 0.1) + (8 if i >= N_CLEAN else 0)
        payloads.append(json.dumps({"time": start_s + i * CADENCE_S, "value": round(value, 4)}).encode())
    return payloads


def test_a_fault_is_found_over_a_broker_restart_and_no_reading_is_lost(
    mosquitto: Broker, plant: Plant, foretell: Foretell
) -> None:
    payloads = recording()
    for payload in payloads[: N_READINGS // 2]:
        plant.send("plant/pump-1/temperature", payload)
    wait_until(lambda: foretell.metric("readings_total", outcome="accepted") == N_READINGS // 2, "half is scored")

    mosquitto.stop()
    wait_until(lambda: foretell.metric("mqtt_connected") == 0, "the daemon noticed the loss")
    mosquitto.start()
    wait_until(lambda: foretell.metric("mqtt_connected") == 1, "the daemon is back")
    wait_until(plant.is_connected, "the plant is back")

    for payload in payloads[N_READINGS // 2 :]:
        plant.send("plant/pump-1/temperature", payload)
    wait_until(lambda: foretell.metric("readings_total", outcome="accepted") == N_READINGS, "all is scored")
    wait_until(lambda: sum(foretell.samples("episodes_total").values()) >= 1, "an episode opened")
    wait_until(lambda: any(alert["event"] == "open" for alert in plant.alerts), "the alert arrived")
    fault_s = json.loads(payloads[N_CLEAN])["time"]
    assert any(
        alert["stream"] == "pump-1/temperature" and abs(unix(alert["opened_at"]) - fault_s) <= 32 * CADENCE_S
        for alert in plant.alerts
    ), plant.alerts
    wait_until(lambda: "pump-1/temperature" in plant.states, "the state arrived")
    wait_until(lambda: "pump-1" in plant.incidents, "the incident arrived")
    assert plant.incidents["pump-1"]["n_sensors"] == 1
    assert foretell.metric("messages_total", outcome="accepted") == N_READINGS
    assert foretell.metric("inbox_dropped_total") == 0
    assert foretell.metric("mqtt_connects_total") >= 2
    assert foretell.has_loaded("_lstm") != foretell.has_loaded("libtorch"), "one of them computes the networks"

    assert foretell.terminate() == 0
    events = foretell.events()
    assert [each["event"] for each in (events[0], events[-1])] == ["started", "stopped"]
    logged = [each["alert"] for each in events if each["event"] == "alert"]
    assert all(len(alert["evidence"]["value"]) > 1 for alert in plant.alerts)
    wait_until(lambda: len(plant.alerts) == len(logged), "every alert of the log arrived")
    # The log is spared the readings.
    assert [{k: v for k, v in alert.items() if k != "evidence"} for alert in plant.alerts] == logged


POISON = {
    "not_finite": b"NaN",
    "malformed": b"{'value': 1}",
    "not_text": b"\x00\xff\xfe",
    "nested": b"[" * 30_000,
    "bad_key": b'{"\\ud800": 1}',
    "no_number": b"true",
    "duplicate_key": b'{"value": 1, "value": 2}',
}


def test_poison_is_counted_by_reason_and_the_next_message_is_scored(plant: Plant, foretell: Foretell) -> None:
    for payload in POISON.values():
        plant.send("plant/pump-1/temperature", payload)
    plant.send("plant/pump \u202e'; --/temperature", b"1")
    plant.send("plant/pump-1/temperature", b"x" * 1_000_000)  # the broker withholds it: larger than our packet limit
    plant.send("plant/pump-1/temperature", b"20.5")

    wait_until(lambda: foretell.metric("reading_value", stream="pump-1/temperature") == 20.5, "the reading is scored")
    for reason in [*POISON, "bad_topic"]:
        assert foretell.metric("messages_total", outcome=reason) == 1, reason
    assert foretell.metric("batch_failures_total") == 0
    assert foretell.metric("mqtt_failures_total") == 0
    assert foretell.terminate() == 0
    assert all("traceback" not in each for each in foretell.events())


def test_what_the_broker_retained_is_known_but_not_scored(
    tmp_path: Path, repository: Path, mosquitto: Broker, plant: Plant
) -> None:
    plant.send("plant/pump-1/level", b"7", retain=True)
    daemon = Foretell(tmp_path, repository, mosquitto)
    try:
        wait_until(lambda: daemon.metric("readings_total", outcome="retained") == 1, "the retained one is counted")
        assert daemon.metric("readings_total", outcome="accepted") == 0
        assert daemon.terminate() == 0
    finally:
        daemon.kill()


def test_alerts_raised_while_the_broker_is_away_are_sent_when_it_is_back(mosquitto: Broker, plant: Plant) -> None:
    settings = MqttSettings(host=mosquitto.host, port=mosquitto.port)
    connection = Connection(settings, "outlet", keep_session=False)
    publisher, announcer = Publisher(connection.client), Announcer("foretell", "home")
    connection.start()
    wait_until(lambda: connection.is_connected, "the publisher is connected")
    mosquitto.stop()
    wait_until(lambda: not connection.is_connected, "the publisher noticed the loss")
    opened = EpisodeEvent(Event.OPEN, "pump/t", "0" * 16, 1e9, 1e9, 6.0, 1e9, 3.0, 1.0, 0.0, 2.0, 4.5, "next_reading")
    for event in (opened, replace(opened, event=Event.CLOSE, reason="quiet")):
        publisher.send(announcer.alert(Alert(event)))
        publisher.send(announcer.state(StreamState("pump/t", event.event.name.lower())))
    assert publisher.acknowledged() == []
    mosquitto.start()
    acknowledged: list[str] = []

    def is_sent() -> bool:
        acknowledged.extend(publisher.acknowledged())
        return len(acknowledged) == 4

    wait_until(is_sent, "all four are acknowledged")
    connection.stop()
    wait_until(lambda: len(plant.alerts) == 2, "both alerts arrived")
    assert [each["event"] for each in plant.alerts] == ["open", "close"]
    wait_until(lambda: plant.states.get("pump/t", {}).get("state") == "close", "the state followed")


def test_a_topic_that_would_read_our_own_alerts_is_wrong_configuration(tmp_path: Path, repository: Path) -> None:
    config = tmp_path / "edge.yaml"
    config.write_text('mqtt: {topics: [{topic: "{rest}", stream: "{rest}"}]}')
    command = [sys.executable, "-c", MAIN, "run", "-c", str(config)]
    ended = subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert ended.returncode == 2
    assert ended.stderr.startswith("foretell: mqtt.topics[0]: # matches our own alerts")
    assert ended.stderr.count("\n") == 1


def unix(iso: str) -> float:
    """Return Unix seconds of an alert's time."""
    return datetime.fromisoformat(iso).timestamp()
