"""The bench of the live path on a real mosquitto: both consumers take all, and each message is acknowledged once."""

import time
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.core.edge_settings import MqttSettings
from pipeline.evaluate.bench_live import bench_live
from pipeline.runtime.clocks import SystemClock
from pipeline.sources.inbox import Inbox
from pipeline.sources.mqtt import MqttSource

pytestmark = pytest.mark.broker
LIMIT_S = 60.0


@pytest.mark.parametrize("qos", [0, 1])
def test_nothing_is_lost_beside_a_bare_client(qos: int) -> None:
    live = bench_live(qos, n_messages=1500, n_streams=20, rounds=1)
    assert live.n_lost == 0
    assert live.per_s > 0
    assert live.bare_per_s > 0


def test_what_was_acknowledged_in_one_write_comes_no_more(mosquitto: Any) -> None:  # noqa: ANN401 - conftest's own class
    n = 3 * 1000  # three times what the broker sends ahead: it goes on only when it is acknowledged
    settings = MqttSettings(host=mosquitto.host, port=mosquitto.port, client_id="reader")
    publisher = paho.Client(CallbackAPIVersion.VERSION2)
    publisher.connect(mosquitto.host, mosquitto.port)
    publisher.loop_start()
    found: list[bytes] = []
    for is_again in (False, True):
        inbox = Inbox(10_000)
        source = MqttSource(settings, ["plant/#"], inbox, SystemClock(), 100)
        source.connection.start()
        wait_until(lambda source=source: source.is_subscribed)
        if not is_again:
            for i in range(n):
                publisher.publish("plant/a", str(i), qos=1)
        while not is_again and len(found) < n:
            messages = inbox.drain(500, 0.05, 1.0)
            source.connection.acknowledge([each.receipt for each in messages if each.receipt is not None])
            found += [each.payload for each in messages]
        if is_again:
            publisher.publish("plant/a", "last", qos=1)
            found += [each.payload for each in inbox.drain(2, 1.0, LIMIT_S)]
        # Packets are dealt with in order: a reader who comes back quicker than that gets the last ones again.
        source.connection.client.unsubscribe("plant/none")
        wait_until(lambda source=source: source.is_tidy)
        source.connection.stop()
    publisher.disconnect()
    publisher.loop_stop()
    publisher._reset_sockets()  # noqa: SLF001 - paho keeps its wake-up pair open until it is collected
    assert found == [str(i).encode() for i in range(n)] + [b"last"]


def wait_until(condition: Any) -> None:  # noqa: ANN401
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
