"""One SQLite connection: how it is opened, what its tables are, and which errors mean what.

WAL with synchronous FULL: a commit that returned survives a power cut. One connection alone writes: releases of SQLite
before 3.51.3 can damage a WAL that two connections checkpoint. Values are bound, never put into statements.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.store.files import StoreError, StoreFullError

#: Version of the tables; a database of another one is put aside.
VERSION = 1

_TABLES = """
CREATE TABLE journal (position INTEGER PRIMARY KEY, at_s REAL NOT NULL, data BLOB NOT NULL);
CREATE TABLE checkpoints (position INTEGER PRIMARY KEY, at_s REAL NOT NULL, state TEXT NOT NULL, model TEXT NOT NULL);
CREATE TABLE outbox (seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, data BLOB NOT NULL);
CREATE TABLE notes (name TEXT PRIMARY KEY, data BLOB NOT NULL);
"""
#: What a damaged file, and one that is no database, is called by SQLite.
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_FULL = {sqlite3.SQLITE_FULL}


class DamagedError(StoreError):
    """The database is damaged, or of another version."""


def connect(path: Path) -> sqlite3.Connection:
    """Open a database, and make it where there is none.

    The caller must use it from one thread at a time.

    Raises:
        DamagedError: It is damaged, or of another version.
        StoreFullError: There is no room to make it.
        StoreError: It cannot be read or written.
    """
    with translated(path):
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    connection.text_factory = lambda data: data.decode(errors="replace")  # damaged text is no reason to fail
    try:
        with translated(path):
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "trusted_schema = OFF", "cell_size_check = ON"):
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("PRAGMA journal_size_limit = 16777216")
            _check(connection, path)
    except BaseException:
        connection.close()
        raise
    path.chmod(0o600)
    return connection


def _check(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, or make sure that they are there and sound."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (n_tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if not version and not n_tables:
        connection.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT")
    elif version != VERSION:
        raise DamagedError(f"{path}: of version {version}, not {VERSION}")
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise DamagedError(f"{path}: {found}")
    for table in ("journal", "checkpoints", "outbox", "notes"):
        connection.execute(f"SELECT 1 FROM {table} LIMIT 1")  # noqa: S608 - names of our own
    (level,) = connection.execute("PRAGMA synchronous").fetchone()
    if level != 2:  # noqa: PLR2004 - FULL
        raise StoreError(f"{path}: SQLite does not sync commits here (synchronous = {level})")


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[None]:
    """Do all of it or nothing; it is on disk when the block is left.

    Raises:
        StoreFullError: There is no room; nothing has changed.
        DamagedError: The database turned out to be damaged.
        StoreError: It cannot be written.
    """
    with translated(path):
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        # Damage can also show itself as tables that are not there.
        is_damage = code in _DAMAGED or (code == sqlite3.SQLITE_ERROR and "no such" in str(error))
        kind = StoreFullError if code in _FULL else DamagedError if is_damage else StoreError
        raise kind(f"{path}: {error}") from error
