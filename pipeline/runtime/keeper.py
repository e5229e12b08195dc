"""Keeps a session: every batch is in the journal before its messages are acknowledged, and a start goes on from there.

Comes in: messages, readings, changes of networks, and what is to be published. Goes out: the receipts that may be
acknowledged. Without a store all of it stays in memory, and messages are acknowledged once they were dealt with. A full
disk is waited out: nothing is acknowledged meanwhile, so the broker keeps what is not on disk. For the worker's thread.
"""

import logging
import time
from collections.abc import Callable, Sequence

from pipeline.core.operator_words import Word
from pipeline.core.records import Event, Readings
from pipeline.flow.learning import Taught
from pipeline.flow.lessons import Lesson
from pipeline.runtime.checkpoints import Checkpoints
from pipeline.runtime.follow_up import FollowUp, News
from pipeline.runtime.journal_entries import (
    NOT_KEPT,
    pack_admission,
    pack_batch,
    pack_gone,
    pack_lesson_learnt,
    pack_listening,
    pack_merged,
    pack_new_session,
    pack_tick,
    pack_told,
    pack_word,
    unpack_batch,
)
from pipeline.runtime.repeats import NOTHING_RECEIVED, Repeats
from pipeline.runtime.restore import Restored, restore
from pipeline.runtime.session import Session
from pipeline.sinks.alerts import alert_digest
from pipeline.sinks.histogram import Histogram, HistogramValue
from pipeline.sinks.outbox import Outbox
from pipeline.sinks.outgoing import Outgoing
from pipeline.sources.inbox import Message, Receipt
from pipeline.store.files import StoreError, StoreFullError
from pipeline.store.pins import Pin
from pipeline.store.store import Commit, Store

COMMIT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
#: Pause between two attempts to write to a full disk, seconds.
RETRY_S = 1.0
#: Entries that wait for a full disk; beyond this nothing more is taken from the inbox, bytes.
MAX_PENDING_BYTES = 16 << 20
_FILTERS = "filters"

_log = logging.getLogger(__name__)


class Keeper:
    """Keeps a session, its incidents and its outbox in a store.

    Args:
        session: Its changes of networks are noted from now on.
        follow_up: What is known of devices and alerts.
        outbox: Messages to publish.
        store: Where; None for memory only.
        monotonic_s: Gives the current time, monotonic seconds.

    Attributes:
        repeats: Knows messages that come again.
        is_degraded: The disk is full: nothing is acknowledged until there is room.
        n_unlogged: Journal entries that were damaged, or missing, when they were to be replayed.
    """

    def __init__(
        self,
        session: Session,
        follow_up: FollowUp,
        outbox: Outbox,
        store: Store | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.repeats = Repeats()
        self.is_degraded = False
        self.n_unlogged = 0
        self._session = session
        self._follow_up = follow_up
        self._outbox = outbox
        self._store = store
        self._now_s = monotonic_s
        self._commits = Histogram(COMMIT_BUCKETS_S)
        self._pending = Commit()
        self._pending_bytes = 0
        self._receipts: list[Receipt] = []
        self._retry_s = float("-inf")
        self._is_broken = False
        self._n_put_aside = 0
        self._filters = ""
        self._keep = session.settings.store.keep
        self._marked_s = monotonic_s()
        self._is_marked = True
        self._checkpoints = Checkpoints(store, session, follow_up, monotonic_s) if store else None

    def restore(self) -> list[tuple[str, str]]:
        """Bring session, incidents and outbox to where the last commit left them.

        Returns:
            What was lost, as names and plain words; empty where all is well.
        """
        if self._store is None:
            return []
        restored = restore(self._store, self._session, self._follow_up)
        self.n_unlogged = restored.n_unlogged
        found = (unpack_batch(entry) for entry in self._store.newest_first())
        self.repeats.recall(batch[0] for batch in found if batch)
        messages = []
        for data in self._store.outbox():
            try:
                messages.append(Outgoing.unpack(data))
            except ValueError:
                _log.warning("kept message not readable")
        self._outbox.restore(messages)
        if self._keep == "snapshots" and messages:  # kept by an earlier configuration; nobody would take them out
            self._store.commit(Commit(sent=[message.key for message in messages]))
        self._session.on_learnt = self._note_learnt
        self._session.on_merged = lambda n_most: self._note(pack_merged(n_most))
        self._session.on_admission = lambda is_open: self._note(pack_admission(is_open))
        self._session.on_told = lambda news: self._note(pack_told(news))
        self._session.admit_streams(is_open=True)  # budgets begin anew
        self._n_put_aside = self._store.n_put_aside
        return _losses(self._store, restored)

    def outdated_filters(self, filters: Sequence[str]) -> list[str]:
        """Return the filters that the broker's session may hold from an earlier configuration, and remember all."""
        if self._store is None:
            return []
        known = self._store.note(_FILTERS).split()
        self._note_filters([*known, *filters])
        self.commit([])
        return [each for each in known if each not in filters]

    def forget_filters(self, filters: Sequence[str]) -> None:
        """Remember that the broker's session holds these filters and no others."""
        self._note_filters(filters)

    def sift(self, messages: Sequence[Message]) -> tuple[list[Message], Callable[[Readings, float], None]]:
        """Return the messages that are new, and what to call with each part of their readings before it is scored."""
        new, received = self.repeats.sift(messages)

        def note(readings: Readings, now: float) -> None:
            nonlocal received
            if self._store is not None and (len(readings) or len(received.mids) or received.is_new_session):
                self._note(pack_batch(received, readings, now))
                received = NOTHING_RECEIVED

        return new, note

    def note_word(self, word: Word) -> None:
        """Note what an operator said, after it was taken in."""
        self._note_if_kept(pack_word(word))

    def note_tick(self, now: float) -> None:
        """Note that time is about to change something."""
        self._note_if_kept(pack_tick(now))

    def note_gone(self, devices: Sequence[str], now: float) -> None:
        """Note that devices are gone."""
        self._note_if_kept(pack_gone(devices, now))

    def note_listening(self, is_on: bool, now: float, *, is_start: bool = False) -> None:  # noqa: FBT001
        """Note that the broker can be heard from now on, or not."""
        self._note_if_kept(pack_listening(is_on, now, is_start=is_start))

    def pin(self, news: News) -> None:
        """Keep what the decisions need that were taken with the batch noted last, so that they can be taken again."""
        opened = [alert for alert in news.told.alerts if alert.event.event is Event.OPEN]
        if self._store is None or not opened or self._keep != "readings":
            return
        position = self._store.position + len(self._pending.journal)
        before = next((each for each in self._store.checkpoints() if 0 <= each.position < position), None)
        since, state, model = (before.position, before.state, before.model) if before else (0, "", "")
        settings = self._session.settings
        for alert in opened:
            episode, told = alert.event.episode, alert_digest(alert, settings.site)
            self._pending.pins.append(Pin(episode, since, position, state, model, told, settings.model_dump_json()))

    def scored(self, seconds: float) -> None:
        """Note how long a batch took: replaying it takes as long."""
        if self._checkpoints and self._keep == "readings":
            self._checkpoints.debt_s += seconds

    def want_checkpoint(self) -> None:
        """Take a snapshot as soon as all is written."""
        if self._checkpoints:
            self._checkpoints.is_wanted = True

    @property
    def is_blocked(self) -> bool:
        """So much waits for the disk that nothing more may be taken in."""
        return self.is_degraded and self._pending_bytes > MAX_PENDING_BYTES

    @property
    def trouble(self) -> str:
        """Why what is promised cannot be kept just now; empty when it can."""
        if self.is_degraded:
            return "the disk is full, nothing is acknowledged"
        if self._checkpoints and not self._checkpoints.is_made_up:
            return "the database was damaged and put aside, no snapshot has been written since"
        return ""

    def take_losses(self) -> list[tuple[str, str]]:
        """Return, once, what was lost since the start, as names and plain words; and write down anew what is not."""
        if self._store is None or self._store.n_put_aside == self._n_put_aside:
            return []
        self._n_put_aside = self._store.n_put_aside
        self._outbox.unsettle()
        self._note_filters(self._filters.split())
        text = f"The database was damaged and put aside: {self._store.found_damaged}. A crash before the next snapshot"
        return [("store_damaged", f"{text} would cost what came since the last one.")]

    def commit(self, receipts: Sequence[Receipt], session: int = 0) -> list[Receipt]:
        """Write what was noted.

        Args:
            receipts: Of the messages that were dealt with.
            session: Session of the broker that has begun last; its packet identifiers mean other messages.

        Returns:
            The receipts that may be acknowledged, oldest first; none while the disk is full.

        Raises:
            StoreError: It cannot be written, and whether it was is not known.
        """
        if self._store is None:
            self._outbox.settle()
            return list(receipts)
        if self.repeats.begin(session):
            self._note(pack_new_session())
        self._receipts += receipts
        if self._keep == "snapshots":
            self._outbox.settle()
        else:
            self._pending.outbox, self._pending.sent = self._changes()
        if self._is_broken or (self.is_degraded and self._now_s() < self._retry_s):
            return []
        if self._pending:
            try:
                self._write(self._store)
            except StoreFullError as error:
                self._degrade(str(error))
                return []
            except StoreError:
                self._is_broken = True
                raise
        free, self._receipts = self._receipts, []
        return free

    def checkpoint(self) -> None:
        """Take a snapshot if one is due and all is written; returns soon, the disk is written beside."""
        if self._checkpoints and not self._pending and not self._is_broken:
            self._checkpoints.turn()

    def close(self) -> None:
        """Take a last snapshot, so that the next start has nothing to replay, and close the store."""
        if self._store is None:
            return
        try:
            if self._checkpoints and not self._pending and not self._is_broken:
                if not self._is_marked:
                    self._store.commit(Commit(journal=[NOT_KEPT]))
                self._checkpoints.finish()
        except StoreError as error:
            _log.warning("no last snapshot", extra={"fields": {"why": str(error)}})
        finally:
            if self._checkpoints:
                self._checkpoints.wait()
            self._store.close()
            self._store = self._checkpoints = None

    def metrics(self) -> dict[str, float | HistogramValue]:
        """Return metrics by name."""
        found: dict[str, float | HistogramValue] = {
            "redelivered_total": self.repeats.n_dropped,
            "degraded": float(bool(self.trouble)),
            "journal_commit_duration_seconds": self._commits.value(),
            "journal_damaged_total": self.n_unlogged,
        }
        if self._store is not None and self._checkpoints is not None:
            found |= {
                "checkpoint_age_seconds": self._checkpoints.age_s,
                "checkpoint_size_bytes": self._checkpoints.size_bytes,
                "store_size_bytes": self._store.size_bytes(),
                "store_quarantined_total": self._store.n_put_aside,
                **self._store.disk_figures(),
            }
        return found

    def _note_filters(self, filters: Sequence[str]) -> None:
        self._filters = self._pending.notes[_FILTERS] = " ".join(dict.fromkeys(filters))

    def _note_learnt(self, lesson: Lesson, taught: Taught) -> None:
        self._note(pack_lesson_learnt(lesson, taught))

    def _note_if_kept(self, entry: bytes) -> None:
        if self._store is not None:
            self._note(entry)

    def _note(self, entry: bytes) -> None:
        if self._keep != "readings":  # a mark now and then tells that there is something to take a snapshot of
            now_s = self._now_s()
            self._is_marked = now_s - self._marked_s >= self._session.settings.store.checkpoint_s
            if not self._is_marked:
                return
            self._marked_s, entry = now_s, NOT_KEPT
        self._pending.journal.append(entry)
        self._pending_bytes += len(entry)

    def _changes(self) -> tuple[list[tuple[str, bytes]], list[str]]:
        added, gone = self._outbox.changes()
        return [(message.key, message.pack()) for message in added], gone

    def _write(self, store: Store) -> None:
        started_s = time.perf_counter()
        store.commit(self._pending)
        self._commits.observe(time.perf_counter() - started_s)
        self._pending, self._pending_bytes = Commit(), 0
        self._outbox.settle()
        if self.is_degraded:
            self.is_degraded = False
            _log.warning("disk has room again")

    def _degrade(self, why: str) -> None:
        self._retry_s = self._now_s() + RETRY_S
        if not self.is_degraded:
            self.is_degraded = True
            _log.error("disk full", extra={"fields": {"why": why, "until": "there is room, nothing is acknowledged"}})


def _losses(store: Store, restored: Restored) -> list[tuple[str, str]]:
    """Say in plain words what a start could not bring back."""
    found = []
    if store.found_damaged:
        what = "since its newest snapshot" if restored.position else "before this start"
        found.append(("store_damaged", f"The database was damaged and put aside; what it held {what} is lost."))
    if restored.n_unlogged:
        found.append(("journal_damaged", f"{restored.n_unlogged} journal entries were damaged or missing."))
    if restored.why:
        found.append(
            ("snapshot_refused", f"{restored.n_snapshots_refused} snapshots could not be used: {restored.why}")
        )
    return found
