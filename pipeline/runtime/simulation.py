"""The simulated plant for whoever wants its readings: as a table, as a recording of messages, or to a broker.

Comes in: a seed, a number of days, faults by name and time. Goes out: what the demo publishes, and the ground truth.
"""

import csv
import json
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipeline.core.durations import seconds_in
from pipeline.core.errors import ForetellError, UsageError
from pipeline.runtime.plant import TOPIC
from pipeline.sources.inbox import Message
from pipeline.sources.message_files import SUFFIXES, new_message_file
from pipeline.sources.messages import MessageHeader
from pipeline.sources.simulator import DAY_STEPS, STEP_S, Plant, simulate

#: Event time of the first reading of a file: a Monday, 2026-01-05T00:00:00Z.
START_S = 1767571200
#: How a configuration reads the plant's topics.
ENTRY = {"topic": f"{TOPIC}/{{device}}", "stream": "{device}"}


def simulated(seed: int, days: int, start_s: int = START_S, faults: Sequence[str] | None = None) -> Plant:
    """Simulate the plant.

    Args:
        seed: Seed of every random number; the same seed gives the same readings.
        days: Simulated days, at least 1.
        start_s: Event time of the first reading, Unix seconds.
        faults: ``NAME@TIME`` of each; none at all for an empty list; None for all of them, evenly apart.

    Raises:
        UsageError: A fault is none, or does not fit.
    """
    wanted = None if faults is None else [_fault(each, start_s) for each in faults]
    try:
        return simulate(seed, days * DAY_STEPS, start_s, faults=wanted)
    except ValueError as error:
        problem, _, remedy = str(error).partition("; ")
        raise UsageError("--fault", problem, remedy or "choose another") from None


def _fault(text: str, start_s: int) -> tuple[str, int]:
    """Return name and first step of ``NAME@TIME``; a time is ISO 8601, or a duration since the first reading."""
    name, _, at = text.partition("@")
    try:
        offset_s = seconds_in(at)
    except ValueError:
        try:
            offset_s = time_in(at) - start_s
        except ValueError:
            remedy = "write NAME@TIME, such as door_ajar@2026-01-12T03:00 or surge@7.5d"
            raise UsageError(f"--fault {text}", "has no time", remedy) from None
    return name, round(offset_s / STEP_S)


def time_in(text: str) -> int:
    """Return a time of ISO 8601 in Unix seconds; without a zone it is UTC; ``now`` is now.

    Raises:
        ValueError: It is none.

    Example:
        >>> time_in("2026-01-05") == START_S
        True
    """
    if text == "now":
        return int(time.time())
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def recent_start_s(days: int) -> int:
    """Return the midnight from which a run of so many days is over by today: its times are never ahead of the clock."""
    return int(time.time()) // 86_400 * 86_400 - days * 86_400


def messages_of_plant(plant: Plant) -> Iterator[Message]:
    """Yield what the plant publishes, as if each message arrived when it was measured."""
    for step in range(plant.n):
        arrival_s = float(plant.time_s(step))
        for device, payload in plant.messages(step):
            yield Message(f"{TOPIC}/{device}", payload, retained=False, arrival_s=arrival_s)


def write_plant(plant: Plant, path: Path) -> None:
    """Write the plant's readings.

    Args:
        plant: What was simulated.
        path: File to write: ``.jsonl`` or ``.parquet`` for a recording of messages; otherwise CSV, ``timestamp`` and
            one column per stream, a cell empty where the sensor sent nothing.

    Raises:
        ForetellError: The file cannot be written.
    """
    try:
        if path.suffix.lower() in SUFFIXES:
            file = new_message_file(path, MessageHeader([ENTRY]), "--output", force=True)
            for message in messages_of_plant(plant):
                file.write(message)
            file.close()
        else:
            _write_table(plant, path)
    except OSError as error:
        raise ForetellError(f"{path}: cannot be written: {error.strerror}") from None


def _write_table(plant: Plant, path: Path) -> None:
    columns = [
        [f"{value:.10g}" if sends else "" for value, sends in zip(values, plant.sends[stream], strict=True)]
        for stream, values in plant.values.items()
    ]
    times = (iso(plant.time_s(step)) for step in range(plant.n))
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["timestamp", *plant.values])
        writer.writerows(zip(times, *columns, strict=True))


def ground_truth(plant: Plant, seed: int) -> dict[str, Any]:
    """Return what was planted: for each fault its name, stream, kind, first and last time, and who else moves."""
    return {
        "seed": seed,
        "start": iso(plant.start_s),
        "end": iso(plant.time_s(plant.n - 1)),
        "step_s": STEP_S,
        "n_readings": plant.n_readings,
        "faults": [
            {
                "name": fault.name,
                "stream": fault.stream,
                "kind": fault.kind,
                "start": iso(plant.time_s(fault.start)),
                "end": iso(plant.time_s(fault.end - 1)),
                "affected": list(fault.affected),
                "story": fault.story,
            }
            for fault in plant.faults
        ],
    }


def write_truth(plant: Plant, seed: int, path: Path) -> None:
    """Write the ground truth as JSON.

    Raises:
        ForetellError: The file cannot be written.
    """
    try:
        path.write_text(json.dumps(ground_truth(plant, seed), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ForetellError(f"{path}: cannot be written: {error.strerror}") from None


def plant_text(plant: Plant, where: str) -> str:
    """Return what goes where, and the faults planted in it, as lines."""
    n = len(plant.faults)
    lines = [f"{where}: {plant.n_readings:,} readings of {len(plant.values)} streams, {n} planted faults"]
    for each in plant.faults:
        span = f"{iso(plant.time_s(each.start))} to {iso(plant.time_s(each.end - 1))}"
        lines.append(f"  {span}  {each.name}  {each.stream}  {each.kind}: {each.story}")
    return "\n".join(lines)


def iso(time_s: float) -> str:
    """Return an event time as ISO 8601, UTC.

    Example:
        >>> iso(1767571200)
        '2026-01-05T00:00:00Z'
    """
    return datetime.fromtimestamp(time_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
