"""A real Prometheus and a real Alertmanager beside a running daemon: every panel has data, a fault is told once."""

import contextlib
import http.server
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

pytestmark = pytest.mark.broker
LIMIT_S = 90.0
MAIN = "from pipeline.cli.main import main; main()"
SENSORS = ("oil", "shaft")
N_CLEAN, N_FAULT, N_AFTER, CADENCE_S = 900, 40, 400, 60.0
GROUP_S = 6


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.1)


def get(url: str) -> Any:  # noqa: ANN401 - JSON
    """Return what a server on loopback answers; None while it does not."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own
            return json.loads(answer.read() or b"null")
    except (urllib.error.URLError, ConnectionError):
        return None


def installed(*names: str) -> str:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"{names[0]} is not installed; on Debian: apt-get install prometheus prometheus-alertmanager")
    return found


class Pager:
    """Receives Alertmanager's notifications."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []
        told = self.told

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.append((self.path, json.loads(body)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def of(self, status: str) -> list[dict[str, Any]]:
        """Return the operators' notifications with a status: firing or resolved."""
        return [body for path, body in self.told if path == "/operators" and body["status"] == status]

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class Watch:
    """Daemon, Prometheus, Alertmanager and pager, all on loopback."""

    def __init__(self, folder: Path, repository: Path, broker_port: int) -> None:
        self.pager = Pager()
        ports = {name: broker_port - offset for name, offset in (("foretell", 10_000), ("prom", 9_000), ("am", 8_000))}
        self.prometheus, self.port = f"http://127.0.0.1:{ports['prom']}", broker_port
        self._processes: list[subprocess.Popen[bytes]] = []
        rules = repository / "configs" / "prometheus"
        config = (
            f"site: mill\nmqtt: {{port: {broker_port}, client_id: watch,"
            ' topics: [{topic: "plant/{device}/{sensor}", stream: "{device}/{sensor}"}]}\n'
            f"metrics: {{port: {ports['foretell']}}}\nstore: {{path: {folder / 'state'}}}\n"
        )
        (folder / "edge.yaml").write_text(config)
        text = (rules / "prometheus.yml").read_text("utf-8")
        text = text.replace("15s", "1s").replace("foretell.rules.yml", str(rules / "foretell.rules.yml"))
        text = text.replace("127.0.0.1:9093", f"127.0.0.1:{ports['am']}")
        (folder / "prometheus.yml").write_text(text.replace("127.0.0.1:9464", f"127.0.0.1:{ports['foretell']}"))
        text = (rules / "alertmanager.yml").read_text("utf-8")
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self.pager.server.server_port}")
        text = text.replace("group_wait: 30s", f"group_wait: {GROUP_S}s")
        (folder / "alertmanager.yml").write_text(text.replace("group_interval: 5m", f"group_interval: {GROUP_S}s"))
        self._start(folder, [sys.executable, "-c", MAIN, "run", "-c", str(folder / "edge.yaml")], repository)
        listen = "--web.listen-address=127.0.0.1:{}"
        prometheus = [installed("prometheus"), f"--config.file={folder / 'prometheus.yml'}"]
        data = [f"--storage.tsdb.path={folder / 'tsdb'}", listen.format(ports["prom"])]
        self._start(folder, [*prometheus, *data], folder)
        alertmanager = [installed("prometheus-alertmanager", "alertmanager"), "--cluster.listen-address="]
        data = [f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'am'}"]
        self._start(folder, [*alertmanager, *data, listen.format(ports["am"])], folder)

    def _start(self, folder: Path, command: list[str], where: Path) -> None:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "GOMAXPROCS": "1"}
        with (folder / f"{Path(command[0]).name}.log").open("wb") as log:
            self._processes.append(subprocess.Popen(command, cwd=where, env=environment, stdout=log, stderr=log))

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an instant query gives."""
        asked = get(f"{self.prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        if asked is None:
            return []
        assert asked["status"] == "success", (expression, asked)
        return list(asked["data"]["result"])

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()
        self.pager.close()


@pytest.fixture
def watch(tmp_path: Path, repository: Path, mosquitto: Any) -> Iterator[Watch]:  # noqa: ANN401 - conftest's class
    installed("prometheus")
    installed("prometheus-alertmanager", "alertmanager")
    watch = Watch(tmp_path, repository, mosquitto.port)
    try:
        yield watch
    finally:
        watch.close()


class Plant:
    """A press whose oil and shaft are publishing, minute by minute, as fast as it can."""

    def __init__(self, port: int) -> None:
        self._noise = random.Random(1)  # noqa: S311 - a seeded signal, not a secret
        self._step = 0
        n = N_CLEAN + N_FAULT + N_AFTER
        self._start_s = math.floor(time.time()) - n * CADENCE_S
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def run(self, n: int, fault: float = 0.0) -> None:
        """Publish ``n`` readings of each sensor, a fault added."""
        sent = []
        for i in range(self._step, self._step + n):
            for k, sensor in enumerate(SENSORS):
                value = 20 + 2 * math.sin(2 * math.pi * i / 288 + k) + self._noise.gauss(0, 0.1) + fault
                payload = json.dumps({"time": self._start_s + i * CADENCE_S, "value": round(value, 4)})
                sent.append(self._client.publish(f"plant/press-1/{sensor}", payload, qos=1))
        self._step += n
        for each in sent:
            each.wait_for_publish(LIMIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()  # noqa: SLF001 - paho keeps its wake-up pair open until it is collected


@pytest.fixture
def plant(mosquitto: Any) -> Iterator[Plant]:  # noqa: ANN401 - conftest's class
    plant = Plant(mosquitto.port)
    yield plant
    plant.close()


def panel_queries(repository: Path) -> dict[str, str]:
    """Return every query of every dashboard, annotations included, with the variables filled in."""
    filled = {
        '"$stream"': f'"press-1/{SENSORS[0]}"',
        "$instance": ".*",
        "$device": ".*",
        "$__rate_interval": "1m",
        "$__range": "1h",
    }
    found = {}
    for file in sorted((repository / "dashboards").glob("*.json")):
        dashboard = json.loads(file.read_text("utf-8"))
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                expression = target["expr"]
                for name, value in filled.items():
                    expression = expression.replace(name, value)
                assert not re.search(r"\$", expression), expression
                found[f"{file.name}: {panel['title']} {target['refId']}"] = expression
    return found


def test_panels_have_data_and_a_fault_is_told_once_and_resolves(watch: Watch, plant: Plant, repository: Path) -> None:
    wait_until(lambda: watch.query("foretell_ready == 1"), "Prometheus has scraped a daemon that is ready")
    loaded = get(f"{watch.prometheus}/api/v1/rules")["data"]["groups"]
    wait_until(lambda: watch.query("foretell_build_info"), "it is scraped")
    assert sum(len(group["rules"]) for group in loaded) == 20
    assert {rule["health"] for group in loaded for rule in group["rules"]} <= {"ok", "unknown"}

    plant.run(N_CLEAN)
    accepted = 'foretell_readings_total{outcome="accepted"}'
    wait_until(lambda: watch.query(f"{accepted} == {2 * N_CLEAN}"), "all is scored")
    assert watch.pager.of("firing") == []
    plant.run(N_FAULT, fault=8.0)
    wait_until(lambda: watch.pager.of("firing"), "the operators are told")
    (notification,) = watch.pager.of("firing")
    assert notification["groupLabels"] == {"site": "mill", "device": "press-1"}
    assert {alert["labels"]["stream"] for alert in notification["alerts"]} == {f"press-1/{each}" for each in SENSORS}
    assert {alert["labels"]["alertname"] for alert in notification["alerts"]} == {"ForetellEpisodeCritical"}

    queries = panel_queries(repository)
    assert len(queries) > 30
    assert [title for title, expression in queries.items() if not watch.query(expression)] == []
    groups = get(f"{watch.prometheus}/api/v1/rules")["data"]["groups"]
    assert {rule["health"] for group in groups for rule in group["rules"]} == {"ok"}
    time.sleep(1.5 * GROUP_S)  # more than the pause between two notifications of a group: nothing is to come
    assert len(watch.pager.of("firing")) == 1

    plant.run(N_AFTER)
    wait_until(lambda: watch.pager.of("resolved"), "the operators are told that it is over")
    assert {alert["status"] for alert in watch.pager.of("resolved")[-1]["alerts"]} == {"resolved"}
