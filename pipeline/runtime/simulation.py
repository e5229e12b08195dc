"""The simulated plant as a recording: what the demo publishes, written to a file to be replayed.

Comes in: a seed, a number of days and a file name. Goes out: a wide CSV, one column per stream, and
the ground truth for whoever asks.
"""

import csv
from datetime import UTC, datetime
from pathlib import Path

from pipeline.core.errors import ForetellError
from pipeline.sources.simulator import DAY_STEPS, Fault, Plant, simulate

#: Event time of the first reading: a Monday, 2026-01-05T00:00:00Z.
START_S = 1767571200


def write_plant(path: Path, seed: int, days: int) -> tuple[Plant, tuple[Fault, ...]]:
    """Simulate the plant and write its readings.

    Args:
        path: CSV file to write: ``timestamp`` and one column per stream; a cell is empty where the
            sensor sent nothing.
        seed: Seed of every random number; the same seed gives the same bytes.
        days: Simulated days, at least 1.

    Returns:
        The plant and the faults planted in it.

    Raises:
        ForetellError: The file cannot be written.
    """
    plant = simulate(seed, days * DAY_STEPS, START_S)
    columns = [
        [f"{value:.10g}" if sends else "" for value, sends in zip(values, plant.sends[stream], strict=True)]
        for stream, values in plant.values.items()
    ]
    times = (iso(plant.time_s(step)) for step in range(plant.n))
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["timestamp", *plant.values])
            writer.writerows(zip(times, *columns, strict=True))
    except OSError as error:
        raise ForetellError(f"{path}: cannot be written: {error.strerror}") from None
    return plant, plant.faults


def iso(time_s: float) -> str:
    """Return an event time as ISO 8601, UTC.

    Example:
        >>> iso(1767571200)
        '2026-01-05T00:00:00Z'
    """
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
