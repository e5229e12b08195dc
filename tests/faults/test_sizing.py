"""``make sizing``: what a daemon of default settings takes, by streams and rate: the figures of docs/sizing.md."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_box import PATIENT_BROKER, Box, Ear, wait_until
from fault_load import Load, Plan
from test_load import delays_s

from pipeline.core.settings import parse_settings

pytestmark = pytest.mark.broker
#: Streams, network per, networks, readings a second, readings of each stream before it is measured.
ROWS = (
    (10, "stream", 3, 10.0, 420),
    (100, "stream", 3, 100.0, 420),
    (1000, "stream", 3, 100.0, 130),
    (1000, "stream", 3, 1000.0, 420),
    (1000, "stream", 2, 1000.0, 420),
    (1000, "fleet", 3, 1000.0, 420),
    (5000, "fleet", 3, 5000.0, 130),
)
FILL_RATE, DAY_S = 5000.0, 86_400.0
CONFIG = """
mqtt:
  port: {port}
  topics: [{{topic: "plant/{{device}}/{{sensor}}", stream: "{{device}}/{{sensor}}"}}]
metrics: {{port: {metrics_port}}}
store: {{path: "{folder}/state"}}
forecast: {{sharing: {sharing}, ensemble: {ensemble}}}
"""


class Plain(Box):
    """A daemon with the default settings."""

    def use(self, port: int, sharing: str, ensemble: int) -> None:
        """Replace the configuration of the fault tests."""
        names = {"port": port, "metrics_port": self.metrics_port, "folder": self.folder}
        self.config.write_text(CONFIG.format(**names, sharing=sharing, ensemble=ensemble))
        self.settings = parse_settings(self.config.read_text(), str(self.config))

    @property
    def child(self) -> int | None:
        """Process id of the trainer."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = [int(pid) for task in tasks for pid in task.read_text().split()]
        return children[0] if children else None


def pss_mb(pid: int | None) -> float:
    """Return the proportional set size of a process, MB."""
    if pid is None:
        return 0.0
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.findall(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)[0]) / 1e3


def most_mb(pid: int | None) -> float:
    """Return the most that a process ever held, snapshots being written among it, MB."""
    if pid is None:
        return 0.0
    return int(re.findall(r"^VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[0]) / 1e3


def cpu_s(pid: int | None) -> float:
    """Return the processor time of a process, seconds."""
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written_bytes(pid: int) -> int:
    """Return what a process had written to the disk."""
    return int(re.findall(r"^write_bytes: (\d+)", Path(f"/proc/{pid}/io").read_text(), re.MULTILINE)[0])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1]}-{row[2]}-{row[3]:.0f}")
def test_sizing(
    row: tuple[int, str, int, float, int],
    broker_with: Callable[[str], Any],
    box_at: Callable[..., Box],
    report: Callable[..., None],
) -> None:
    window_s = float(os.environ.get("FORETELL_SIZING_S", "0"))
    if not window_s:
        pytest.skip("make sizing runs it")
    n_streams, sharing, ensemble, rate, n_fill = row
    broker = broker_with(PATIENT_BROKER)
    box = box_at(broker.port, Plain)
    assert isinstance(box, Plain)
    box.use(broker.port, sharing, ensemble)
    box.start()
    wait_until(lambda: box.status().get("mqtt", {}).get("subscribed"), "the daemon has subscribed")
    plan, ear = Plan(n_streams, rate, n_quiet=n_fill, every=150), Ear(broker.port)
    fill = Load(broker.port, plan, n_streams * n_fill, rate=FILL_RATE)
    fill.start()
    accepted = 'readings_total{outcome="accepted"}'
    wait_until(lambda: box.metric(accepted) >= n_streams * n_fill, "streams are settled", 600.0)
    taught, n_networks = 'finetune_runs_total{outcome="accepted"}', n_streams if sharing == "stream" else 1
    wait_until(lambda: box.metric(taught) >= 0.9 * n_networks, "networks are fine-tuned", 600.0)
    load = Load(broker.port, plan, first=n_streams * n_fill)
    load.start()
    time.sleep(5.0)
    pid, child = box.process.pid, box.child
    before = (time.monotonic(), cpu_s(pid), cpu_s(child), written_bytes(pid), fine_tunes(box))
    time.sleep(window_s)
    after = (time.monotonic(), cpu_s(pid), cpu_s(child), written_bytes(pid), fine_tunes(box))
    took_s, own_s, child_s, n_bytes, tuned = (np.array(after, object) - np.array(before, object)).tolist()
    memory, most = (pss_mb(pid), pss_mb(child)), (most_mb(pid), most_mb(child))
    n = load.finish()
    wait_until(lambda: box.metric(accepted) >= n, "all is scored")
    wait_until(lambda: box.metric("outbox_depth") == 0, "all is published")
    delays = delays_s(ear, load)
    median_s, p99_s = np.quantile(delays, [0.5, 0.99]).round(2).tolist() if delays else (None, None)
    report(
        cores=round(own_s / took_s, 2),
        trainer_cores=round(child_s / took_s, 2),
        memory_mb=round(memory[0]),
        trainer_mb=round(memory[1]),
        most_mb=round(most[0]),
        trainer_most_mb=round(most[1]),
        written_gb_per_day=round(n_bytes / took_s * DAY_S / 1e9, 1),
        fine_tunes=int(tuned[0]),
        late=int(tuned[1]),
        alerts=len(delays),
        alert_p50_s=median_s,
        alert_p99_s=p99_s,
        load_average=os.getloadavg()[0],
    )
    assert box.terminate() == 0
    ear.close()
    assert n >= rate * window_s


def fine_tunes(box: Box) -> Any:  # noqa: ANN401 - two figures that can be subtracted
    """Return how many networks were fine-tuned so far, and how many of these were taken over late."""
    late = box.metric('finetune_runs_total{outcome="late"}')
    return np.array([box.metric("finetune_runs_total") - late, late])
