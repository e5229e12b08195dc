"""Errors on the network thread, and a second daemon: seen, counted and survived, or said and ended."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from fault_box import LIMIT_S, Box, wait_until
from fault_load import Load, Plan

from pipeline.core.edge_settings import MqttSettings
from pipeline.sources.mqtt import Connection

#: Each of these fails once, where it hurts: half a connection, half a subscription, a message.
FAILING = """
from pipeline.sources.inbox import Inbox
from pipeline.sources.mqtt import Connection, MqttSource
def failing(owner, name, left):
    plain = getattr(owner, name)
    def call(self, *arguments):
        if left:
            raise ZeroDivisionError(left.pop())
        return plain(self, *arguments)
    setattr(owner, name, call)
for name in ("_on_connect", "_on_pre_connect"):
    failing(Connection, name, [name])
for name in ("_subscribe", "_on_subscribe"):
    failing(MqttSource, name, [name])
failing(Inbox, "put", ["put"])
"""


@pytest.mark.broker
def test_errors_in_callbacks_are_counted_and_survived(
    mosquitto: Any,  # noqa: ANN401 - conftest's class
    box_at: Callable[..., Box],
) -> None:
    box = box_at(mosquitto.port, patch=FAILING)
    box.start()
    wait_until(lambda: box.status().get("mqtt", {}).get("subscribed"), "it has subscribed at last")
    load = Load(mosquitto.port, Plan(10, 1000.0), n=200)
    load.start()
    wait_until(lambda: box.metric('readings_total{outcome="accepted"}') == 199, "all but the one that failed")
    assert box.metric("mqtt_failures_total") == 5
    load.finish()
    assert box.terminate() == 0
    assert len(box.events("message lost")) == 1
    assert len(box.events("callback failed")) == 4


@pytest.mark.parametrize(
    "packet",
    [
        "20 05 00 00 02 ff ff",  # CONNACK with a property that there is none
        "20 03 00 00 00 30 02 00 09",  # CONNACK, and a PUBLISH that ends inside its topic
        "20 03 00 00 00 f0 00",  # CONNACK, and an AUTH that nobody asked for
        "20 03 00 00 00 30 ff ff ff ff ff ff",  # CONNACK, and a length that is none
        "20 03 00 00 00 90 03 00 01 7f",  # CONNACK, and a SUBACK with a length that is none
    ],
)
def test_packets_that_are_none_cost_the_connection_alone(packet: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = Connection(MqttSettings(port=server.getsockname()[1]), "faulty", keep_session=False)
        greeted = threading.Event()
        thread = threading.Thread(target=serve, args=(server, bytes.fromhex(packet), greeted))
        thread.start()
        connection.start()
        try:
            assert greeted.wait(LIMIT_S), "it connects again"
            wait_until(lambda: connection.is_connected, "it is up")
        finally:
            connection.stop()
            thread.join(LIMIT_S)


def serve(server: socket.socket, packet: bytes, greeted: threading.Event) -> None:
    """Play a broker: answer the first connection with a packet, and the second as it should be."""
    first, _ = server.accept()
    with first, suppress(OSError):
        first.recv(4096)
        first.sendall(packet)
        first.settimeout(5.0)
        while first.recv(4096):
            pass
    second, _ = server.accept()
    with second, suppress(OSError):
        second.recv(4096)
        second.sendall(bytes.fromhex("20 03 00 00 00"))
        greeted.set()
        second.settimeout(LIMIT_S)
        while second.recv(4096):
            pass


@pytest.mark.broker
def test_of_two_daemons_with_one_client_id_the_first_ends_and_says_why(
    mosquitto: Any,  # noqa: ANN401 - conftest's class
    box_at: Callable[..., Box],
    report: Callable[..., None],
    within: Callable[[float, float], bool],
) -> None:
    first, second = box_at(mosquitto.port), box_at(mosquitto.port)
    first.start()
    wait_until(lambda: first.status().get("mqtt", {}).get("subscribed"), "the first has subscribed")
    second.start()
    wait_until(lambda: second.connects() == 1, "the second is accepted")
    ended_s = wait_until(lambda: first.process.poll() is not None, "the first ends")
    assert first.wait() == 1
    assert "another client connected as 'foretell-faults' and took over" in first.log.read_text()
    # Until the second's name is at the broker the first may come back once: then it reads the name, and ends.
    assert second.connects() <= 2, "they do not fight"
    report(ended_s=round(ended_s, 1), take_overs=second.connects())
    assert within(ended_s, 5.0)

    third = box_at(mosquitto.port)
    third.config.write_text(second.config.read_text())  # and so the second's folder
    third.start()
    assert third.wait() == 2
    assert f"another daemon uses {second.state}" in third.log.read_text()
    assert second.get("/livez")[0] == 200
    assert second.terminate() == 0
