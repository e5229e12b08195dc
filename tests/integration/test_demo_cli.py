"""``foretell demo`` as a process of its own, and the plant's process below it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.runtime.plant_process import PlantProcess
from pipeline.sources.simulator import simulate

START_S = 1772323200
LIMIT_S = 120.0
DEMO = [sys.executable, "-c", "from pipeline.cli.main import main; main()", "demo"]

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for child processes in /proc")


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.05)


def children(parent: int) -> list[int]:
    """Return the processes whose parent this is, as Linux lists them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, ppid = entry.read_text().rpartition(")")[2].split()[:2]
            if int(ppid) == parent and state != "Z":
                found.append(int(entry.parent.name))
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Listener:
    """A subscriber to everything the plant sends."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.is_subscribed = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="listener", protocol=paho.MQTTv311)
        self.client.on_connect = lambda client, *_: client.subscribe("plant/#", 0)
        self.client.on_message = lambda _client, _data, m: self.messages.append((m.topic, bytes(m.payload)))
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
        self.client._reset_sockets()  # noqa: SLF001 - paho leaves its wake-up pair to the collector, which warns


@pytest.fixture
def plant_process() -> Iterator[PlantProcess]:
    with PlantProcess(seed=1, n_steps=40, start_s=START_S, steps_per_s=400.0) as process:
        yield process


def test_subscribers_receive_every_message_of_the_plant_in_order_and_no_step_that_is_not_allowed(
    plant_process: PlantProcess,
) -> None:
    plant = simulate(1, 40, START_S)
    sent = [(f"plant/{device}", payload) for step in range(40) for device, payload in plant.messages(step)]
    n_first = sum(len(plant.messages(step)) for step in range(5))
    listener = Listener(plant_process.wait_for_port())
    try:
        plant_process.allow(5)
        wait_until(lambda: len(listener.messages) >= n_first)
        assert plant_process.step <= 5
        assert listener.messages == sent[:n_first]
        plant_process.allow(1000)
        wait_until(lambda: len(listener.messages) >= len(sent))
        wait_until(lambda: plant_process.step == 40)
        assert listener.messages == sent
        plant_process.check()
    finally:
        listener.close()


def test_nothing_is_published_before_somebody_listens(plant_process: PlantProcess) -> None:
    plant_process.allow(1000)
    listener = Listener(plant_process.wait_for_port())
    try:
        wait_until(lambda: plant_process.step == 40)
        wait_until(lambda: json.loads(listener.messages[-1][1])["time"] == START_S + 39 * 300)
        assert json.loads(listener.messages[0][1])["time"] == START_S
    finally:
        listener.close()


def test_closing_the_plant_ends_its_process(plant_process: PlantProcess) -> None:
    plant_process.wait_for_port()
    plant_process.close()
    assert not is_running(plant_process.pid)


def test_the_plant_ends_when_its_parent_is_killed() -> None:
    code = (
        "import time; from pipeline.runtime.plant_process import PlantProcess\n"
        f"p = PlantProcess(1, 40, {START_S}, 1.0); p.wait_for_port(); print(p.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert is_running(pid)
        parent.kill()
        parent.wait()
        wait_until(lambda: not is_running(pid))


def test_a_demo_ends_by_itself_with_a_verdict_on_every_fault(tmp_path: Path) -> None:
    out = tmp_path / "summary.json"
    done = subprocess.run(
        [*DEMO, "--duration", "30", "--json", str(out)], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    summary = json.loads(out.read_text())
    assert summary["is_complete"]
    assert summary["n_streams"] >= 24
    assert summary["n_readings"] == simulate(1, 1200, START_S).n_readings
    assert summary["n_planted"] == len(summary["faults"]) >= 12
    assert summary["n_found"] + summary["n_missed"] == summary["n_planted"]
    assert summary["n_false"] == len(summary["false_alerts"])
    # Even after so short a history nobody overlooks a wire that falls off.
    (dropout,) = [fault for fault in summary["faults"] if fault["stream"] == "boiler/return_temperature"]
    assert dropout["fate"] == "found"
    assert done.stdout.count("\nfault  ") == summary["n_planted"]
    assert f"Summary: {summary['n_planted']} planted, {summary['n_found']} found" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_demo_with_its_summary_so_far_and_leaves_no_child(number: signal.Signals) -> None:
    with subprocess.Popen(
        [*DEMO, "--duration", "600"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        wait_until(lambda: children(demo.pid))
        plants = children(demo.pid)
        demo.send_signal(number)
        stdout, stderr = demo.communicate(timeout=LIMIT_S)
    assert (demo.returncode, stderr) == (0, "")
    assert "Summary: 0 planted" in stdout
    assert "ended early" in stdout
    assert not any(is_running(pid) for pid in plants)


def test_a_killed_demo_leaves_no_child() -> None:
    with subprocess.Popen([*DEMO, "--duration", "600"], stdout=subprocess.DEVNULL) as demo:
        wait_until(lambda: children(demo.pid))
        plants = children(demo.pid)
        os.kill(demo.pid, signal.SIGKILL)
        demo.wait()
    wait_until(lambda: not any(is_running(pid) for pid in plants))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--duration", "1"], "--duration"),
        (["--duration", "nan"], "--duration"),
        (["--seed", "-1"], "--seed"),
        (["--json", "no/such/folder/out.json"], "no/such/folder/out.json: cannot be written"),
    ],
)
def test_wrong_usage_is_refused_before_anything_starts(arguments: list[str], complaint: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, *arguments], capture_output=True, text=True, timeout=LIMIT_S, check=False, cwd=tmp_path
    )
    assert done.returncode == 2
    assert complaint in done.stderr
    assert "Starting" not in done.stdout
