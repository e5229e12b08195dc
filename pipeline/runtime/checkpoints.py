"""When a snapshot is taken, and how: copied by the worker, written by a thread, pointed to by the worker.

A snapshot is due after ``store.checkpoint_s``, if the write budget has room for its size, and in any case when
replaying what came since would take longer than ``store.replay_s``. This module refuses to know what is kept.
"""

import json
import logging
import threading
from collections.abc import Callable
from hashlib import blake2b

from pipeline.flow.snapshot import Copied, copy_model, copy_state
from pipeline.runtime.follow_up import FollowUp
from pipeline.runtime.heap import give_back
from pipeline.runtime.session import Session
from pipeline.store.database import DamagedError
from pipeline.store.files import StoreError, StoreFullError
from pipeline.store.store import Checkpoint, Store

_HOUR_S, _MB = 3600.0, 1 << 20
#: Pause after a snapshot that could not be written, seconds.
RETRY_S = 10.0

_log = logging.getLogger(__name__)


class Checkpoints:
    """Takes snapshots of a session into a store; for the worker's thread.

    Args:
        store: Where.
        session: Of whom.
        follow_up: What is known of devices and alerts.
        monotonic_s: Gives the current time, monotonic seconds.

    Attributes:
        debt_s: Time it would take to replay what came since the newest snapshot, seconds.
        is_wanted: A snapshot is due now.
        size_bytes: Size of the newest snapshot; 0 for none yet.
    """

    def __init__(self, store: Store, session: Session, follow_up: FollowUp, monotonic_s: Callable[[], float]) -> None:
        self.debt_s = 0.0
        self.is_wanted = False
        self.size_bytes = 0
        self._store = store
        self._settings = session.settings.store
        self._session = session
        self._follow_up = follow_up
        self._now_s = monotonic_s
        self._taken_s = monotonic_s()
        self._position = -1
        self._model = ("", b"")  # name of the newest weights file, and what tells weights apart
        self._writing: _Writing | None = None
        self._not_before_s = float("-inf")
        self._n_put_aside = 0
        self._n_made_up_for = 0

    @property
    def is_made_up(self) -> bool:
        """A snapshot was written since a database was last put aside; before, a crash would cost what it held."""
        return self._n_made_up_for == self._store.n_put_aside

    @property
    def age_s(self) -> float:
        """Time since the newest snapshot, or the start, seconds."""
        return self._now_s() - self._taken_s

    def turn(self) -> None:
        """Point to a snapshot that has been written, or begin one that is due; all commits must have been made."""
        if self._writing:
            if not self._writing.is_alive():
                self._finish(self._writing)
        elif self._is_due():
            self._begin()

    def finish(self) -> None:
        """Take a snapshot of what there is now, unless nothing has changed; waits for the disk.

        Raises:
            StoreError: It cannot be written.
        """
        self.wait()
        if self._writing:
            self._finish(self._writing)
        if self._position != self._store.position:
            writing = self._begin()
            writing.join()
            if writing.failure:
                raise writing.failure
            self._finish(writing)

    def wait(self) -> None:
        """Wait for the thread that writes."""
        if self._writing:
            self._writing.join()

    def _is_due(self) -> bool:
        if self._now_s() < self._not_before_s:
            return False
        if self.is_wanted or self._store.n_put_aside > self._n_put_aside:
            return True  # all that we know is in memory
        if self._store.position == self._position:
            return False
        if self.debt_s >= self._settings.replay_s:
            return True
        rest_s = self.size_bytes / (self._settings.checkpoint_mb_per_hour * _MB) * _HOUR_S
        return self.age_s >= max(self._settings.checkpoint_s, rest_s)

    def _begin(self) -> "_Writing":
        """Copy the state, and let a thread write it."""
        bank = self._session.model.bank
        which = blake2b(bank.key.tobytes() + bank.n_rounds.tobytes() + bank.n_steps.tobytes()).digest()
        self._n_put_aside, self.is_wanted = self._store.n_put_aside, False
        name, known = self._model
        model = None if name and known == which else copy_model(self._session.model)
        texts = {
            "position": str(self._store.position),
            "session": json.dumps(self._session.tallies()),
            "incidents": self._follow_up.dump(),
        }
        state = copy_state(self._session.state, texts)
        self._writing = _Writing(self._store, state, model, name, which, self.debt_s)
        self._writing.start()
        return self._writing

    def _finish(self, writing: "_Writing") -> None:
        """Make a snapshot that is on disk the newest; one that failed is tried again later."""
        writing.join()
        self._writing = None
        try:
            if writing.failure:
                raise writing.failure
            self._store.point(Checkpoint(writing.position, writing.state_name, writing.model_name))
        except StoreFullError as error:
            self._not_before_s = self._now_s() + RETRY_S
            _log.warning("no room for a snapshot", extra={"fields": {"why": str(error)}})
            return
        except DamagedError as error:
            self._store.put_aside(str(error))  # and another snapshot is due
            return
        self._n_made_up_for = writing.n_put_aside
        self._position, self._model = writing.position, (writing.model_name, writing.which)
        self.size_bytes = writing.size_bytes
        self.debt_s -= writing.debt_s
        self._taken_s = self._now_s()


class _Writing(threading.Thread):
    """Writes the files of one snapshot."""

    def __init__(
        self, store: Store, state: Copied, model: Copied | None, model_name: str, which: bytes, debt_s: float
    ) -> None:
        super().__init__(name="checkpoint", daemon=True)
        self.position = store.position
        self.n_put_aside = store.n_put_aside
        self.state_name = ""
        self.model_name = model_name
        self.which = which
        self.debt_s = debt_s
        self.size_bytes = 0
        self.failure: StoreError | None = None
        self._store = store
        self._state = state
        self._model = model

    def run(self) -> None:
        """Write weights that are new, then the state that names them."""
        try:
            if self._model:
                self.model_name, n_bytes = self._store.write_model(self._model.chunks())
                self.size_bytes += n_bytes
            self._state.texts["model"] = self.model_name
            self.state_name, n_bytes = self._store.write_state(self._state.chunks())
            self.size_bytes += n_bytes
        except StoreError as error:
            self.failure = error
        del self._state, self._model  # as much as all streams: not for as long as nobody asks how it went
        give_back()
