"""The broker settings that docker/ ships start on a real mosquitto and let in whom they say."""

import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

pytestmark = pytest.mark.broker
WAIT_S = 20.0


@pytest.fixture
def shipped_broker(broker_with: Callable[[str], Any], repository: Path, tmp_path: Path) -> Any:  # noqa: ANN401 - conftest's class
    """A broker with docker/mosquitto.conf and docker/acl; users foretell and pump-1, passwords as names."""
    passwords = tmp_path / "passwords"
    passwords.write_text("foretell:foretell\npump-1:pump-1\n")
    hasher = shutil.which("mosquitto_passwd")
    assert hasher, "mosquitto_passwd comes with mosquitto"
    subprocess.run([hasher, "-U", str(passwords)], check=True)
    settings = (repository / "docker" / "mosquitto.conf").read_text("utf-8")
    settings = re.sub("(?m)^(listener|log_dest).*", "", settings)
    settings = settings.replace("/mosquitto/config/passwords", str(passwords))
    settings = settings.replace("/mosquitto/config/acl", str(repository / "docker" / "acl"))
    return broker_with(settings.replace("/mosquitto/data", "{folder}"))


class Connection:
    """A client that waits for what it asks."""

    def __init__(self, port: int, user: str) -> None:
        self.answer: list[str] = []
        self.received: list[str] = []
        self.changed = threading.Condition()
        self.client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        if user:
            self.client.username_pw_set(user, user)
        self.client.on_connect = lambda _c, _u, _f, reason, _p: self.note(self.answer, str(reason))
        self.client.on_subscribe = lambda _c, _u, _m, reasons, _p: self.note(self.answer, str(reasons[0]))
        self.client.on_message = lambda _c, _u, message: self.note(self.received, message.topic)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def note(self, where: list[str], what: str) -> None:
        """Remember something and wake whoever waits."""
        with self.changed:
            where.append(what)
            self.changed.notify_all()

    def expect(self, where: list[str], what: str) -> None:
        """Wait until ``what`` was noted."""
        with self.changed:
            assert self.changed.wait_for(lambda: what in where, WAIT_S), where

    def publish(self, topic: str) -> str:
        """Publish with QoS 1 and return the broker's reason code."""
        reasons: list[str] = []
        self.client.on_publish = lambda _c, _u, _m, reason, _p: self.note(reasons, str(reason))
        self.client.publish(topic, b"1", qos=1)
        with self.changed:
            assert self.changed.wait_for(lambda: reasons, WAIT_S)
        return reasons[0]


@pytest.fixture
def connect(shipped_broker: Any) -> Iterator[Callable[[str], Connection]]:  # noqa: ANN401 - conftest's class
    """Open connections as a user."""
    opened: list[Connection] = []

    def connect(user: str) -> Connection:
        opened.append(Connection(shipped_broker.port, user))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.client.disconnect()
        connection.client.loop_stop()
        connection.client._reset_sockets()  # noqa: SLF001 - paho leaves its wake-up pair to the collector, which warns


def test_nobody_gets_in_without_a_password(connect: Callable[[str], Connection]) -> None:
    stranger = connect("")
    stranger.expect(stranger.answer, "Not authorized")


def test_a_device_writes_below_its_own_name_only_and_foretell_reads_it(connect: Callable[[str], Connection]) -> None:
    foretell, device = connect("foretell"), connect("pump-1")
    foretell.expect(foretell.answer, "Success")
    foretell.client.subscribe("sensors/#", qos=1)
    foretell.expect(foretell.answer, "Granted QoS 1")
    device.expect(device.answer, "Success")
    assert device.publish("sensors/pump-2/temperature") == "Not authorized"
    assert device.publish("sensors/pump-1/temperature") == "Success"
    foretell.expect(foretell.received, "sensors/pump-1/temperature")
    assert foretell.received == ["sensors/pump-1/temperature"]


def test_foretell_writes_verdicts_and_no_sensors(connect: Callable[[str], Connection]) -> None:
    foretell = connect("foretell")
    foretell.expect(foretell.answer, "Success")
    assert foretell.publish("sensors/pump-1/temperature") == "Not authorized"
    assert foretell.publish("foretell/home/alert/pump-1") in {"Success", "No matching subscribers"}
