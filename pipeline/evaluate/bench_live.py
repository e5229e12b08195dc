"""What the daemon takes from a broker in a second, beside a bare paho client, in turns of one run.

A mosquitto on loopback keeps messages for a session whose client is away; then the client comes and takes them all. So
nobody else wants the processor: the broker has the other core. Refuses to know the terminal.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from pipeline.core.errors import ForetellError
from pipeline.core.settings import Settings
from pipeline.runtime.broker import HOST, free_port
from pipeline.sources.mqtt import RECEIVE_MAXIMUM

FILTER = "plant/#"
#: Minute of the first message, since 1970; every stream has a reading a minute.
START_MIN = 29_000_000
_N_STREAMS, _N_MESSAGES, _ROUNDS = 1_000, 40_000, 3
_PATIENCE_S = 120.0
_SBIN = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
_BROKER = """
listener {port} {host}
allow_anonymous true
max_queued_messages 0
queue_qos0_messages true
set_tcp_nodelay true
log_dest none
"""


class Took(NamedTuple):
    """What a consumer did.

    Attributes:
        seconds: From the first message to the last that was dealt with.
        n: Messages dealt with.
        cpu_s: Processor time it took.
    """

    seconds: float
    n: int
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Order:
    """What a consumer is to do.

    Attributes:
        who: ``bare`` or ``foretell``.
        client_id: Its name at the broker, of this turn alone.
        port: The broker's.
        qos: Quality of service, 0 or 1.
        n_streams: Streams that messages are of, in turn.
        n_messages: Messages.
    """

    who: str
    client_id: str
    port: int
    qos: int
    n_streams: int
    n_messages: int

    def settings(self) -> Settings:
        """Return the settings of either consumer."""
        return Settings.model_validate(
            {
                "mqtt": {
                    "host": HOST,
                    "port": self.port,
                    "qos": self.qos,
                    "client_id": self.client_id,
                    "topics": [{"topic": FILTER.replace("#", "{rest}")}],
                },
                "training": {"enabled": False},
                "streams": {"max_streams": self.n_streams},
            }
        )


@dataclass(frozen=True, slots=True)
class LiveRate:
    """How much is taken from a broker.

    Attributes:
        qos: Quality of service.
        n_messages: Messages in each turn.
        n_lost: Messages that were not dealt with, all turns together.
        per_s: Messages a second of the daemon, best turn.
        bare_per_s: Of the bare client.
        cpu_us: Processor time of the daemon per message, microseconds, best turn.
        bare_cpu_us: Of the bare client.
        ratio: Daemon over bare client.
    """

    qos: int
    n_messages: int
    n_lost: int
    per_s: float
    bare_per_s: float
    cpu_us: float
    bare_cpu_us: float
    ratio: float

    def as_dict(self) -> dict[str, float | int | str]:
        """Return the figures by name."""
        return {"bench": "live", **asdict(self)}


def bench_live(qos: int, n_messages: int = _N_MESSAGES, n_streams: int = _N_STREAMS, rounds: int = _ROUNDS) -> LiveRate:
    """Measure the daemon and the bare client in turn.

    Raises:
        ForetellError: mosquitto is not installed or does not start, or a consumer failed.
    """
    took: dict[str, list[Took]] = {"bare": [], "foretell": []}
    with _broker() as port:
        for turn in range(rounds):
            for who, found in took.items():
                order = Order(who, f"{who}-{turn}", port, qos, n_streams, n_messages)
                _fill(order)
                found.append(_consume(order))
    best = {who: min(found, key=lambda each: each.seconds) for who, found in took.items()}
    ours, bare = best["foretell"], best["bare"]
    n_lost = sum(n_messages - each.n for found in took.values() for each in found)
    per_s, bare_per_s = ours.n / ours.seconds, bare.n / bare.seconds
    cpu_us, bare_cpu_us = (1e6 * each.cpu_s / n_messages for each in (ours, bare))
    return LiveRate(qos, n_messages, n_lost, per_s, bare_per_s, cpu_us, bare_cpu_us, per_s / bare_per_s)


def has_broker() -> bool:
    """Return whether mosquitto is there."""
    return shutil.which("mosquitto", path=_SBIN) is not None


@contextmanager
def _broker() -> Iterator[int]:
    """Run mosquitto on a loopback port while the block runs."""
    program = shutil.which("mosquitto", path=_SBIN)
    if program is None:
        raise ForetellError("mosquitto is not installed: apt-get install mosquitto")
    port = free_port()
    user = "user root\n" if os.geteuid() == 0 else ""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "mosquitto.conf"
        config.write_text(_BROKER.format(port=port, host=HOST) + user, encoding="utf-8")
        process = subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL)  # noqa: S603 - found on our own path
        try:
            yield port
        finally:
            process.terminate()
            process.wait()


def client_for(client_id: str, *, manual_ack: bool = False) -> paho.Client:
    """Return a plain paho client."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=paho.MQTTv5, manual_ack=manual_ack)
    client.max_inflight_messages_set(RECEIVE_MAXIMUM)
    client.max_queued_messages_set(0)
    return client


def connect(client: paho.Client, order: Order) -> None:
    """Connect to a session that the broker keeps, and serve it on a thread.

    Raises:
        ForetellError: The broker does not answer.
    """
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own gap
    properties.SessionExpiryInterval, properties.ReceiveMaximum = 3600, RECEIVE_MAXIMUM
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            client.connect(HOST, order.port, clean_start=False, properties=properties)
        except ConnectionRefusedError:
            if time.monotonic() > deadline_s:
                raise ForetellError("mosquitto does not start") from None
            time.sleep(0.02)
        else:
            break
    client.loop_start()


def leave(client: paho.Client) -> None:
    """Disconnect; the broker keeps the session."""
    client.disconnect()
    client.loop_stop()
    client._reset_sockets()  # noqa: SLF001 - paho keeps its wake-up pair open until it is collected


def _fill(order: Order) -> None:
    """Let the broker keep messages for a consumer that is away."""
    absent, confirmed = client_for(order.client_id), list[bool]()
    absent.on_subscribe = lambda *_arguments: confirmed.append(True)
    connect(absent, order)
    absent.subscribe(FILTER, order.qos)
    deadline_s = time.monotonic() + _PATIENCE_S
    while not confirmed and time.monotonic() < deadline_s:
        time.sleep(0.01)
    leave(absent)
    publisher = client_for("publisher")
    connect(publisher, order)
    sent: Any = None
    noise = np.random.default_rng(2).normal(size=order.n_messages)  # as in the warm-up
    for i in range(order.n_messages):
        tick, stream = divmod(i, order.n_streams)
        text = f'{{"ts": {60 * (START_MIN + tick)}, "value": {noise[i]:.3f}}}'
        sent = publisher.publish(f"plant/s{stream}", text, qos=1)
    sent.wait_for_publish(_PATIENCE_S)
    leave(publisher)


def _consume(order: Order) -> Took:
    """Run a consumer in a process of its own."""
    command = [sys.executable, "-m", "pipeline.evaluate.bench_live_worker", json.dumps(asdict(order))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this very interpreter
    if done.returncode:
        raise ForetellError(f"a consumer failed: {done.stderr[-600:]}")
    return Took(**json.loads(done.stdout.splitlines()[-1]))
