"""Files that are there whole or not at all: written beside, synced, renamed, and the folder synced.

Comes in: chunks of bytes. Goes out: files named by the SHA-256 of their content, so that a name vouches for it. Also
the lock that keeps a second daemon out, and the ballast that is given up when the disk is full.
"""

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from pipeline.core.errors import ForetellError, UsageError

_PARTIAL = ".partial"
_FULL = {errno.ENOSPC, errno.EDQUOT}


class StoreError(ForetellError):
    """State cannot be written or read, and going on would lose what was promised."""


class StoreFullError(StoreError):
    """There is no room; what could not be written may be tried again."""


def storage_error(what: Path, error: OSError) -> StoreError:
    """Return the error that follows from one of the operating system's."""
    kind = StoreFullError if error.errno in _FULL else StoreError
    return kind(f"{what}: {error.strerror}")


def write_named(folder: Path, suffix: str, chunks: Iterable[bytes | memoryview]) -> tuple[str, int]:
    """Write a file named by the SHA-256 of its content; it is on disk when this returns.

    Args:
        folder: Where.
        suffix: End of the name.
        chunks: The content.

    Returns:
        The name, and the size in bytes.

    Raises:
        StoreFullError: There is no room; nothing is left behind.
        StoreError: It cannot be written.
    """
    partial = folder / f"new{suffix}{_PARTIAL}"
    digest, size = hashlib.sha256(), 0
    try:
        with partial.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                size += len(chunk)
            file.flush()
            os.fsync(file.fileno())
        name = f"{digest.hexdigest()}{suffix}"
        partial.rename(folder / name)
        sync_folder(folder)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise storage_error(folder, error) from error
    return name, size


def write_file(path: Path, data: bytes) -> None:
    """Write a file of any name, and its folder where it is not there; it is on disk, whole, when this returns.

    Raises:
        StoreFullError: There is no room; nothing is left behind.
        StoreError: It cannot be written.
    """
    partial = path.with_name(path.name + _PARTIAL)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise storage_error(path, error) from error


def read_named(path: Path) -> bytes:
    """Return the content of a file that ``write_named`` wrote.

    Raises:
        ValueError: It is missing, unreadable, or its content is not what its name vouches for.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path.name}: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != path.name.partition(".")[0]:
        raise ValueError(f"{path.name}: damaged, its checksum does not agree")
    return data


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder last."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock_folder(folder: Path, where: str = "store.path") -> int:
    """Make a folder, and lock it until the handle returned is closed or the process ends.

    Args:
        folder: The folder.
        where: Setting that names it, for errors.

    Raises:
        UsageError: It cannot be made or written, or another daemon has it.
    """
    remedy = "name a folder that Foretell may write, or none"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageError(where, f"cannot use {folder}: {error.strerror}", remedy) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        problem = f"another daemon uses {folder}" if error.errno == errno.EWOULDBLOCK else f"cannot lock {folder}"
        raise UsageError(where, problem, "stop it, or give each daemon a folder of its own") from None
    return handle


def disk_figures(folder: Path) -> dict[str, float]:
    """Return room and size of the disk that holds a folder, bytes, by metric name; nothing where it does not tell."""
    try:
        disk = os.statvfs(folder)
    except OSError:
        return {}
    return {
        "disk_free_bytes": float(disk.f_bavail * disk.f_frsize),
        "disk_size_bytes": float(disk.f_blocks * disk.f_frsize),
    }


class Ballast:
    """A file that takes room until there is none.

    Args:
        path: Where it is.
        size_bytes: Its size; 0 for none.
    """

    def __init__(self, path: Path, size_bytes: int) -> None:
        self._path = path
        self._size_bytes = size_bytes

    def load(self) -> bool:
        """Take the room, if there is any; say whether it is taken."""
        try:
            if not self._size_bytes or (self._path.exists() and self._path.stat().st_size >= self._size_bytes):
                return True
            with self._path.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, self._size_bytes)
        except OSError:
            self.give_up()
            return False
        return True

    def give_up(self) -> bool:
        """Free the room; say whether there was any."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
