"""Reads a store that a daemon may be using: nothing is locked, written or repaired."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.core.errors import UsageError
from pipeline.store.files import read_named
from pipeline.store.pins import Pin, load_pins
from pipeline.store.sealed import unseal


class StoreReader:
    """A look into a state folder; close it.

    Args:
        folder: The state folder.

    Raises:
        UsageError: There is no store that can be read.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = folder / "foretell.db"
        if not path.is_file():
            raise UsageError(str(folder), "holds no store", "name the daemon's configuration, and run as its user")
        self._connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def pins(self) -> list[Pin]:
        """Return the decisions that can be reproduced, oldest first."""
        for (sealed,) in self._rows("SELECT data FROM notes WHERE name = 'pins'"):
            return load_pins(unseal("note pins", sealed).decode())
        return []

    def entries(self, since: int, until: int) -> Iterator[bytes]:
        """Yield the entries after a position up to another one.

        Raises:
            ValueError: One is damaged or missing.
        """
        query, expected = "SELECT position, data FROM journal WHERE position > ? AND position <= ? ORDER BY 1", since
        for position, sealed in self._rows(query, since, until):
            expected += 1
            if position != expected:
                break
            yield unseal(f"journal {position}", sealed)
        if expected != until:
            raise ValueError(f"journal {expected + 1} is missing")

    def read_state(self, name: str) -> bytes:
        """Return the content of a state file; ``ValueError`` where it is missing or damaged."""
        return read_named(self._folder / "states" / Path(name).name)

    def read_model(self, name: str) -> bytes:
        """Return the content of a weights file; ``ValueError`` where it is missing or damaged."""
        return read_named(self._folder / "models" / Path(name).name)

    def _rows(self, query: str, *values: object) -> Iterator[tuple[Any, ...]]:
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.Error as error:
            raise UsageError(str(self._folder), f"cannot be read: {error}", "run as the daemon's user") from None
