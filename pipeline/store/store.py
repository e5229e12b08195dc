"""The store: a journal of what happened, snapshots of the state, and messages to publish, in one folder.

Comes in: commits, and the parts of snapshots. Goes out: what a start needs to go on where the last commit left off.
A commit is one transaction: what it holds is on disk, all of it, when ``commit`` returns. What is damaged is put aside,
never repaired by guessing. This module refuses to know what the bytes mean.
"""

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.core.store_settings import StoreSettings
from pipeline.store.database import DamagedError, connect, transaction, translated
from pipeline.store.files import (
    Ballast,
    StoreFullError,
    disk_figures,
    lock_folder,
    read_named,
    sync_folder,
    write_named,
)
from pipeline.store.pins import Pin, bounded, dump_pins, load_pins
from pipeline.store.sealed import seal, unseal

#: Snapshots kept, newest first: one that turns out to be damaged does not cost what was learnt.
N_CHECKPOINTS = 3
_STATES, _MODELS = "states", "models"
_SUFFIX = ".safetensors"
_PINS = "pins"
_MB, _DAY_S = 1 << 20, 86_400.0
#: Beyond this a position is damaged: ten thousand entries a second for a century.
_MAX_POSITION = 1 << 45

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Commit:
    """What one transaction writes.

    Attributes:
        journal: Entries, oldest first; each gets the next position.
        outbox: New messages to publish, as key and bytes, oldest first.
        sent: Keys of messages that need not be kept any more.
        notes: Short texts by name; each replaces the one before.
        pins: Decisions that must stay reproducible.
    """

    journal: list[bytes] = field(default_factory=list)
    outbox: list[tuple[str, bytes]] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    pins: list[Pin] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Say whether there is anything to write."""
        return bool(self.journal or self.outbox or self.sent or self.notes or self.pins)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A snapshot on disk.

    Attributes:
        position: Journal entries up to this one are in it; -1 where the database that knew is gone.
        state: Name of its state file.
        model: Name of its weights file; empty where the state file says.
    """

    position: int
    state: str
    model: str


class Store:
    """What survives a restart; for one thread, but for ``write_state`` and ``write_model``.

    Args:
        folder: Where; made if it is not there, and locked.
        settings: How much is kept.
        now_s: Gives the current time, Unix seconds.

    Attributes:
        folder: Where.
        found_damaged: What was damaged and has been put aside; empty for nothing.
        n_put_aside: Times that a database was.
        position: Of the newest journal entry; 0 for none.

    Raises:
        UsageError: The folder cannot be used, or another daemon uses it.
        StoreError: The disk is full, or cannot be written.
    """

    def __init__(self, folder: Path, settings: StoreSettings, now_s: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self.found_damaged = ""
        self.n_put_aside = 0
        self._settings = settings
        self._now_s = now_s
        self._lock = lock_folder(folder)
        self._path = folder / "foretell.db"
        self._ballast = Ballast(folder / "ballast", int(settings.ballast_mb * _MB))
        try:
            for name in (_STATES, _MODELS):
                (folder / name).mkdir(mode=0o700, exist_ok=True)
            self._connection = self._open()
            self._pins = load_pins(self.note(_PINS))
        except BaseException:
            os.close(self._lock)
            raise
        self._ballast.load()

    def close(self) -> None:
        """Close the database and give back the lock; a second call does nothing."""
        self._connection.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def commit(self, commit: Commit) -> None:
        """Write all of it, or nothing; it is on disk when this returns.

        When the disk is full, room is made once: the ballast goes, and so do past readings.

        Raises:
            StoreFullError: There is no room; nothing was written, and it may be tried again.
            StoreError: It cannot be written; whether it was is not known, and nothing must go on.
        """
        try:
            self._write_somehow(commit)
        except DamagedError as error:
            self.put_aside(str(error))
            self._write_somehow(commit)
        self.position += len(commit.journal)

    def journal(self, after: int) -> Iterator[bytes | None]:
        """Yield the entries after a position, oldest first; None for each damaged one, and for each gap."""
        expected = after + 1
        for position, sealed in self._rows("SELECT position, data FROM journal WHERE position > ? ORDER BY 1", after):
            if position != expected:
                yield None
            expected = position + 1
            try:
                yield unseal(f"journal {position}", sealed)
            except ValueError:
                yield None

    def newest_first(self) -> Iterator[bytes]:
        """Yield the sound entries of the journal, newest first."""
        for position, sealed in self._rows("SELECT position, data FROM journal ORDER BY position DESC"):
            with suppress(ValueError):
                yield unseal(f"journal {position}", sealed)

    def outbox(self) -> list[bytes]:
        """Return the messages that the broker has not acknowledged, oldest first; damaged ones are left out."""
        messages = []
        for key, sealed in self._rows("SELECT key, data FROM outbox ORDER BY seq"):
            try:
                messages.append(unseal(f"outbox {key}", sealed))
            except ValueError as error:
                _log.warning("kept message damaged", extra={"fields": {"why": str(error)}})
        return messages

    def note(self, name: str) -> str:
        """Return a short text; empty when there is none, or it is damaged."""
        for (sealed,) in self._rows("SELECT data FROM notes WHERE name = ?", name):
            with suppress(ValueError):
                return unseal(f"note {name}", sealed).decode()
        return ""

    def checkpoints(self) -> list[Checkpoint]:
        """Return the snapshots there are, newest first; where no database knows of them, by age of their files."""
        rows = self._rows("SELECT position, state, model FROM checkpoints ORDER BY position DESC")
        known = [Checkpoint(*row) for row in rows]
        if known:
            return known
        files = sorted((self.folder / _STATES).glob(f"*{_SUFFIX}"), key=lambda file: -file.stat().st_mtime_ns)
        return [Checkpoint(-1, file.name, "") for file in files]

    def read_state(self, name: str) -> bytes:
        """Return the content of a state file.

        Raises:
            ValueError: It is missing or damaged.
        """
        return read_named(self.folder / _STATES / Path(name).name)

    def read_model(self, name: str) -> bytes:
        """Return the content of a weights file.

        Raises:
            ValueError: It is missing or damaged.
        """
        return read_named(self.folder / _MODELS / Path(name).name)

    def write_state(self, chunks: Iterable[bytes | memoryview]) -> tuple[str, int]:
        """Write a state file; return its name and size in bytes. May run on a thread of its own."""
        return write_named(self.folder / _STATES, _SUFFIX, chunks)

    def write_model(self, chunks: Iterable[bytes | memoryview]) -> tuple[str, int]:
        """Write a weights file; return its name and size in bytes. May run on a thread of its own."""
        return write_named(self.folder / _MODELS, _SUFFIX, chunks)

    def point(self, checkpoint: Checkpoint) -> None:
        """Make a snapshot that is on disk the newest, and drop what no start needs any more.

        Raises:
            StoreFullError: There is no room; the snapshot before stays the newest.
            StoreError: It cannot be written.
        """
        row = (checkpoint.position, self._now_s(), checkpoint.state, checkpoint.model)
        with transaction(self._connection, self._path):
            self._connection.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?)", row)
            self._connection.execute(
                "DELETE FROM checkpoints WHERE position NOT IN "
                "(SELECT position FROM checkpoints ORDER BY position DESC LIMIT ?)",
                (N_CHECKPOINTS,),
            )
            self._delete_past(int(self._settings.journal_mb * _MB))
        self._remove_files()
        self._ballast.load()

    def put_aside(self, why: str) -> None:
        """Rename the database, and begin another; snapshots stay, and say themselves what they are."""
        with suppress(sqlite3.Error):
            self._connection.close()
        self._rename_damaged(why)
        self._connection = connect(self._path)
        self._pins = []

    def disk_figures(self) -> dict[str, float]:
        """Return room and size of the disk, bytes, by metric name; nothing where it does not tell."""
        return disk_figures(self.folder)

    def size_bytes(self) -> int:
        """Return the size of the database, bytes."""
        return sum(file.stat().st_size for file in self.folder.glob("foretell.db*"))

    def _open(self) -> sqlite3.Connection:
        connection = None
        try:
            connection = connect(self._path)
            self.position = _newest(connection, self._path)
        except DamagedError as error:
            if connection is not None:
                connection.close()
            self._rename_damaged(str(error))
            connection = connect(self._path)
            self.position = 0
        return connection

    def _rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        """Yield rows; where the database turns out to be damaged, it is put aside, and there are no more."""
        try:
            with translated(self._path):
                yield from self._connection.execute(query, values)
        except DamagedError as error:
            self.put_aside(str(error))

    def _rename_damaged(self, why: str) -> None:
        _log.error("database put aside", extra={"fields": {"why": why}})
        self.n_put_aside += 1
        self.found_damaged = why
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime(self._now_s()))
        target = self.folder / f"foretell.db.corrupt-{stamp}"
        n = 1
        while target.exists():
            n += 1
            target = self.folder / f"foretell.db.corrupt-{stamp}-{n}"
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self._path}{suffix}").rename(f"{target}{suffix}")
        for older in sorted(self.folder.glob("foretell.db.corrupt-*[0-9]"))[:-N_CHECKPOINTS]:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{older}{suffix}").unlink(missing_ok=True)
        sync_folder(self.folder)

    def _write_somehow(self, commit: Commit) -> None:
        """Write; where there is no room, make some first."""
        try:
            self._write(commit)
        except StoreFullError:
            if not self._ballast.give_up():
                raise
            self._pins = []  # until the next one is noted, those on disk may lack what they need
            self._trim(0)
            self._write(commit)

    def _write(self, commit: Commit) -> None:
        execute = self._connection.execute
        now_s = self._now_s()
        pins = self._bounded([*self._pins, *commit.pins])
        notes = commit.notes | ({_PINS: dump_pins(pins)} if commit.pins else {})
        with transaction(self._connection, self._path):
            for position, data in enumerate(commit.journal, self.position + 1):
                execute("INSERT INTO journal VALUES (?, ?, ?)", (position, now_s, seal(f"journal {position}", data)))
            for key, data in commit.outbox:
                execute("INSERT OR IGNORE INTO outbox (key, data) VALUES (?, ?)", (key, seal(f"outbox {key}", data)))
            for key in commit.sent:
                execute("DELETE FROM outbox WHERE key = ?", (key,))
            for name, value in notes.items():
                execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, seal(f"note {name}", value.encode())))
        self._pins = pins if commit.pins else self._pins

    def _trim(self, keep_bytes: int) -> None:
        with transaction(self._connection, self._path):
            self._delete_past(keep_bytes)

    def _delete_past(self, keep_bytes: int) -> None:
        """Delete what no snapshot needs and is too old or too much; oldest first."""
        execute = self._connection.execute
        (needed,) = execute("SELECT min(position) FROM checkpoints").fetchone()
        if needed is None:
            return
        kept_bytes, cut = 0, 0
        rows = execute("SELECT position, length(data) FROM journal ORDER BY position DESC")
        for position, n_bytes in rows:
            kept_bytes += n_bytes
            if kept_bytes > keep_bytes:
                cut = position
                break
        kept = "".join(" AND position NOT BETWEEN ? AND ?" for _ in self._pins)
        pinned = [position for pin in self._pins for position in (pin.since + 1, pin.until)]
        # Up to the first that is young enough: one that a wrong clock dated back leaves no gap.
        oldest_s = self._now_s() - self._settings.journal_days * _DAY_S
        (young,) = execute("SELECT min(position) FROM journal WHERE at_s >= ?", (oldest_s,)).fetchone()
        cut = max(cut, needed if young is None else young - 1)
        execute(f"DELETE FROM journal WHERE position <= ?{kept}", (min(cut, needed), *pinned))  # noqa: S608 - no names

    def _bounded(self, pins: list[Pin]) -> list[Pin]:
        def size_bytes(name: str) -> int:
            files = [folder / name for folder in (self.folder / _STATES, self.folder / _MODELS)]
            return sum(file.stat().st_size for file in files if file.is_file())

        return bounded(pins, size_bytes, int(self._settings.evidence_mb * _MB))

    def _remove_files(self) -> None:
        """Remove files that no snapshot refers to; only after those who referred to them are gone from disk."""
        for column in (_STATES, _MODELS):
            names = {getattr(each, column.removesuffix("s")) for each in (*self.checkpoints(), *self._pins)}
            for file in (self.folder / column).iterdir():
                if file.name not in names:
                    file.unlink(missing_ok=True)


def _newest(connection: sqlite3.Connection, path: Path) -> int:
    """Return the newest position that a database knows; 0 for none.

    Raises:
        DamagedError: There is none that could be.
    """
    query = "SELECT max(position) FROM (SELECT position FROM journal UNION ALL SELECT position FROM checkpoints)"
    with translated(path):
        (position,) = connection.execute(query).fetchone()
    if not 0 <= (position or 0) <= _MAX_POSITION:
        raise DamagedError(f"{path}: a position of {position}")
    return position or 0
