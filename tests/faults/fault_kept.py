"""A session that is kept in a folder, without the daemon around it: for faults of disks, by the hundred."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.core.records import Readings
from pipeline.core.settings import Settings
from pipeline.flow.snapshot import fingerprint
from pipeline.runtime.follow_up import FollowUp
from pipeline.runtime.keeper import Keeper
from pipeline.runtime.session import Session
from pipeline.sinks.outbox import Outbox
from pipeline.sources.inbox import Message, Receipt
from pipeline.store.store import Store

N_STREAMS = 6


class Kept:
    """A session with its keeper, driven as the daemon drives it."""

    def __init__(self, folder: Path, settings: Settings, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self.session = Session(settings)
        self.follow_up = FollowUp(settings)
        self.outbox = Outbox(100)
        self.store = Store(folder, settings.store)
        self.keeper = Keeper(self.session, self.follow_up, self.outbox, self.store, monotonic_s)
        self.losses = self.keeper.restore()

    def take(self, messages: list[Message], readings: Readings) -> list[Receipt]:
        """Deal with a batch; returns what may be acknowledged."""
        new, note = self.keeper.sift(messages)
        if not messages or new:
            note(readings, 2e9)
            self.follow_up.gather(readings, self.session.process(readings, 2e9), 2e9)
        return self.keeper.commit([message.receipt for message in messages if message.receipt])

    def crash(self) -> None:
        """Lose everything in memory; a thread that writes a snapshot would be gone too, here it must end first."""
        if (checkpoints := self.keeper._checkpoints) is not None:  # noqa: SLF001
            checkpoints.wait()
        self.store.close()

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.session.model, self.session.state)


def batch(i: int, n_rows: int = 24) -> Readings:
    draw = np.random.default_rng(i)
    number = i * n_rows + np.arange(n_rows)
    names = [f"pump-{k % 2}/s{k}" for k in range(N_STREAMS)]
    time = (1e9 + 10.0 * (number // N_STREAMS)).astype(np.float64)
    value = (np.sin(number / 40) + draw.normal(0, 0.1, n_rows)).astype(np.float64)
    return Readings(names, (number % N_STREAMS).astype(np.int32), time, value, np.zeros(n_rows, np.uint8))
