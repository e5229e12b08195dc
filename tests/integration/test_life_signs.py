"""``foretell run`` tells systemd, the endpoint and ``foretell status`` how it is; SIGHUP changes decisions alone."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

pytestmark = pytest.mark.broker
LIMIT_S = 60.0
MAIN = "from pipeline.cli.main import main; main()"
CONFIG = """
mqtt: {{host: 127.0.0.1, port: {port}, client_id: foretell-life}}
metrics: {{port: {metrics}}}
store: {{path: {folder}/state}}
detection: {{false_alarms_per_stream: "{budget}"}}
"""


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)


class Box:
    """A daemon under a systemd of our own."""

    def __init__(self, folder: Path, repository: Path, port: int) -> None:
        self.repository = repository
        self.port = port
        self.url = f"http://127.0.0.1:{port - 10_000}"
        self.config = folder / "edge.yaml"
        self.log = folder / "foretell.log"
        self.configure("1 per 30 days")
        self._heard: list[str] = []
        self._systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._systemd.bind(str(folder / "notify"))
        self._systemd.setblocking(False)  # noqa: FBT003 - socket's signature
        environment = os.environ | {"OMP_NUM_THREADS": "1", "NOTIFY_SOCKET": str(folder / "notify")}
        with self.log.open("wb") as log:
            command = [sys.executable, "-c", MAIN, "run", "-c", str(self.config)]
            self.process = subprocess.Popen(command, cwd=repository, env=environment, stdout=log, stderr=log)

    def configure(self, budget: str) -> None:
        folder, metrics = self.config.parent, self.port - 10_000
        self.config.write_text(CONFIG.format(port=self.port, metrics=metrics, folder=folder, budget=budget))

    def heard(self) -> list[str]:
        """Return every line that systemd was told so far."""
        while True:
            try:
                self._heard += self._systemd.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self._heard

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(self.url + path) as answer:  # noqa: S310 - our own
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except urllib.error.URLError:
            return 0, ""

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["event"] == name]

    def status(self, *more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", MAIN, "status", "-c", str(self.config), *more]
        return subprocess.run(command, cwd=self.repository, capture_output=True, text=True, check=False)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._systemd.close()


@pytest.fixture
def box(mosquitto: Any, tmp_path: Path, repository: Path) -> Iterator[Box]:  # noqa: ANN401 - conftest's class
    """A daemon that started while its broker was away."""
    mosquitto.stop()
    box = Box(tmp_path, repository, mosquitto.port)
    try:
        yield box
    finally:
        box.close()


def test_from_the_start_without_a_broker_to_the_end(box: Box, mosquitto: Any) -> None:  # noqa: ANN401
    wait_until(lambda: box.get("/livez") == (200, "live\n"), "it lives")
    assert box.get("/readyz") == (503, "not subscribed: waiting for the broker\n")
    asked = box.status()
    assert (asked.returncode, "not subscribed" in asked.stdout) == (1, True)
    wait_until(lambda: any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in box.heard()), "it asked for patience")
    assert "READY=1" not in box.heard()

    mosquitto.start()
    wait_until(lambda: "READY=1" in box.heard(), "it is ready")
    assert box.get("/readyz") == (200, "ready\n")
    wait_until(lambda: "WATCHDOG=1" in box.heard(), "the watchdog is fed")
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", mosquitto.port)
    client.loop_start()
    for payload in (b"20.5", b"{'a': 1}\x1b[31m"):
        client.publish("sensors/pump", payload, qos=1).wait_for_publish(LIMIT_S)
    client.disconnect()
    client.loop_stop()
    client._reset_sockets()  # noqa: SLF001 - paho keeps its wake-up pair open until it is collected
    wait_until(lambda: json.loads(box.get("/status.json")[1])["readings"]["accepted"] == 1, "it is scored")
    wait_until(lambda: json.loads(box.get("/status.json")[1])["rejections"], "the other is rejected")
    asked = box.status("--json")
    assert asked.returncode == 0, asked.stderr
    document = json.loads(asked.stdout)
    (rejected,) = document["rejections"]
    assert (rejected["reason"], rejected["n"], rejected["topic"]) == ("malformed", 1, "sensors/pump")
    assert rejected["payload"] == "{'a': 1}\\x1b[31m"
    shown = box.status().stdout
    assert "1 malformed (not JSON: " in shown
    assert "sensors/pump  {'a': 1}\\x1b[31m" in shown

    box.configure("1 per 7 days")
    box.process.send_signal(signal.SIGHUP)
    wait_until(lambda: box.events("configuration taken"), "the configuration is taken")
    (taken,) = box.events("configuration taken")
    assert (taken["changed"], taken["needs_restart"]) == (["detection.false_alarms_per_stream"], [])
    box.configure("often")
    box.process.send_signal(signal.SIGHUP)
    wait_until(lambda: box.events("configuration not taken"), "the mistake is told")
    assert box.get("/readyz")[0] == 200

    box.process.terminate()
    assert box.process.wait(LIMIT_S) == 0
    assert "STOPPING=1" in box.heard()
    assert box.status().returncode == 2  # the configuration is still wrong
    box.configure("1 per 7 days")
    asked = box.status()
    assert asked.returncode == 1
    assert asked.stderr.startswith(f"foretell: {box.url}/status.json: no answer from Foretell")
