"""Operators are heard on the command topic of a real mosquitto; what is hostile there is counted and harms nothing."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.core.records import EpisodeEvent, Event, Readings, Steps, episode_id
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.daemon import Daemon
from pipeline.runtime.session import Session
from pipeline.store.store import Store

pytestmark = pytest.mark.broker

LIMIT_S = 60.0
OPENS = 666.0
COMMAND = "foretell/home/command"


class Broker(Protocol):
    """What these tests use of the ``mosquitto`` fixture."""

    host: str
    port: int


class EventfulSession(Session):
    """A real session, in which one value opens an episode."""

    def process(self, readings: Readings, now: float) -> Steps:
        steps = super().process(readings, now)
        for row in np.flatnonzero(readings.value == OPENS).tolist():
            stream, at_s = readings.names[readings.stream[row]], float(readings.time[row])
            numbers = (5.5, at_s, 3.0, 1.0, 0.0, 2.0, 5.0, "next_reading")
            steps.events.append(EpisodeEvent(Event.OPEN, stream, episode_id(stream, at_s), at_s, at_s, *numbers))
        return steps


class Operator:
    """Somebody with an MQTT client, who hears the states."""

    def __init__(self, broker: Broker) -> None:
        self.states: dict[str, dict[str, Any]] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="operator")
        self._client.on_message = self._on_message
        self._client.connect(broker.host, broker.port)
        self._client.subscribe("foretell/home/state/#", qos=1)
        self._client.loop_start()

    def send(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(LIMIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()  # noqa: SLF001 - paho leaves its wake-up pair to the collector, which warns

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.states[message.topic.removeprefix("foretell/home/state/")] = json.loads(message.payload)


@pytest.fixture
def operator(mosquitto: Broker) -> Iterator[Operator]:
    one = Operator(mosquitto)
    yield one
    one.close()


@contextmanager
def running(settings: Settings, folder: Path) -> Iterator[Daemon]:
    """Run a daemon on a thread until it has subscribed, and for the length of the block."""
    store = Store(folder, settings.store)
    daemon = Daemon(settings, session=EventfulSession(settings), store=store, metrics_port=0)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        wait_until(lambda: daemon._source.is_subscribed, "it has subscribed")  # noqa: SLF001
        yield daemon
    finally:
        daemon.stop()
        thread.join(LIMIT_S)
        store.close()


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


def words(daemon: Daemon) -> dict[str, int]:
    """Return how many words met which outcome."""
    return {outcome: n for outcome, n in daemon._desk.n_words.items() if n}  # noqa: SLF001


HOSTILE = (
    (b"\xff\x00", "malformed"),
    (b"[" * 3000, "malformed"),
    (b'{"word": "ack", "id": "61b0f2c4", "exec": "rm -rf /"}', "malformed"),
    (b'{"word": "reboot", "id": "61b0f2c4"}', "unknown_word"),
    (b'{"word": "ack", "id": "../../state"}', "bad_id"),
    (b'{"word": "ack", "id": "ffffffff"}', "no_such_alert"),
    (b'{"word": "ack", "id": "ffffffff", "by": "\\u001b[2J"}', "bad_text"),
    (b" " * 60_000, "too_large"),
)


def test_words_on_the_command_topic_are_heard_and_hostile_ones_counted(
    mosquitto: Broker, operator: Operator, tmp_path: Path
) -> None:
    settings = parse_settings(
        f"mqtt: {{port: {mosquitto.port}, client_id: commanded}}\nalerts: {{commands: true}}\n"
        "training: {in_child: false}\nstreams: {max_streams: 8}\n",
        "test",
    )
    operator.send(COMMAND, b'{"word": "silence", "match": "*", "until": "1h"}', retain=True)
    with running(settings, tmp_path / "state") as daemon:
        wait_until(lambda: words(daemon) == {"retained": 1}, "the retained command is refused")
        operator.send(COMMAND, b"", retain=True)
        wait_until(lambda: words(daemon).get("malformed") == 1, "its removal is no command either")
        operator.send("sensors/pump", json.dumps({"time": time.time(), "value": OPENS}).encode())
        wait_until(lambda: operator.states.get("pump", {}).get("is_alert"), "the alert is in the state")
        episode = operator.states["pump"]["episode"]
        operator.send(COMMAND, json.dumps({"word": "ack", "id": episode, "by": "ann"}).encode())
        wait_until(lambda: operator.states["pump"]["acknowledged_by"] == "ann", "the acknowledgement shows")
        for payload, _ in HOSTILE:
            operator.send(COMMAND, payload)
        operator.send(COMMAND, json.dumps({"word": "false", "id": episode}).encode())
        wait_until(lambda: operator.states["pump"]["judged"] == "false", "the judgement shows after all of these")
        assert operator.states["pump"]["is_alert"] is False
        expected = {"accepted": 2, "retained": 1, "malformed": 1}
        for _, reason in HOSTILE:
            expected[reason] = expected.get(reason, 0) + 1
        assert words(daemon) == expected
    with running(settings, tmp_path / "state") as daemon:
        (alert,) = daemon._desk.listing["alerts"]  # noqa: SLF001
        assert (alert["acknowledged_by"], alert["judged"]) == ("ann", "false")


def test_the_command_topic_is_not_read_unless_it_is_asked_for(
    mosquitto: Broker, operator: Operator, tmp_path: Path
) -> None:
    settings = parse_settings(
        f"mqtt: {{port: {mosquitto.port}, client_id: deaf}}\ntraining: {{in_child: false}}", "test"
    )
    with running(settings, tmp_path / "state") as daemon:
        operator.send(COMMAND, b'{"word": "silence", "match": "*", "until": "1h"}')
        operator.send("sensors/pump", b"20.5")
        wait_until(lambda: "pump" in daemon.latest.names, "the reading is scored")
        assert words(daemon) == {}
