"""The folder that a daemon keeps its state in."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.store_settings import StoreSettings
from pipeline.store.store import Store

_NAME = "foretell"


def state_folder(path: str) -> Path | None:
    """Return the folder that ``store.path`` names; None for memory only.

    ``auto`` is what systemd gives the service (``StateDirectory=``), else ``foretell`` where the user's programs keep
    their state, for root ``/var/lib/foretell``.

    Example:
        >>> state_folder("none") is None, state_folder("/srv/foretell").name
        (True, 'foretell')
    """
    if path == "none":
        return None
    if path != "auto":
        return Path(path).expanduser()
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    base = os.environ.get("XDG_STATE_HOME")
    if not base and os.geteuid() == 0:
        return Path("/var/lib") / _NAME
    return (Path(base) if base else Path.home() / ".local" / "state") / _NAME


@contextmanager
def open_store(settings: StoreSettings) -> Iterator[Store | None]:
    """Open the store for the length of a ``with`` block; None where everything stays in memory.

    Raises:
        UsageError: The folder cannot be used, or another daemon uses it.
        StoreError: The disk is full, or cannot be written.
    """
    folder = state_folder(settings.path)
    if folder is None:
        yield None
        return
    store = Store(folder, settings)
    try:
        yield store
    finally:
        store.close()
