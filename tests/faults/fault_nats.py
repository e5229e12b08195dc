"""A nats-server under test, with the committed configuration, and what devices publish to it."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.core.settings import Settings, parse_settings
from pipeline.scaleout.jetstream import bounds

LIMIT_S = 120.0
N_SHARDS = 2


def nats_program() -> str | None:
    """Return where nats-server is; None where it is not installed."""
    return shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


class Server:
    """A nats-server with the committed configuration, on ports of its own."""

    def __init__(self, program: str, folder: Path, example: str, ports: tuple[int, int]) -> None:
        self.port, self.mqtt_port = ports
        self.log = folder / "nats.log"
        replaced = {":4222": f":{self.port}", ":1883": f":{self.mqtt_port}", "/var/lib/nats": str(folder / "store")}
        for old, new in replaced.items():
            assert example.count(old) == 1
            example = example.replace(old, new)
        self._config = folder / "nats.conf"
        self._config.write_text(example)
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen([self._program, "-c", str(self._config)], stdout=log, stderr=log)
        until_s = time.monotonic() + LIMIT_S
        while b"Server is ready" not in self.log.read_bytes():
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < until_s, self.log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self.log.write_bytes(b"")

    def settings(self) -> Settings:
        text = f"""
mqtt: {{topics: [{{topic: "plant/{{device}}/{{sensor}}", stream: "{{device}}/{{sensor}}"}}]}}
forecast: {{sharing: fleet}}
scale: {{source: nats, shards: {N_SHARDS}, nats: {{url: "nats://127.0.0.1:{self.port}"}}}}
"""
        return parse_settings(text, "test.yaml")


def publish(server: Server, n: int, first: int = 0, n_devices: int = 10) -> None:
    """Publish readings ``first`` to ``first + n`` of three streams a device, QoS 1, and wait for all."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="devices", protocol=paho.MQTTv311)
    client.max_inflight_messages_set(200)
    client.connect("127.0.0.1", server.mqtt_port)
    client.loop_start()
    sent = [
        client.publish(f"plant/d{i % n_devices}/s{i % 3}", payload(i, n_devices), qos=1)
        for i in range(first, first + n)
    ]
    for each in sent:
        each.wait_for_publish(LIMIT_S)
    client.disconnect()
    client.loop_stop()
    client._reset_sockets()  # noqa: SLF001 - else the collector warns


def payload(i: int, n_devices: int) -> bytes:
    return b'{"time": %d, "value": %d}' % (1_760_000_000 + 10 * (i // (3 * n_devices)), i)


def wait_for(settings: Settings, n: int) -> list[int]:
    """Wait until the streams hold so many messages; return where they end: the server answers before it stores."""
    until_s = time.monotonic() + LIMIT_S
    while sum(ends := [end for _, end in bounds(settings.scale.nats)]) - len(ends) < n:
        assert time.monotonic() < until_s, ends
        time.sleep(0.05)
    return ends
