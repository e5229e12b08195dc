"""A device that dies without a word: the broker speaks its last will, and its streams are silent at once."""

import socket
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
import pytest
from fault_box import Box, wait_until
from paho.mqtt.enums import CallbackAPIVersion

pytestmark = pytest.mark.broker


class Device:
    """A device with a last will, which can be torn off the network."""

    def __init__(self, port: int, name: str) -> None:
        self._topic = f"plant/{name}"
        self._at_s = time.time() - 60.0
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name)
        self._client.will_set(f"{self._topic}/availability", "offline", qos=1, retain=True)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        wait_until(self._client.is_connected, "the device is connected")
        self._client.publish(f"{self._topic}/availability", "online", qos=1, retain=True).wait_for_publish(30.0)

    def send(self, sensor: str, value: float) -> None:
        self._at_s += 0.01  # two readings within a millisecond would be one that came twice
        payload = f'{{"time": {self._at_s:.3f}, "value": {value}}}'
        self._client.publish(f"{self._topic}/{sensor}", payload, qos=1).wait_for_publish(30.0)

    def die(self) -> None:
        """Be cut off without saying goodbye."""
        self._client.reconnect_delay_set(60, 60)
        link = self._client.socket()
        assert isinstance(link, socket.socket)
        link.shutdown(socket.SHUT_RDWR)
        self.close()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()  # noqa: SLF001 - paho leaves its wake-up pair to the collector, which warns


def test_a_last_will_makes_the_streams_of_the_device_silent_and_no_others(
    mosquitto: Any,  # noqa: ANN401 - conftest's class
    box_at: Callable[..., Box],
    report: Callable[..., None],
) -> None:
    box = box_at(mosquitto.port)
    box.start()
    wait_until(lambda: box.status().get("mqtt", {}).get("subscribed"), "the daemon has subscribed")
    pump, fan = Device(mosquitto.port, "pump"), Device(mosquitto.port, "fan")
    for value in range(3):
        for device in (pump, fan):
            device.send("temperature", 20.0 + value)
            device.send("speed", 900.0 + value)
    wait_until(lambda: box.metric('readings_total{outcome="accepted"}') == 12, "all is scored")
    assert not box.metric("streams_silent")

    pump.die()
    told_s = wait_until(lambda: box.metric("streams_silent") == 2, "both of the pump's are silent")
    lines = [each for each in box.events("health") if each["health"]["verdict"] == "silent"]
    assert {each["health"]["stream"] for each in lines} == {"pump/temperature", "pump/speed"}
    assert {each["health"]["text"] for each in lines} == {"its publisher says that it is gone"}

    pump = Device(mosquitto.port, "pump")
    for _ in range(4):
        pump.send("speed", 903.0)
    wait_until(lambda: box.metric("streams_silent") == 1, "the one that is heard again is not")
    report(told_s=round(told_s, 2))
    for device in (pump, fan):
        device.close()
    assert box.terminate() == 0
