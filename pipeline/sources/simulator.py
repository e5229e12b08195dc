"""The simulated plant: eight devices that send flat JSON, and the faults planted among their readings.

Comes in: a seed, a number of steps and a starting time. Goes out: the messages of each step, and the
ground truth. The same arguments give the same bytes. This module refuses to know brokers and clocks.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64, I64, Bool
from pipeline.sources.simulator_devices import EVERY, SENSORS, healthy_plant
from pipeline.sources.simulator_faults import Fault, plant_faults
from pipeline.sources.simulator_signals import DAY_STEPS, STEP_S, on_change, quantised

__all__ = ["DAY_STEPS", "STEP_S", "Fault", "Plant", "simulate"]


@dataclass(frozen=True, slots=True)
class Plant:
    """One run of the plant, all of it.

    Attributes:
        start_s: Event time of step 0, Unix seconds.
        n: Steps.
        values: What each sensor shows, sensor's unit, by stream, each shape (T,).
        sends: Steps in which each stream sends a reading, by stream, each shape (T,).
        faults: The ground truth, by time.
    """

    start_s: int
    n: int
    values: dict[str, F64]
    sends: dict[str, Bool]
    faults: tuple[Fault, ...]

    def time_s(self, step: int) -> int:
        """Return the event time of a step, Unix seconds."""
        return self.start_s + step * STEP_S

    @property
    def n_readings(self) -> int:
        """Readings that all streams send in the whole run."""
        return int(sum(sends.sum() for sends in self.sends.values()))

    def messages(self, step: int) -> list[tuple[str, bytes]]:
        """Return what the devices send in a step: (device, flat JSON object with ``time``)."""
        sent: dict[str, dict[str, float]] = {}
        for stream, values in self.values.items():
            if self.sends[stream][step]:
                device, sensor = stream.split("/")
                fields = sent.setdefault(device, {"time": self.time_s(step)})
                fields[sensor] = round(float(values[step]), 3)
        return [(device, json.dumps(fields).encode()) for device, fields in sent.items()]

    def reading_steps(self, stream: str) -> I64:
        """Return the steps in which a stream sends, ascending."""
        return np.flatnonzero(self.sends[stream])

    def step_after(self, stream: str, step: int, n_readings: int) -> int:
        """Return the step of a stream's ``n_readings``-th reading from ``step`` on.

        The last step of the run when there are not so many; 1 asks for the first at or after ``step``.
        """
        steps = self.reading_steps(stream)
        index = int(np.searchsorted(steps, step)) + n_readings - 1
        return int(steps[index]) if index < len(steps) else self.n - 1


def simulate(
    seed: int, n: int, start_s: int, *, faulty: bool = True, faults: Sequence[tuple[str, int]] | None = None
) -> Plant:
    """Simulate the plant.

    Args:
        seed: Seed of every random number.
        n: Steps of ``STEP_S`` seconds; more steps never change the healthy readings of earlier ones.
        start_s: Event time of step 0, Unix seconds; midnight, where the daily cycles begin.
        faulty: Plant the faults; otherwise the plant stays in good health.
        faults: Name and first step of each that is planted; None for all of them, evenly apart.

    Raises:
        ValueError: A fault that was named is none, or does not fit.

    Example:
        >>> device, payload = simulate(seed=1, n=3, start_s=1772323200).messages(0)[2]
        >>> device, payload[:42]
        ('chiller', b'{"time": 1772323200, "supply_temperature":')
    """
    healthy = healthy_plant(seed, n)
    shown, planted = plant_faults(healthy, seed, faults) if faulty and n else (healthy, ())
    values = {stream: quantised(column, SENSORS[stream].resolution) for stream, column in shown.items()}
    return Plant(start_s, n, values, {stream: _sends(stream, column) for stream, column in values.items()}, planted)


def _sends(stream: str, values: F64) -> Bool:
    """Return the steps in which a stream sends: its device's cadence, or its own changes."""
    deadband = SENSORS[stream].deadband
    if deadband:
        return on_change(values, deadband)
    device, _ = stream.split("/")
    sends: Bool = np.arange(len(values)) % EVERY.get(device, 1) == 0
    return sends
