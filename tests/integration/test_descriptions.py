"""What the broker retains describes streams: a daemon that starts again hears it again."""

import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.core.edge_settings import MqttSettings
from pipeline.runtime.clocks import SystemClock
from pipeline.sources.inbox import Inbox
from pipeline.sources.mqtt import MqttSource

pytestmark = pytest.mark.broker

LIMIT_S = 30.0


def test_descriptions_are_heard_at_every_start(mosquitto: Any) -> None:  # noqa: ANN401 - the fixture's class is conftest's
    sender = paho.Client(CallbackAPIVersion.VERSION2)
    sender.connect(mosquitto.host, mosquitto.port)
    sender.loop_start()
    sender.publish("homie/a/n/level/$datatype", b"enum", qos=1, retain=True).wait_for_publish(LIMIT_S)
    sender.disconnect()
    sender.loop_stop()
    sender._reset_sockets()  # noqa: SLF001 - paho keeps its wake-up pair open until it is collected
    settings = MqttSettings(host=mosquitto.host, port=mosquitto.port)
    for _ in range(2):  # the broker keeps the session in between
        inbox = Inbox(10)
        source = MqttSource(settings, ["homie/#"], inbox, SystemClock(), 1000)
        source.connection.start()
        try:
            wait_until(lambda inbox=inbox: inbox.depth == 1)  # type: ignore[misc]  # mypy cannot infer it
            (heard,) = inbox.drain(10, 0, 0)
            assert (heard.payload, heard.retained) == (b"enum", True)
            source.connection.acknowledge([heard.receipt] if heard.receipt else [])
        finally:
            source.connection.stop()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
