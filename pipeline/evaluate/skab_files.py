"""The folder of SKAB: experiments on a water circulation test bed, and one run without an anomaly.

Comes in: the folder with ``valve1/*.csv`` and ``anomaly-free/*.csv``. Goes out: experiments, or one clear line about
what is wrong with them. Refuses to know the engine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, Bool
from pipeline.sources.recording import read_recording

FAULTY, CLEAN = "valve1", "anomaly-free"
_ANOMALY, _CHANGE = "anomaly", "changepoint"


@dataclass(frozen=True, slots=True)
class Experiment:
    """One run of the test bed.

    Attributes:
        name: Folder and file, such as ``valve1/3``.
        sensors: Names of its sensors.
        time: Event time of each row, Unix seconds, ascending, shape (N,).
        value: Readings, shape (N, S).
        is_anomalous: Labelled as anomalous, shape (N,).
        is_change: Something changed here: an anomaly began or ended, or a valve was moved, shape (N,).
    """

    name: str
    sensors: tuple[str, ...]
    time: F64
    value: F64
    is_anomalous: Bool
    is_change: Bool

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.time)


def read_skab(folder: Path, patterns: Sequence[str] = ()) -> list[Experiment]:
    """Read experiments, those with a fault first.

    Args:
        folder: SKAB's.
        patterns: Experiments to take, ``*`` stands for anything; all when empty.

    Raises:
        UsageError: No file, a malformed one, or a pattern that fits none.
    """
    paths = {
        _name(path): path for part in (FAULTY, CLEAN) for path in sorted((folder / part).glob("*.csv"), key=_order)
    }
    if not paths:
        raise UsageError(str(folder), f"holds no .csv file in {FAULTY}/ or {CLEAN}/", "get the folder whole")
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in paths):
            raise UsageError(f"--files {pattern}", "fits no experiment", f"name some of {', '.join(list(paths)[:3])}")
    taken = {name: path for name, path in paths.items() if not patterns or any(fnmatch(name, p) for p in patterns)}
    return [_experiment(name, path) for name, path in taken.items()]


def _name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def _order(path: Path) -> tuple[int, str]:
    """Sort 2 before 10."""
    return (int(path.stem) if path.stem.isdecimal() else -1, path.stem)


def _experiment(name: str, path: Path) -> Experiment:
    """Read one file."""
    recording = read_recording(path, name)
    readings = recording.readings
    last = [stream.rpartition("/")[2] for stream in readings.names]
    rows = [readings.stream == i for i in range(len(last))]
    time = readings.time[rows[0]]
    if recording.bad or len(last) < 2 or any(not np.array_equal(readings.time[own], time) for own in rows):  # noqa: PLR2004 - a sensor or more
        raise UsageError(str(path), "has no row for every sensor and moment", "get the file whole")
    if (np.diff(time) <= 0).any() or not np.isfinite(readings.value).all():
        raise UsageError(str(path), "has rows out of order, or cells that are no number", "get the file whole")
    columns = {column: readings.value[own] for column, own in zip(last, rows, strict=True)}
    flags = {flag: columns.pop(flag, np.zeros(len(time))) > 0 for flag in (_ANOMALY, _CHANGE)}
    if path.parent.name == FAULTY and not flags[_CHANGE].any():
        raise UsageError(str(path), f"has no column {_CHANGE} with a change in it", "get the file whole")
    value = np.stack(list(columns.values()), axis=1)
    return Experiment(name, tuple(columns), time, value, flags[_ANOMALY], flags[_CHANGE])
