"""Networks for all shards, in files that never change: a name says from which position of the log on they are in force.

Comes in: networks and a position. Goes out: a file, or networks again, and which of them are in force at a position.
The driver notes in each batch how many it knew of, so that a batch that is run again takes the same ones.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings
from pipeline.flow.sealing import SnapshotError
from pipeline.store.files import write_file

if TYPE_CHECKING:  # who plans batches needs no torch
    from pipeline.flow.state import Model

_NAME = re.compile(r"(\d{20})-([0-9a-f]{16})\.safetensors")
_N_DIGITS = 16


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Networks that are in force from a position of the log on.

    Attributes:
        since: The position.
        name: Name of the file.
    """

    since: int
    name: str


def versions(folder: Path) -> list[Version]:
    """Return the networks in a folder, oldest first; none where it is not there."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(Version(int(match[1]), name) for name in names if (match := _NAME.fullmatch(name)))


def in_force(known: Sequence[Version], position: int) -> str:
    """Return the name of the networks in force at a position; empty for the initial ones.

    Example:
        >>> known = [Version(0, "a"), Version(100, "b")]
        >>> in_force(known, 99), in_force(known, 100), in_force([], 5)
        ('a', 'b', '')
    """
    return next((version.name for version in reversed(known) if version.since <= position), "")


def publish(folder: Path, model: "Model", since: int) -> Version:
    """Write networks that are in force from a position on; the file is there whole when this returns.

    Raises:
        UsageError: There are others that are in force from that position, or a later one, on.
        StoreError: It cannot be written.
    """
    from pipeline.flow.snapshot import copy_model

    if (known := versions(folder)) and known[-1].since >= since:
        problem = f"networks are in force from position {known[-1].since} on already, and the log goes to {since}"
        raise UsageError(str(folder), problem, "fine-tune again when there are new readings")
    data = b"".join(copy_model(model).chunks())
    version = Version(since, f"{since:020d}-{sha256(data).hexdigest()[:_N_DIGITS]}.safetensors")
    write_file(folder / version.name, data)
    return version


def read_weights(folder: Path, settings: Settings, name: str) -> "Model":
    """Return the networks of a name.

    Raises:
        SnapshotError: It is missing, damaged, or made with other settings.
    """
    from pipeline.flow.snapshot import parse_model

    path = folder / Path(name).name
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from None
    match = _NAME.fullmatch(path.name)
    if match is None or sha256(data).hexdigest()[:_N_DIGITS] != match[2]:
        raise SnapshotError(f"{path}: damaged, its checksum does not agree")
    return parse_model(data, settings)
