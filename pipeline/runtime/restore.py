"""A start: the newest sound snapshot, then the journal since, through the very code that runs live.

Comes in: a store. Goes out: a session, incidents and the book of alerts as they were at the last commit. What is
damaged is left out, and said; there is always a state to start from. This module refuses to know when state is written.
"""

import json
import logging
import time
from dataclasses import dataclass
from typing import Protocol

from pipeline.core.errors import ForetellError
from pipeline.flow.sealing import SnapshotError
from pipeline.flow.snapshot import parse_model, parse_state
from pipeline.runtime.follow_up import FollowUp
from pipeline.runtime.journal_entries import redo, unpack_batch
from pipeline.runtime.session import Session
from pipeline.store.store import Store

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Restored:
    """What a start found.

    Attributes:
        position: Journal entries that were in the snapshot; 0 for no snapshot.
        n_entries: Journal entries replayed.
        n_unlogged: Journal entries that were damaged or missing.
        n_snapshots_refused: Snapshots that were damaged, or made with other settings.
        why: Why the newest of these was refused; empty where none was.
        seconds: How long it took.
    """

    position: int
    n_entries: int
    n_unlogged: int
    n_snapshots_refused: int
    why: str
    seconds: float


def restore(store: Store, session: Session, follow_up: FollowUp) -> Restored:
    """Bring a new session and what follows from it to where the last commit left them.

    Raises:
        StoreError: The database cannot be read.
    """
    started_s = time.perf_counter()
    refused: list[str] = []
    position = 0
    for checkpoint in store.checkpoints():
        try:
            position = take_over(store, checkpoint.state, session, follow_up)
            break
        except (ForetellError, ValueError, KeyError, TypeError) as error:
            refused.append(f"{checkpoint.state}: {error}")
            _log.warning("snapshot refused", extra={"fields": {"why": refused[-1]}})
    else:
        position = store.position if refused else 0  # a journal without its snapshot leads elsewhere
    store.position = max(store.position, position)
    n_entries, n_unlogged = _replay(store, session, follow_up, position)
    seconds = time.perf_counter() - started_s
    return Restored(position, n_entries, n_unlogged, len(refused), refused[0] if refused else "", seconds)


class Files(Protocol):
    """Who has the files of snapshots."""

    def read_state(self, name: str) -> bytes:
        """Return the content of a state file; ``ValueError`` where it is missing or damaged."""
        ...

    def read_model(self, name: str) -> bytes:
        """Return the content of a weights file; ``ValueError`` where it is missing or damaged."""
        ...


def take_over(store: Files, name: str, session: Session, follow_up: FollowUp) -> int:
    """Put a session where a snapshot was; return the position of the snapshot.

    Raises:
        ForetellError, ValueError, KeyError, TypeError: It is damaged, or was made with other settings.
    """
    state, texts = parse_state(store.read_state(name), session.settings)
    model = parse_model(store.read_model(texts["model"]), session.settings)
    if len(state.table.live) and state.ledger.group[state.table.live].max() >= model.bank.capacity:
        raise SnapshotError("the weights are of another snapshot")
    tallies, position = json.loads(texts["session"]), int(texts["position"])
    follow_up.load(texts["incidents"])
    session.restore(model, state, tallies)
    return position


def _replay(store: Store, session: Session, follow_up: FollowUp, position: int) -> tuple[int, int]:
    """Give a session what it was given after a position; return entries replayed, and those that were not there."""
    n_entries = n_unlogged = 0
    for entry in store.journal(position):
        if entry is None:
            n_unlogged += 1
            continue
        n_entries += 1
        try:
            batch = unpack_batch(entry)
            if batch is None:
                redo(session, follow_up, entry)
            elif len(batch[1]):
                _, readings, now = batch
                follow_up.gather(readings, session.process(readings, now), now)
        except Exception:  # noqa: BLE001 - what failed then fails now, and leaves behind the same
            _log.exception("journal entry failed")
    return n_entries, n_unlogged
