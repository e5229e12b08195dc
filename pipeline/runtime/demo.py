"""The demo: a simulated plant in a child process, the very daemon of ``foretell run`` here.

Comes in: a duration and a seed. Goes out: what is seen on the way, and the outcome. The plant may
run ahead of the daemon by a second or so, no further: a slow machine sees the same run, later. This
module refuses to know how anything is found.
"""

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live

from pipeline.core.edge_settings import MqttSettings, TopicSettings
from pipeline.core.errors import ForetellError
from pipeline.core.settings import Settings
from pipeline.runtime.broker import HOST, require_amqtt
from pipeline.runtime.demo_report import DemoOutcome, fault_line, finding_line, moment
from pipeline.runtime.demo_table import fleet_table
from pipeline.runtime.demo_verdict import Finding, found_s
from pipeline.runtime.demo_watch import DaemonThread
from pipeline.runtime.plant import TOPIC
from pipeline.runtime.plant_process import PlantProcess
from pipeline.runtime.session import FleetView
from pipeline.sources.simulator import DAY_STEPS, STEP_S, Plant, simulate

#: Pace of the plant: some 1,200 readings/s, which two cores keep up with while they also train.
STEPS_PER_S = 40.0
#: Steps that the plant may be ahead of the daemon; its view is up to half a second old, which is 20 steps.
_LEAD_STEPS = 48
_POLL_S = 0.1
#: Longest run: planned durations, and seconds; then a machine that cannot keep up gets its summary so far.
_PATIENCE, _PATIENCE_S = 2.0, 30.0
#: Without a new reading for so long all have arrived, or nothing moves any more, seconds.
_SETTLE_S, _STUCK_S = 5.0, 60.0
_ROWS_BESIDE_TABLE, _MIN_ROWS = 16, 4


def demo_settings(port: int) -> Settings:
    """Return the daemon's settings: the defaults, but for the plant's broker and topics.

    The embedded broker speaks MQTT 3.1.1. Detection and training are those of any new user.
    """
    topics = (TopicSettings(topic=f"{TOPIC}/{{device}}", stream="{device}"),)
    mqtt = MqttSettings(host=HOST, port=port, protocol="3.1.1", client_id="foretell-demo", topics=topics)
    return Settings(site="demo", mqtt=mqtt)


def run_demo(duration_s: float, seed: int, console: Console, stop: threading.Event) -> DemoOutcome:
    """Run plant and daemon, and show what happens.

    Args:
        duration_s: Planned wall time of the plant, seconds.
        seed: Seed of the plant.
        console: Where faults, alerts and, on a terminal, the live table go.
        stop: Set by anybody to end the run early.

    Returns:
        What was planted, what was found, and how fast it went.

    Raises:
        UsageError: The broker's library is not installed.
        ForetellError: Plant or daemon ended by themselves.
    """
    require_amqtt()
    n_steps = round(duration_s * STEPS_PER_S)
    span_s = (n_steps + DAY_STEPS) * STEP_S  # ends a day ago: event times never run ahead of the clock
    start_s = int(time.time() - span_s) // 86_400 * 86_400
    plant = simulate(seed, n_steps, start_s)
    _say(console, f"Starting a plant of {len(plant.values)} sensors, its broker, and the daemon.")
    with PlantProcess(seed, n_steps, start_s, STEPS_PER_S) as process:
        with DaemonThread(demo_settings(process.wait_for_port())) as daemon, _Screen(plant, console) as screen:
            run = _Run(plant, process, daemon, screen)
            run.watch(stop, _PATIENCE * duration_s + _PATIENCE_S)
        run.look()  # what the daemon scored while it ended
    return run.outcome(seed)


class _Run:
    """Follows plant and daemon, and keeps them together."""

    def __init__(self, plant: Plant, process: PlantProcess, daemon: DaemonThread, screen: "_Screen") -> None:
        self._plant = plant
        self._process = process
        self._daemon = daemon
        self._screen = screen
        self._findings: list[Finding] = []
        self._reached = -1
        self._n_readings = 0
        self._first_s = self._last_s = time.monotonic()

    def watch(self, stop: threading.Event, limit_s: float) -> None:
        """Follow until all is scored, somebody says stop, or the limit has passed."""
        while not stop.wait(_POLL_S):
            self.look()
            self._daemon.check()
            self._process.check()
            self._process.allow(self._reached + 1 + _LEAD_STEPS)
            if self._is_over() or time.monotonic() - self._first_s > limit_s:
                return

    def look(self) -> None:
        """Take what is new since the last look, and show it."""
        view, findings = self._daemon.view, self._daemon.new_findings()
        newest_s = max([*view.time.tolist(), *(each.at_s for each in findings)], default=0.0)
        self._reached = max(self._reached, round((newest_s - self._plant.start_s) / STEP_S))
        self._note_progress(int(view.n_readings.sum()))
        self._findings += findings
        self._screen.tell(self._reached, findings)
        self._screen.show(view, self._reached)

    def outcome(self, seed: int) -> DemoOutcome:
        """Return how it went so far."""
        seconds = self._last_s - self._first_s
        return DemoOutcome(self._plant, seed, tuple(self._findings), self._reached, self._n_readings, seconds)

    def _note_progress(self, n_readings: int) -> None:
        if n_readings > self._n_readings:
            self._last_s = time.monotonic()
            self._first_s = self._first_s if self._n_readings else self._last_s
            self._n_readings = n_readings

    def _is_over(self) -> bool:
        if self._n_readings >= self._plant.n_readings:
            return True
        quiet_s = time.monotonic() - self._last_s
        if quiet_s > _STUCK_S:
            raise ForetellError(f"no reading was scored for {quiet_s:.0f} s, at step {self._reached} of the plant")
        return self._process.step >= self._plant.n and quiet_s > _SETTLE_S


class _Screen:
    """Faults, alerts and verdicts as lines; on a terminal the fleet below them, live."""

    def __init__(self, plant: Plant, console: Console) -> None:
        self._plant = plant
        self._console = console
        self._untold = list(plant.faults)
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def tell(self, reached: int, findings: list[Finding]) -> None:
        """Print the faults that have struck and what was found, in the order of event time."""
        struck = [fault for fault in self._untold if fault.start <= reached]
        del self._untold[: len(struck)]
        lines = [(float(self._plant.time_s(fault.start)), fault_line(self._plant, fault)) for fault in struck]
        lines += [(found_s(each), finding_line(self._plant, each)) for each in findings]
        for _, line in sorted(lines, key=lambda timed: timed[0]):  # stable: a fault before what it causes
            _say(self._console, line)

    def show(self, view: FleetView, reached: int) -> None:
        """Redraw the live table."""
        if self._live:
            n_rows = max(_MIN_ROWS, self._console.height - _ROWS_BESIDE_TABLE)
            title = f"{moment(self._plant, reached)} of {self._plant.n // DAY_STEPS} days, {len(view.names)} streams"
            self._live.update(fleet_table(view, title, n_rows), refresh=True)


def _say(console: Console, line: str) -> None:
    """Print a line as it is: no markup, no colours of its own, not wrapped when it is piped."""
    console.print(line, markup=False, highlight=False, soft_wrap=True)
