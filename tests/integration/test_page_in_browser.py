"""The status page in a real browser: live, legible, by keyboard, and without a request to anybody else."""

import json
import math
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from chromium import Browser
from paho.mqtt.enums import CallbackAPIVersion

pytestmark = pytest.mark.broker
LIMIT_S = 120.0
#: From a fault's first reading to its episode on the page, seconds; a busy machine gets a try per sensor.
SHOWN_S = 3.0
MAIN = "from pipeline.cli.main import main; main()"
SENSORS = ("press-1/oil", "press-1/shaft", "cold-store/air")
N_CLEAN, N_FAULT, CADENCE_S = 480, 12, 60.0
EPISODE = "document.querySelectorAll('.episode.open').length"


class Mill:
    """A daemon on a broker, and a plant that publishes to it."""

    def __init__(self, folder: Path, repository: Path, broker_port: int) -> None:
        self.port = broker_port - 10_000
        self.token = folder / "state" / "token"
        self._noise = random.Random(1)  # noqa: S311 - a seeded signal, not a secret
        self._step, self._start_s = 0, math.floor(time.time()) - (N_CLEAN + 3 * N_FAULT) * CADENCE_S
        config = folder / "edge.yaml"
        config.write_text(
            f"site: mill\nmqtt: {{port: {broker_port}, client_id: mill,"
            ' topics: [{topic: "plant/{device}/{sensor}", stream: "{device}/{sensor}"}]}\n'
            f"metrics: {{port: {self.port}}}\nstore: {{path: {folder / 'state'}}}\ntraining: {{enabled: false}}\n"
        )
        with (folder / "daemon.log").open("wb") as log:
            command = [sys.executable, "-c", MAIN, "run", "-c", str(config)]
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            self._daemon = subprocess.Popen(command, cwd=repository, env=environment, stdout=log, stderr=log)
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.max_inflight_messages_set(1000)
        self._client.connect("127.0.0.1", broker_port)
        self._client.loop_start()

    def get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
                return json.loads(answer.read())
        except OSError:
            return None

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            assert self._daemon.poll() is None, "the daemon ended"
            assert time.monotonic() < deadline, f"waited in vain until {what}"
            time.sleep(0.05)

    def publish(self, n: int, faulty: str = "") -> None:
        """Publish ``n`` readings of each sensor; to those of one a fault is added."""
        sent = []
        for i in range(self._step, self._step + n):
            for k, sensor in enumerate(SENSORS):
                value = 20 + 2 * math.sin(2 * math.pi * i / 144 + k) + self._noise.gauss(0, 0.1)
                value += 8.0 if sensor == faulty else 0.0
                payload = json.dumps({"time": self._start_s + i * CADENCE_S, "value": round(value, 4)})
                sent.append(self._client.publish(f"plant/{sensor}", payload, qos=1))
        self._step += n
        for each in sent:
            each.wait_for_publish(LIMIT_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._client._reset_sockets()  # noqa: SLF001 - paho keeps its wake-up pair open until it is collected
        self._daemon.terminate()
        try:
            self._daemon.wait(20)
        finally:
            self._daemon.kill()
            self._daemon.wait()


@pytest.fixture
def mill(tmp_path: Path, repository: Path, mosquitto: Any) -> Iterator[Mill]:  # noqa: ANN401 - conftest's class
    mill = Mill(tmp_path, repository, mosquitto.port)
    try:
        mill.wait_until(lambda: (mill.get("/status.json") or {}).get("ready"), "it is ready")
        yield mill
    finally:
        mill.close()


def test_a_fault_appears_without_a_reload(
    mill: Mill,
    browser: Browser,
    axe: str,
    keep_picture: Callable[[str, bytes], None],
) -> None:
    browser.look(1280, 800)
    browser.open(f"http://127.0.0.1:{mill.port}/")
    # For pictures no faster than the page looks: it sees the bands of the newest readings only.
    n_part = 24 if os.environ.get("FORETELL_PICTURES") == "write" else N_CLEAN
    for n in range(n_part, N_CLEAN + 1, n_part):
        mill.publish(n_part)
        mill.wait_until(lambda n=n: mill.get("/status.json")["readings"]["accepted"] == 3 * n, "all is scored")  # type: ignore[misc]
        if n < N_CLEAN:
            time.sleep(1.0)
    browser.wait_for("document.querySelectorAll('.stream .spark-line').length === 3")
    assert browser.run(EPISODE) == 0
    assert browser.run("document.getElementById('state').textContent") == "ready"

    took_s = [_shown_after_s(mill, browser, SENSORS[0])]
    while took_s[-1] >= SHOWN_S:
        assert len(took_s) < len(SENSORS), took_s
        took_s.append(_shown_after_s(mill, browser, SENSORS[len(took_s)]))
    browser.wait_for("document.getElementById('detail-title').textContent === 'press-1/oil'")
    assert browser.run("document.querySelector('.stream[aria-current=true] .name').textContent") == "press-1/oil"
    assert "critical episode" in browser.run("document.querySelector('.stream .verdict').textContent")
    browser.wait_for("document.querySelector('.chart').getAttribute('aria-label').includes('1 episodes')")
    chart = browser.run("Foretell.shown.data")
    assert all(any(value is not None for value in chart[name]) for name in ("value", "lower", "upper"))
    assert browser.run("Foretell.shown.episodes.length") == 1
    # Its value, band and episode are really painted: their colours are among the canvas' pixels.
    painted = browser.run(
        "(() => { const c = document.querySelector('#chart canvas'), d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data, seen = new Set();"
        "for (let i = 0; i < d.length; i += 4) seen.add(`${d[i]},${d[i + 1]},${d[i + 2]}`);"
        "return ['22,32,44', '11,98,201', '179,38,30'].filter((colour) => seen.has(colour)).length; })()"
    )
    assert painted == 3

    assert browser.serious_faults(axe) == []
    keep_picture("page-desktop.png", browser.picture())
    browser.look(1280, 800, is_dark=True)
    browser.wait_for("document.documentElement.dataset.theme === 'dark'")
    assert browser.serious_faults(axe) == []
    keep_picture("page-dark.png", browser.picture())
    browser.look(390, 844, is_phone=True)
    browser.wait_for("document.documentElement.dataset.theme === 'light'")
    assert browser.run("document.documentElement.scrollWidth") <= 390
    assert browser.serious_faults(axe) == []
    keep_picture("page-phone.png", browser.picture())
    browser.look(1280, 800)
    _operators_are_heard(mill, browser)
    _by_keyboard(browser)
    assert browser.complaints == []
    own = f"http://127.0.0.1:{mill.port}/"
    assert len(browser.requests) > 10
    assert [url for url in browser.requests if not url.startswith((own, "about:"))] == []


def _shown_after_s(mill: Mill, browser: Browser, sensor: str) -> float:
    """Return how long after a fault's first reading its episode is on the page, seconds."""
    began, n_open = time.monotonic(), browser.run(EPISODE)
    mill.publish(N_FAULT, faulty=sensor)
    browser.wait_for(f"{EPISODE} > {n_open}")
    return time.monotonic() - began


def _operators_are_heard(mill: Mill, browser: Browser) -> None:
    """Buttons change an alert only with the token, by keyboard too, and what changed is seen."""

    def alert() -> Any:  # noqa: ANN401 - JSON
        episode = browser.run("document.querySelector('.episode.open').dataset.key")
        return next(each for each in mill.get("/alerts.json")["alerts"] if each["episode"] == episode)

    word = "document.querySelector('.episode.open .word').textContent"
    browser.run("document.querySelector('.episode.open .ack').click()")
    browser.wait_for("document.getElementById('said').textContent === 'Enter the operators\\' token first.'")
    assert browser.run("document.activeElement.id") == "token"
    assert alert()["acknowledged_by"] is None
    browser.run(f"document.getElementById('token').value = {json.dumps(mill.token.read_text().strip())}")
    browser.run("document.getElementById('by').value = 'ann'")
    browser.press("Enter")
    browser.wait_for("document.getElementById('said').textContent.startsWith('The token is kept')")
    browser.run("document.querySelector('.episode.open .ack').focus()")
    browser.press("Enter")
    browser.wait_for(f"{word} === 'Seen by ann.'")
    assert alert()["acknowledged_by"] == "ann"
    browser.run("document.querySelector('.episode.open .false').click()")
    browser.wait_for(f"{word}.includes('judged a false alarm')")
    assert alert()["judged"] == "false"
    browser.run("document.querySelector('.episode.open .undo').click()")
    browser.wait_for(f"{word} === 'Seen by ann.'")
    assert alert()["judged"] is None


def _by_keyboard(browser: Browser) -> None:
    browser.run("document.activeElement.blur()")
    browser.press("/")
    assert browser.run("document.activeElement.id") == "find"
    for letter in "air":
        browser.press(letter)
    browser.wait_for("document.querySelectorAll('.stream').length === 1")
    browser.press("ArrowDown")
    browser.press("Enter")
    browser.wait_for("document.getElementById('detail-title').textContent === 'cold-store/air'")
    assert browser.run("location.hash") == "#stream=cold-store%2Fair"
