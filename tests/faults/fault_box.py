"""A daemon under test: started as a user starts it, killed at any moment, and its folder of state looked into."""

import json
import math
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
from fault_load import Plan
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from pipeline.core.settings import Settings, parse_settings
from pipeline.flow.snapshot import fingerprint
from pipeline.runtime.follow_up import FollowUp
from pipeline.runtime.journal_entries import redo, unpack_batch
from pipeline.runtime.restore import restore
from pipeline.runtime.session import Session
from pipeline.store.store import Store

#: Far beyond what anything here needs, on a machine with much else to do.
LIMIT_S = 180.0
MAIN = "from pipeline.cli.main import main; main()"
#: A broker that drops nothing, however long the daemon is away.
PATIENT_BROKER = """
allow_anonymous true
persistence true
persistence_location {folder}/
max_queued_messages 2000000
max_inflight_messages 1000
"""
#: Small networks and short windows: faults are the point, not forecasts. ``extra`` may add sections.
CONFIG = """
mqtt:
  port: {port}
  client_id: {client_id}
  keepalive_s: {keepalive_s}
  topics: [{{topic: "plant/{{device}}/{{sensor}}", stream: "{{device}}/{{sensor}}"}}]
metrics: {{port: {metrics_port}}}
store: {{path: "{folder}/state", journal_mb: 4096, checkpoint_s: {checkpoint_s}}}
streams: {{window_len: 256}}
forecast: {{hidden: 8, ensemble: 1}}
training: {{every: {every}}}
detection: {{n_warmup: 100, n_settled: 200, n_rest_most: 100, false_alarms_per_stream: 1 per hour}}
"""


def wait_until(condition: Callable[[], object], what: str, limit_s: float = LIMIT_S) -> float:
    """Poll a condition; return how long it took, seconds. Fails with its name after the limit."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < limit_s, f"waited in vain until {what}"
        time.sleep(0.02)
    return time.monotonic() - began_s


class Box:
    """A daemon as a process of its own, and its folder.

    Args:
        folder: Configuration, log and state go here.
        port: Port of the broker, or of what stands before it.
        metrics_port: A free port.
        keepalive_s: Keep-alive of its connections, seconds.
        checkpoint_s: Time between snapshots, seconds.
        every: Readings of a stream between two fine-tunes.
        client_id: Client id at the broker.
        patch: Python that runs first, to break something of the daemon's.
    """

    verb = "run"

    def __init__(
        self,
        folder: Path,
        port: int,
        metrics_port: int,
        *,
        keepalive_s: int = 30,
        checkpoint_s: float = 5.0,
        every: int = 480,
        client_id: str = "foretell-faults",
        patch: str = "",
    ) -> None:
        self.folder = folder
        self.metrics_port = metrics_port
        self.environment = os.environ | {"OMP_NUM_THREADS": "1"}
        self.log = folder / "foretell.log"
        self.config = folder / "edge.yaml"
        names = {"port": port, "metrics_port": metrics_port, "folder": folder, "client_id": client_id}
        self.config.write_text(CONFIG.format(**names, every=every, keepalive_s=keepalive_s, checkpoint_s=checkpoint_s))
        self.patch = patch
        self.settings: Settings = parse_settings(self.config.read_text(), str(self.config))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> Path:
        """Folder of its state."""
        return self.folder / "state"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start it; returns at once."""
        assert self._process is None
        with self.log.open("ab") as log:
            command = [sys.executable, "-c", f"{self.patch}\n{MAIN}", self.verb, "-c", str(self.config)]
            root = Path(__file__).resolve().parents[2]
            self._process = subprocess.Popen(command, cwd=root, env=self.environment, stdout=log, stderr=log)

    def kill(self) -> None:
        """End it whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self) -> int:
        """Send SIGTERM; return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, limit_s: float = LIMIT_S) -> int:
        """Return the exit code once it ended by itself."""
        code = self.process.wait(limit_s)
        self._process = None
        return code

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body of a page; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            assert self._process is None or self._process.poll() is None, self.log.read_text()[-4000:]
            return 0, ""

    def metric(self, name: str) -> float:
        """Return the sum of a metric's samples; ``name`` may have labels. NaN when there is none."""
        lines = re.findall(rf"^foretell_{re.escape(name)}(?:{{.*}})? (\S+)", self.get("/metrics")[1], re.MULTILINE)
        return sum(map(float, lines)) if lines else math.nan

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the log lines of one kind."""
        lines = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in lines if line["event"] == name]

    def status(self) -> dict[str, Any]:
        """Return /status.json, which needs no worker; nothing while nobody answers."""
        code, text = self.get("/status.json")
        return json.loads(text) if code == 200 else {}

    def connects(self) -> int:
        """Return how often the broker accepted it, -1 while nobody answers."""
        return int(self.status().get("mqtt", {}).get("n_connects", -1))

    def memory_bytes(self) -> int:
        """Return its resident memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) * 1024


class Ear:
    """Hears what the daemon publishes, in a session that outlives every outage."""

    def __init__(self, port: int) -> None:
        self.heard: list[tuple[float, str, bytes]] = []  # monotonic seconds, topic, payload
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="ear", clean_session=False)
        self._client.on_connect = self._on_connect
        self._client.on_message = self._on_message
        self._client.reconnect_delay_set(1, 1)
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()
        wait_until(self._client.is_connected, "the ear hears")

    def alerts(self) -> list[tuple[float, dict[str, Any]]]:
        """Return alerts with when they were heard, oldest first."""
        heard = [(at_s, payload) for at_s, topic, payload in self.heard if topic.split("/")[2] == "alert"]
        return [(at_s, json.loads(payload)) for at_s, payload in heard]

    def topics(self) -> list[str]:
        return [topic for _, topic, _ in self.heard]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()  # noqa: SLF001 - paho leaves its wake-up pair to the collector, which warns

    def _on_connect(
        self, client: paho.Client, _data: object, _flags: paho.ConnectFlags, _code: ReasonCode, _more: Properties | None
    ) -> None:
        client.subscribe("foretell/#", qos=1)

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self.heard.append((time.monotonic(), message.topic, bytes(message.payload)))


Alerted = tuple[str, str, str]  # stream, episode, open or close


@dataclass(frozen=True, slots=True)
class Audit:
    """What a stopped daemon's folder says of a run.

    Attributes:
        times: Event times of the readings that changed state, by stream, in order.
        n_accepted: Readings that changed state.
        n_refused: Readings that came again or late, and changed counters only.
        alerted: Episodes that opened or closed.
        kept: Fingerprint of the state that is kept.
        through: Fingerprint of a session that was given the whole journal, and never stopped.
    """

    times: dict[str, list[float]]
    n_accepted: int
    n_refused: int
    alerted: set[Alerted]
    kept: str
    through: str


def audit(folder: Path, settings: Settings) -> Audit:
    """Compare what a start would go on from with a run from the first reading on that never stopped."""
    store = Store(folder, settings.store)
    try:
        session = Session(settings)
        follow_up, followed = FollowUp(settings), FollowUp(settings)
        restored = restore(store, session, follow_up)
        assert not restored.why, restored.why
        assert restored.n_unlogged == 0
        kept = fingerprint(session.model, session.state)
        through = Session(settings)
        times: dict[str, list[float]] = {}
        alerted: set[Alerted] = set()
        for entry in store.journal(0):
            assert entry is not None, "the journal has no gaps"
            batch = unpack_batch(entry)
            if batch is None:
                redo(through, followed, entry)
            elif len(batch[1]):
                _, readings, now = batch
                steps = through.process(readings, now)
                followed.gather(readings, steps, now)
                alerted |= {(each.stream, each.episode, each.event.name.lower()) for each in steps.events}
                for row in np.flatnonzero(steps.outcome == 0).tolist():
                    times.setdefault(readings.names[readings.stream[row]], []).append(float(readings.time[row]))
        assert through.counts == session.counts
        assert followed.dump() == follow_up.dump(), "incidents and the book of alerts are those of the whole run"
        n_accepted = through.counts["accepted"]
        n_refused = sum(through.counts.values()) - n_accepted
        return Audit(times, n_accepted, n_refused, alerted, kept, fingerprint(through.model, through.state))
    finally:
        store.close()


def expected_times(plan: Plan, n: int) -> dict[str, list[float]]:
    """Return the event times of the first readings of a plan, by stream."""
    times: dict[str, list[float]] = {}
    for i in range(n):
        times.setdefault(plan.stream(i), []).append(plan.at_s(i))
    return times


def heard_alerts(ear: Ear) -> list[Alerted]:
    """Return what the ear heard of episodes, repetitions included."""
    return [(alert["stream"], alert["episode"], alert["event"]) for _, alert in ear.alerts()]


def first_commits(folder: Path, starts_s: Sequence[float]) -> Iterator[float]:
    """Yield how long after each start the first batch was on disk; infinite where that never happened."""
    database = sqlite3.connect(f"file:{folder / 'foretell.db'}?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT at_s, data FROM journal ORDER BY position").fetchall()
    finally:
        database.close()
    at_s = np.array([at for at, data in rows if data[16:17] == b"B"])  # after the checksum: a batch
    for i, start_s in enumerate(starts_s):
        end_s = starts_s[i + 1] if i + 1 < len(starts_s) else math.inf
        own = at_s[(at_s > start_s) & (at_s < end_s)]
        yield float(own[0] - start_s) if len(own) else math.inf


def refused(port: int) -> bool:
    """Say whether nobody listens on a port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0
