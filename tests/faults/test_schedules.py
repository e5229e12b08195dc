"""Any order of messages, repetitions, cuts, crashes, full disks and jumps of the clock ends in the same state.

The broker is a model of one with persistent sessions, as gentle or as forgetful as hypothesis has it; the rest is ours:
what is decoded, scored, kept and acknowledged is what the daemon decodes, scores, keeps and acknowledges.
"""

import os
import shutil
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from fault_kept import Kept
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from pipeline.core.records import Readings
from pipeline.core.settings import Settings
from pipeline.decode.memory import Memory
from pipeline.flow.snapshot import fingerprint
from pipeline.runtime.intake import take_in
from pipeline.runtime.routes import checked_routes
from pipeline.runtime.session import Session
from pipeline.sources.inbox import Message, Receipt
from pipeline.store.files import StoreFullError

SETTINGS = Settings.model_validate(
    {
        "mqtt": {"topics": [{"topic": "plant/{name}", "stream": "{name}"}]},
        "streams": {"window_len": 128},
        "forecast": {"hidden": 2, "ensemble": 1, "horizon_short": 2, "horizon_long": 4},
        "training": {"enabled": False, "window": 16},
        "store": {"ballast_mb": 0},
    }
)
BEGIN_S = 1.7e9
WINDOW = 6  # messages that the broker sends ahead
#: Two streams whose readings carry their time, and one that is timed by its arrival.
TIMED, UNTIMED = ("a", "b"), "c"


@dataclass(frozen=True, slots=True)
class Sent:
    """A message at the broker."""

    number: int
    topic: str
    payload: bytes


class Dealt(NamedTuple):
    """A message that has been dealt with, and the newest event time that was not in the future then."""

    sent: Sent
    latest_s: float


class Broker:
    """Keeps what it was given until it is acknowledged, sends it in order, and again after a reconnect."""

    def __init__(self) -> None:
        self.queue: list[Sent] = []
        self.in_flight: dict[int, Sent] = {}
        self.unsent: list[tuple[int, bool]] = []  # packet identifiers to send on this connection, sent before or not
        self.mid = 0

    def sends(self) -> list[tuple[int, Sent, bool]]:
        """Return what it sends now, as identifier, message, and whether it was sent before."""
        while self.queue and len(self.in_flight) < WINDOW:
            self.mid = self.mid % 65_535 + 1
            self.in_flight[self.mid] = self.queue.pop(0)
            self.unsent.append((self.mid, False))
        found = [(mid, self.in_flight[mid], again) for mid, again in self.unsent]
        self.unsent.clear()
        return found

    def reconnect(self) -> None:
        """Begin a connection of the same session."""
        self.unsent = [(mid, True) for mid in self.in_flight]

    def forget(self) -> list[Sent]:
        """Begin a session; return what is lost with the one before."""
        lost = [*self.in_flight.values(), *self.queue]
        self.queue, self.in_flight, self.unsent, self.mid = [], {}, [], 0
        return lost


class Schedules(RuleBasedStateMachine):
    """One daemon, one broker, and everything that may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))  # noqa: S108
        self.routes = checked_routes(SETTINGS)
        self.broker = Broker()
        self.through = Session(SETTINGS)  # is given each batch once it is on disk, and never stops
        self.dealt: list[list[Dealt]] = []  # batch by batch
        self.forgotten: set[int] = set()
        self.n_sent = 0
        self.newest = dict.fromkeys(TIMED, 0)
        self.now_s = BEGIN_S
        self.is_full = False
        self.start(session=0)

    def start(self, session: int) -> None:
        """Start the daemon, or start it again."""
        self.kept = Kept(self.folder / "state", SETTINGS)
        assert self.kept.losses == []
        self.memory = Memory()
        self.epoch, self.session = 1, session
        self.inbox: list[tuple[Sent, Message]] = []
        self.wire: list[Receipt] = []  # acknowledgements on their way
        self.unwritten: list[tuple[list[Dealt], Readings, float]] = []

    @initialize()
    def subscribe(self) -> None:
        self.session = 1  # the first connection began a session

    @rule(name=st.sampled_from(TIMED), step=st.integers(1, 3))
    def publish(self, name: str, step: int) -> None:
        self.newest[name] += step
        self._publish(name, self.newest[name])

    @rule(name=st.sampled_from(TIMED), back=st.integers(0, 5))
    def publish_again_or_late(self, name: str, back: int) -> None:
        self._publish(name, max(0, self.newest[name] - back))

    @rule()
    def publish_untimed(self) -> None:
        self._send(UNTIMED, b"20.5")  # always the same: only the identifier tells repetitions apart

    def _publish(self, name: str, at: int) -> None:
        self._send(name, b'{"time": %d, "value": %d}' % (BEGIN_S + at, at))

    def _send(self, name: str, payload: bytes) -> None:
        self.broker.queue.append(Sent(self.n_sent, f"plant/{name}", payload))
        self.n_sent += 1

    @rule()
    def deliver(self) -> None:
        for mid, sent, again in self.broker.sends():
            receipt = Receipt(self.epoch, self.session, mid, again)
            self.inbox.append((sent, Message(sent.topic, sent.payload, False, self.now_s, receipt)))  # noqa: FBT003
            self.now_s += 0.25

    @precondition(lambda self: self.inbox)
    @rule(n=st.integers(1, 8))
    def work(self, n: int) -> None:
        taken, self.inbox = self.inbox[:n], self.inbox[n:]
        number = {id(message): sent for sent, message in taken}
        new, note = self.kept.keeper.sift([message for _, message in taken])
        readings = take_in(new, self.routes, self.memory).readings
        note(readings, self.now_s)
        if len(readings):
            self.kept.follow_up.gather(readings, self.kept.session.process(readings, self.now_s), self.now_s)
        latest_s = self.now_s + SETTINGS.streams.future_s
        dealt = [Dealt(number[id(each)], min(latest_s, each.arrival_s + SETTINGS.streams.future_s)) for each in new]
        self.unwritten.append((dealt, readings, self.now_s))
        self._commit([message.receipt for _, message in taken if message.receipt])

    def _commit(self, receipts: list[Receipt]) -> None:
        """Commit, with a disk that may be full."""
        self.kept.keeper._retry_s = 0.0  # noqa: SLF001 - no pause between attempts
        fault = mock.patch.object(self.kept.store, "_write", side_effect=StoreFullError)
        with fault if self.is_full else nullcontext():
            self.wire += self.kept.keeper.commit(receipts, self.session)
        if self.is_full:
            return
        for dealt, readings, now_s in self.unwritten:
            self.dealt.append(dealt)
            if len(readings):
                self.through.process(readings, now_s)
        self.unwritten.clear()

    @precondition(lambda self: self.wire)
    @rule(n=st.integers(1, 8))
    def acknowledge(self, n: int) -> None:
        arrived, self.wire = self.wire[:n], self.wire[n:]
        for receipt in arrived:
            if receipt.epoch == self.epoch:
                self.broker.in_flight.pop(receipt.mid, None)

    @rule()
    def cut(self) -> None:
        self.epoch += 1
        self.wire.clear()
        self.broker.reconnect()

    @precondition(lambda self: not self.is_full)
    @rule()
    def forget(self) -> None:
        """Begin a new session, and let the worker turn once: what a crash within that turn costs is documented."""
        self.forgotten |= {sent.number for sent in self.broker.forget()}
        self.epoch += 1
        self.session += 1
        self.wire.clear()
        self._commit([])

    @rule()
    def crash(self) -> None:
        self.kept.crash()
        self.broker.reconnect()
        self.start(session=0)  # the broker has one for us
        assert self.kept.fingerprint == fingerprint(self.through.model, self.through.state)

    @rule()
    def checkpoint(self) -> None:
        self.kept.keeper.want_checkpoint()
        self.kept.keeper.checkpoint()

    @rule(is_full=st.booleans())
    def disk(self, is_full: bool) -> None:  # noqa: FBT001 - a rule's argument
        self.is_full = is_full
        if not is_full:
            self._commit([])

    @rule(by_s=st.sampled_from([-3600.0, -1.0, 86_400.0]))
    def clock(self, by_s: float) -> None:
        self.now_s += by_s

    def teardown(self) -> None:
        """Let all that is left arrive, and compare."""
        try:
            self.disk(is_full=False)
            self.cut()
            while self.broker.queue or self.broker.in_flight:
                self.deliver()
                while self.inbox:
                    self.work(4)
                self.acknowledge(len(self.wire))
            while self.inbox:
                self.work(4)
            self._compare()
            self.crash()
        finally:
            self.kept.crash()
            shutil.rmtree(self.folder)

    def _compare(self) -> None:
        numbers = [dealt.sent.number for batch in self.dealt for dealt in batch]
        assert len(set(numbers)) == len(numbers), "nothing counted twice"
        assert set(range(self.n_sent)) - set(numbers) <= self.forgotten, "nothing lost but by the broker"
        assert sum(self.kept.session.counts.values()) == len(numbers)
        for name in TIMED:
            accepted = [-1]
            for batch in self.dealt:  # within one, readings are brought into order
                own = [(event_time_s(dealt.sent), dealt) for dealt in batch if dealt.sent.topic == f"plant/{name}"]
                timely = {at for at, dealt in own if accepted[-1] < at <= dealt.latest_s}
                accepted += sorted(timely)
            names = self.kept.session.state.table.names
            n = self.kept.session.state.windows.n[names.index(name)] if name in names else 0
            assert n == len(accepted) - 1, name
        assert self.kept.fingerprint == fingerprint(self.through.model, self.through.state)


def event_time_s(sent: Sent) -> int:
    """Return the time that a message of a timed stream carries, Unix seconds."""
    return int(sent.payload.split(b",")[0].split()[1])


def test_any_schedule_ends_where_an_undisturbed_run_does(is_long: bool) -> None:  # noqa: FBT001 - a fixture
    few = settings(
        max_examples=1000 if is_long else 20,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Schedules, settings=few)
