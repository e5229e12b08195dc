"""Fine-tuning in a real child that is killed, stopped, starved and forged at every stage: nothing of it goes live."""

import fcntl
import logging
import os
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.records import Readings
from pipeline.core.settings import Settings
from pipeline.flow.snapshot import pack, pack_model
from pipeline.runtime.daemon import Daemon
from pipeline.runtime.session import Session
from pipeline.runtime.tuner import COMMAND, Tuner
from pipeline.sources.inbox import Message

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at child processes in /proc")

LIMIT_S = 120.0
N_STREAMS, N_FIRST, EVERY = 6, 250, 48
#: More of a lesson waits in the pipe than a child can have read by accident, and less than the lesson.
MUCH = 32_768


def settings_with(hidden: int = 24, **training: object) -> Settings:
    return Settings.model_validate({"forecast": {"hidden": hidden}, "training": {"every": EVERY} | training})


SETTINGS = settings_with()
#: A lesson takes so long that a child can be met in the middle of it.
LONG = settings_with(hidden=96, steps=256, batch=8, memory_mb=4096)


def feed(session: Session, first: int, n: int) -> None:
    """Give every stream readings ``first .. first + n - 1``: waves with noise."""
    number = np.arange(first, first + n)
    noise = np.random.default_rng(first).normal(size=(n, N_STREAMS)) * 0.1
    value = np.sin(number / 5)[:, None] + noise
    stream, at = np.tile(np.arange(N_STREAMS, dtype=np.int32), n), np.repeat(number * 60.0, N_STREAMS)
    names = [f"s{i}" for i in range(N_STREAMS)]
    session.process(Readings(names, stream, at, value.ravel(), np.zeros(stream.size, np.uint8)), now=np.inf)


def fed(settings: Settings) -> Session:
    session = Session(settings)
    feed(session, 0, N_FIRST)
    return session


def bytes_of(session: Session) -> tuple[bytes, bytes]:
    return pack(session.state), pack_model(session.model)


class Clock:
    """Monotonic time that moves when we say so: no slow machine runs into a limit, no test waits for one."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def session() -> Session:
    return fed(SETTINGS)


@pytest.fixture
def twin() -> Session:
    """The same session, for which the lesson in question never happens."""
    return fed(SETTINGS)


@pytest.fixture
def tuner(clock: Clock) -> Iterator[Tuner]:
    with closing(Tuner(SETTINGS, monotonic_s=clock)) as tuner:
        yield tuner


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


def settle(tuner: Tuner, session: Session) -> None:
    """Turn until the lesson in flight has come to an end."""

    def is_settled() -> bool:
        if tuner.is_busy:
            tuner.turn(session)
        return not tuner.is_busy

    wait_until(is_settled)


def pid_of(tuner: Tuner) -> int:
    assert tuner.pid is not None
    return tuner.pid


def n_waiting(pid: int) -> int:
    """Return how many bytes wait in the pipe that is a process's stdin."""
    fd = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        (n,) = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))
        return int(n)
    finally:
        os.close(fd)


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_it_trains(pid: int) -> None:
    """Return when a child that has just been started has read its lesson and has worked on it for a while."""
    os.kill(pid, signal.SIGSTOP)  # not so fast: the lesson shall be seen to wait
    wait_until(lambda: n_waiting(pid) > MUCH)
    os.kill(pid, signal.SIGCONT)
    wait_until(lambda: n_waiting(pid) == 0)
    start_s = cpu_s(pid)
    wait_until(lambda: cpu_s(pid) > start_s + 0.5)


def assert_next_lesson_works(tuner: Tuner, clock: Clock, session: Session, twin: Session) -> None:
    clock.now_s += 1000
    tuner.turn(session)
    settle(tuner, session)
    assert twin.fine_tune() == N_STREAMS
    assert session.fine_tunes == twin.fine_tunes
    assert session.fine_tunes["accepted"] > 0
    assert bytes_of(session) == bytes_of(twin)


def test_a_lesson_in_the_child_gives_the_bits_of_one_taught_here(
    tuner: Tuner, clock: Clock, session: Session, twin: Session
) -> None:
    assert_next_lesson_works(tuner, clock, session, twin)
    for first in (N_FIRST, N_FIRST + EVERY):
        feed(session, first, EVERY)
        feed(twin, first, EVERY)
        assert_next_lesson_works(tuner, clock, session, twin)
    assert set(tuner.lost.values()) == {0}


def test_readings_go_on_while_a_lesson_is_in_flight(tuner: Tuner, session: Session, twin: Session) -> None:
    tuner.turn(session)
    feed(session, N_FIRST, 10)
    feed(twin, N_FIRST, 10)
    assert tuner.is_busy
    assert bytes_of(session) == bytes_of(twin)
    settle(tuner, session)
    assert session.fine_tunes["accepted"] == session.fine_tunes["late"] == N_STREAMS
    assert (session.state.ledger.n_trained[session.state.table.live] == N_FIRST).all()


def test_the_child_gives_way_to_everybody_and_ctrl_c_does_not_end_it(
    tuner: Tuner, clock: Clock, session: Session, twin: Session
) -> None:
    assert_next_lesson_works(tuner, clock, session, twin)
    pid = pid_of(tuner)
    assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "1000"
    os.kill(pid, signal.SIGINT)
    feed(session, N_FIRST, EVERY)
    feed(twin, N_FIRST, EVERY)
    assert_next_lesson_works(tuner, clock, session, twin)
    assert tuner.pid == pid


def kill_at_the_start(tuner: Tuner) -> None:
    os.kill(pid_of(tuner), signal.SIGKILL)


def kill_while_it_reads(tuner: Tuner) -> None:
    pid = pid_of(tuner)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: n_waiting(pid) > MUCH)
    os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("kill", [kill_at_the_start, kill_while_it_reads])
def test_a_lesson_whose_child_is_killed_never_happened(
    tuner: Tuner, clock: Clock, session: Session, twin: Session, kill: Callable[[Tuner], None]
) -> None:
    tuner.turn(session)
    kill(tuner)
    feed(session, N_FIRST, 5)
    feed(twin, N_FIRST, 5)
    settle(tuner, session)
    assert tuner.lost == {"died": N_STREAMS, "timeout": 0, "invalid": 0}
    assert bytes_of(session) == bytes_of(twin)
    assert_next_lesson_works(tuner, clock, session, twin)


def test_a_child_killed_while_it_trains_leaves_everything_as_it_was(clock: Clock) -> None:
    session, twin = fed(LONG), fed(LONG)
    with closing(Tuner(LONG, monotonic_s=clock)) as tuner:
        tuner.turn(session)
        wait_until_it_trains(pid_of(tuner))
        os.kill(pid_of(tuner), signal.SIGKILL)
        settle(tuner, session)
        assert tuner.lost["died"] == N_STREAMS
        assert bytes_of(session) == bytes_of(twin)
        clock.now_s += 1000
        tuner.turn(session)  # another child takes the same lesson
        wait_until_it_trains(pid_of(tuner))


def test_a_child_killed_between_two_lessons_costs_the_second(
    tuner: Tuner, clock: Clock, session: Session, twin: Session
) -> None:
    assert_next_lesson_works(tuner, clock, session, twin)
    pid = pid_of(tuner)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_running(pid))
    feed(session, N_FIRST, EVERY)
    feed(twin, N_FIRST, EVERY)
    clock.now_s += 1000
    tuner.turn(session)
    settle(tuner, session)
    assert tuner.lost["died"] == N_STREAMS
    assert bytes_of(session) == bytes_of(twin)
    assert_next_lesson_works(tuner, clock, session, twin)


def test_a_stopped_child_is_given_up_after_its_time_and_replaced(
    tuner: Tuner, clock: Clock, session: Session, twin: Session
) -> None:
    tuner.turn(session)
    pid = pid_of(tuner)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: n_waiting(pid) > MUCH)  # whoever writes to it is stuck
    clock.now_s += SETTINGS.training.timeout_s
    tuner.turn(session)
    assert tuner.is_busy
    clock.now_s += 0.1
    tuner.turn(session)
    assert tuner.lost == {"died": 0, "timeout": N_STREAMS, "invalid": 0}
    wait_until(lambda: not is_running(pid))
    assert bytes_of(session) == bytes_of(twin)
    assert_next_lesson_works(tuner, clock, session, twin)
    assert tuner.pid != pid


#: A child of our own making: takes settings and a lesson, as the real one does, and answers otherwise.
FORGED = """
import os, signal, struct, sys
from dataclasses import replace
import numpy as np
from pipeline.core.settings import Settings
from pipeline.flow.learning import teach
from pipeline.flow.lesson_bytes import pack_taught, unpack_lesson
from pipeline.runtime.tuner_process import read_frame, write_frame
source, sink = sys.stdin.buffer, sys.stdout.buffer
settings = Settings.model_validate_json(read_frame(source, 1 << 30))

def taught():
    return teach(unpack_lesson(read_frame(source, 1 << 30)), settings)

def answer(taught, cpu_s=0.1):
    write_frame(sink, pack_taught(taught, cpu_s))

def send(data):
    sink.write(data)
    sink.flush()

"""


#: What such a child does -> how its lesson is counted, and what the log says.
BROKEN = {
    """data = pack_taught(taught(), 0.1)
send(struct.pack("<Q", len(data)) + data[:len(data) // 2])
os.kill(os.getpid(), signal.SIGKILL)  # half-way through its answer""": ("died", "exit code -9"),
    "sys.exit('no more')": ("died", "no more"),
    "taught(); send(struct.pack('<Q', 1000) + b'x' * 1000)": ("invalid", "not a snapshot"),
    "taught(); send(b'\\xff' * 1000)": ("invalid", "a frame of 18446744073709551615 bytes"),
    "d = bytearray(pack_taught(taught(), 0.1)); d[5000] ^= 1; write_frame(sink, d)": ("invalid", "damaged"),
    "t = taught(); t.weights[0, 0, 7] = np.nan; answer(t)": ("invalid", "weights: not finite"),
    "t = taught(); answer(replace(t, weights=t.weights[1:]))": ("invalid", "weights: expected"),
    "answer(taught(), np.inf)": ("invalid", "processor time"),
}


@pytest.mark.parametrize("does", BROKEN)
def test_what_a_broken_child_answers_never_goes_live(
    does: str, clock: Clock, session: Session, twin: Session, caplog: pytest.LogCaptureFixture
) -> None:
    outcome, words = BROKEN[does]
    script = FORGED + does + "\nsource.read()"  # then it waits to be killed
    tuner = Tuner(SETTINGS, command=(sys.executable, "-c", script), monotonic_s=clock)
    with closing(tuner), caplog.at_level(logging.WARNING):
        tuner.turn(session)
        pid = pid_of(tuner)
        settle(tuner, session)
        assert tuner.lost == dict.fromkeys(tuner.lost, 0) | {outcome: N_STREAMS}
        assert bytes_of(session) == bytes_of(twin)
        assert set(session.fine_tunes.values()) == {0}
        wait_until(lambda: not is_running(pid))
    (record,) = caplog.records
    assert words in vars(record)["fields"]["stderr"]
    assert "\n" not in vars(record)["fields"]["stderr"]


def test_after_a_lesson_the_child_rests_for_its_budget(clock: Clock) -> None:
    settings = settings_with(budget_percent=1)
    session = fed(settings)
    claim = "while True: answer(taught(), 2.0)"
    tuner = Tuner(settings, command=(sys.executable, "-c", FORGED + claim), monotonic_s=clock)
    with closing(tuner):
        tuner.turn(session)
        clock.now_s += 10
        settle(tuner, session)
        feed(session, N_FIRST, EVERY)
        clock.now_s += 2 * 99 - 1
        tuner.turn(session)
        assert not tuner.is_busy
        clock.now_s += 2
        tuner.turn(session)
        assert tuner.is_busy
        settle(tuner, session)
    assert sum(session.fine_tunes.values()) == 2 * N_STREAMS


def test_a_child_without_memory_dies_and_scoring_goes_on(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    settings = settings_with(memory_mb=16, batch=256)
    session, twin = fed(settings), fed(settings)
    with closing(Tuner(settings, monotonic_s=clock)) as tuner, caplog.at_level(logging.WARNING):
        tuner.turn(session)
        settle(tuner, session)
        assert tuner.lost["died"] == N_STREAMS
        said = vars(caplog.records[0])["fields"]["stderr"].lower()
        assert "memory" in said or "allocate" in said
        feed(session, N_FIRST, 5)
        feed(twin, N_FIRST, 5)
        assert bytes_of(session) == bytes_of(twin)


PARENT = """
import sys, time
sys.path.insert(0, {folder!r})
from test_tuner_faults import LONG, fed
from pipeline.runtime.tuner import Tuner
tuner = Tuner(LONG)
tuner.turn(fed(LONG))
print(tuner.pid, flush=True)
time.sleep(600)
"""


def test_a_child_ends_with_its_parent_even_while_it_trains() -> None:
    code = PARENT.format(folder=str(Path(__file__).parent))
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        wait_until_it_trains(pid)
        parent.kill()
        parent.wait()
        wait_until(lambda: not is_running(pid))


def test_closing_ends_a_child_in_mid_lesson(clock: Clock, session: Session, twin: Session) -> None:
    tuner = Tuner(SETTINGS, monotonic_s=clock)
    tuner.turn(session)
    pid = pid_of(tuner)
    tuner.close()
    wait_until(lambda: not is_running(pid))
    assert (tuner.pid, tuner.is_busy) == (None, False)
    assert bytes_of(session) == bytes_of(twin)
    assert set(tuner.lost.values()) == {0}


class NeverHere(Session):
    """A session that must not be fine-tuned on the worker's thread."""

    def fine_tune(self, max_groups: int | None = None) -> int:
        raise AssertionError(f"asked for {max_groups} fine-tunes here")


@pytest.mark.parametrize("command", [COMMAND, ("no-such-program-anywhere",)], ids=["child", "no child"])
def test_the_daemon_scores_whether_or_not_its_child_can_be_started(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.runtime.tuner.COMMAND", command)
    settings = Settings.model_validate({"mqtt": {"port": 1}, "alerts": {"publish": False}})
    session = NeverHere(settings)
    daemon = Daemon(settings, session=session, metrics_port=0)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        for i in range(100):
            daemon.inbox.put(Message("sensors/pump", str(i % 7).encode(), retained=False, arrival_s=i * 60.0))
        wait_until(lambda: session.counts["accepted"] == 100)
        if command is COMMAND:
            wait_until(lambda: session.fine_tunes["accepted"] == 1)
    finally:
        daemon.stop()
        thread.join(LIMIT_S)
    assert not thread.is_alive()
    assert daemon.latest.n_readings.tolist() == [100]
