"""The folder of MSL: channels with telemetry and commands, and the labelled sequences of their test parts.

Comes in: the folder with ``NAME.npz`` and ``labels.json``. Goes out: channels, or one clear line about what is wrong
with them. Refuses to know the engine.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, U8
from pipeline.evaluate.events import Span

LABELS = "labels.json"
_FORM = '{"M-6": {"anomaly_sequences": [[1850, 2030]]}}'
_KEYS = "an .npz file with train_value, train_commands, test_value and test_commands"


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of telemetry.

    Attributes:
        name: Such as ``M-6``.
        train: Values of the training part, float64, shape (N,).
        test: Values of the test part, shape (M,).
        train_commands: Whether each command was sent, 0 or 1, uint8, shape (N, C).
        test_commands: Shape (M, C).
        labels: Anomalous sequences of the test part, first and last position.
    """

    name: str
    train: F64
    test: F64
    train_commands: U8
    test_commands: U8
    labels: tuple[Span, ...]

    def __len__(self) -> int:
        """Return the number of readings, training and test."""
        return len(self.train) + len(self.test)


def read_msl(folder: Path, patterns: Sequence[str] = ()) -> list[Channel]:
    """Read labelled channels.

    Args:
        folder: Holds ``labels.json`` and an ``.npz`` file per channel it names.
        patterns: Channels to take, ``*`` stands for anything; all when empty.

    Returns:
        Channels by name.

    Raises:
        UsageError: A file is missing or malformed, or a pattern fits no channel.
    """
    labels = read_sequences(folder / LABELS)
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in labels):
            raise UsageError(f"--files {pattern}", "fits no channel", f"name some of {', '.join(sorted(labels)[:5])}")
    names = [name for name in sorted(labels) if not patterns or any(fnmatch(name, pattern) for pattern in patterns)]
    return [_channel(folder / f"{name}.npz", labels[name]) for name in names]


def read_sequences(path: Path) -> Mapping[str, tuple[Span, ...]]:
    """Read the labelled sequences of every channel: first and last position in its test part.

    Raises:
        UsageError: Not there, not JSON, or not of that form.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        labels = {
            _file_name(name): tuple((float(first), float(last)) for first, last in entry["anomaly_sequences"])
            for name, entry in found.items()
        }
    except OSError as error:
        raise UsageError(str(path), f"cannot be read: {error.strerror}", "get the folder whole") from None
    except (ValueError, AttributeError, TypeError, KeyError):
        raise UsageError(str(path), "holds no labelled sequences", f"write them as {_FORM}") from None
    if not labels:
        raise UsageError(str(path), "labels no channel", f"write them as {_FORM}")
    return labels


def _file_name(name: str) -> str:
    """Refuse a name that leads out of the folder."""
    if Path(name).name != name:
        raise ValueError(name)
    return name


def _channel(path: Path, labels: tuple[Span, ...]) -> Channel:
    """Read one channel and check that its parts fit each other."""
    try:
        with np.load(path) as arrays:
            parts = {part: (arrays[f"{part}_value"], arrays[f"{part}_commands"]) for part in ("train", "test")}
    except OSError as error:
        problem = f"cannot be read: {error.strerror or 'it is no .npz file'}"
        raise UsageError(str(path), problem, "get the folder whole, or take the channel out of the labels") from None
    except (ValueError, KeyError, EOFError, BadZipFile, TypeError):
        raise UsageError(str(path), "holds no channel", f"make it {_KEYS}") from None
    train, train_commands = _checked(path, *parts["train"])
    test, test_commands = _checked(path, *parts["test"])
    if train_commands.shape[1] != test_commands.shape[1]:
        raise UsageError(str(path), "has other commands in training than in the test", f"make it {_KEYS}")
    if any(not 0 <= first <= last < len(test) for first, last in labels):
        raise UsageError(str(path), "is labelled outside its test part", f"mend {LABELS}")
    return Channel(path.stem, train, test, train_commands, test_commands, labels)


def _checked(path: Path, value: NDArray[np.generic], commands: NDArray[np.generic]) -> tuple[F64, U8]:
    """Return values and commands of a part, as numbers of the right shape."""
    is_numeric = value.dtype.kind in "fiu" and commands.dtype.kind in "buif"
    if not is_numeric or value.ndim != 1 or commands.ndim != 2 or len(commands) != len(value):  # noqa: PLR2004 - rows, columns
        raise UsageError(str(path), "has values and commands that do not fit each other", f"make it {_KEYS}")
    if not np.isfinite(value.astype(np.float64)).all() or not np.isin(commands, (0, 1)).all():
        raise UsageError(str(path), "has values that are no numbers, or commands other than 0 and 1", "mend it")
    return value.astype(np.float64), commands.astype(np.uint8)
