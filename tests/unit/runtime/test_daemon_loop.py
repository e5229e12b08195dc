"""The worker's loop, with a session that we script and a broker that is not there."""

import json
import logging
import os
import signal
import socket
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.errors import ForetellError
from pipeline.core.records import EpisodeEvent, Event, HealthEvent, Readings, Steps, episode_id
from pipeline.core.settings import Settings, parse_settings
from pipeline.flow.state import State
from pipeline.forecast.baselines import N_FORECASTERS
from pipeline.runtime.daemon import MAX_FAILURES, Daemon
from pipeline.runtime.session import FleetView, Session
from pipeline.runtime.signals import run_until_signalled
from pipeline.runtime.teacher import FINETUNE_BITE
from pipeline.sinks.outgoing import Outgoing
from pipeline.sinks.publisher import Publisher
from pipeline.sources.inbox import Message

LIMIT_S = 30.0
EVENT = EpisodeEvent(Event.OPEN, "pump", "0" * 16, 1.0, 2.0, 6.0, 2.0, 3.0, 1.0, 0.0, 2.0, 4.5, "next_reading")
#: Port 1 refuses every connection on a machine that serves nothing there.
LOOP = "alerts: {publish: false}\ntraining: {in_child: false, every: 100000}\nmqtt: {port: %d}"
SETTINGS = parse_settings(LOOP % 1, "test.yaml")


class ScriptedSession(Session):
    """Remembers what it was given and answers as it is told."""

    def __init__(self, answer: Callable[[Readings], list[EpisodeEvent]]) -> None:
        self.settings = SETTINGS
        self.state = State.empty(SETTINGS)
        self.counts = {}
        self.fine_tunes = {}
        self.seen: list[float] = []
        self.n_fine_tunes = 0
        self.n_due = 0
        self.n_drifts = 0
        self.n_promised = 0.0
        self.told = {}
        self._answer = answer

    def process(self, readings: Readings, now: float) -> Steps:
        assert now > 0
        self.seen += readings.value.tolist()
        steps = Steps.blank(len(readings))
        steps.events = self._answer(readings)
        return steps

    def fine_tune(self, max_groups: int | None = None) -> int:
        assert max_groups == FINETUNE_BITE
        self.n_fine_tunes += 1
        n_done = min(max_groups, self.n_due)
        self.n_due -= n_done
        return n_done

    def view(self) -> FleetView:
        one = np.ones(1)
        numbers = (one, one * 5, one * 3, one, one, one, one)
        flags = (np.array([True]), np.ones((1, N_FORECASTERS)), np.zeros(1, np.int64), np.array([16 + 1], np.uint16))
        return FleetView(("pump",), np.ones(1, np.int64), *numbers, *flags)

    def training_lag(self) -> float:
        return 3.0

    def n_networks(self) -> int:
        return 1


def message(value: float) -> Message:
    return Message("sensors/pump", str(value).encode(), retained=False, arrival_s=1.0)


@contextmanager
def running(daemon: Daemon) -> Iterator[list[BaseException]]:
    """Run a daemon on a thread; gives the errors it ended with, once it ended."""
    errors: list[BaseException] = []

    def target() -> None:
        try:
            daemon.run()
        except ForetellError as error:
            errors.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    try:
        yield errors
    finally:
        daemon.stop()
        thread.join(LIMIT_S)
        assert not thread.is_alive()


def test_episodes_go_to_the_log_and_to_whoever_listens(caplog: pytest.LogCaptureFixture) -> None:
    told: list[EpisodeEvent] = []
    heard = threading.Event()

    def listen(events: list[EpisodeEvent], _verdicts: list[HealthEvent]) -> None:
        told.extend(events)
        heard.set()

    session = ScriptedSession(lambda _readings: [EVENT])
    daemon = Daemon(SETTINGS, session=session, metrics_port=0, on_events=listen)
    with caplog.at_level(logging.INFO), running(daemon):
        daemon.inbox.put(message(1.0))
        assert heard.wait(LIMIT_S)
    assert told == [EVENT]
    (line,) = [each for each in caplog.records if each.message == "alert"]
    assert vars(line)["fields"]["alert"]["episode"] == EVENT.episode
    assert daemon.latest.names == ("pump",)


def topics_sent(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the topics that a daemon publishes to when five streams of one device alert together."""
    sent: list[str] = []
    streams = [f"hall/s{i}" for i in range(5)]
    events = [replace(EVENT, stream=stream, episode=episode_id(stream, 1.0)) for stream in streams]

    def send(_publisher: Publisher, outgoing: Outgoing) -> None:
        sent.append(outgoing.topic)

    monkeypatch.setattr(Publisher, "send", send)
    daemon = Daemon(settings, session=ScriptedSession(lambda _readings: events), metrics_port=0)
    daemon.inbox.put(message(1.0))
    daemon.stop()
    daemon.run()
    return sent


def published(**alerts: bool) -> Settings:
    return Settings.model_validate(json.loads(SETTINGS.model_dump_json()) | {"alerts": {"publish": True, **alerts}})


def test_streams_that_alert_together_make_one_incident_message_beside_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent = topics_sent(published(), monkeypatch)
    kinds = [topic.split("/")[2] for topic in sent]
    assert (kinds.count("alert"), kinds.count("state")) == (5, 5)
    assert [topic for topic in sent if "/incident/" in topic] == ["foretell/home/incident/hall"]


def test_with_alerts_streams_off_the_incident_alone_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    assert topics_sent(published(streams=False), monkeypatch) == ["foretell/home/incident/hall"]


def test_what_waits_when_it_is_stopped_is_still_scored_and_nothing_is_fine_tuned() -> None:
    session = ScriptedSession(lambda _readings: [])
    daemon = Daemon(SETTINGS, session=session, metrics_port=0)
    for value in range(1200):  # more than two batches
        daemon.inbox.put(message(value))
    daemon.stop()
    daemon.run()
    assert session.seen == list(range(1200))
    assert session.n_fine_tunes == 0


def test_all_networks_that_are_due_are_fine_tuned_while_nothing_waits() -> None:
    session = ScriptedSession(lambda _readings: [])
    session.n_due = 20 * FINETUNE_BITE + 1
    daemon = Daemon(SETTINGS, session=session, metrics_port=0)
    with running(daemon):
        wait_until(lambda: session.n_due == 0)


def test_nothing_is_fine_tuned_while_batches_wait() -> None:
    seen_at_first: list[int] = []

    class BusySession(ScriptedSession):
        def fine_tune(self, max_groups: int | None = None) -> int:
            seen_at_first.append(len(self.seen))
            return super().fine_tune(max_groups)

    session = BusySession(lambda _readings: [])
    session.n_due = 1
    daemon = Daemon(SETTINGS, session=session, metrics_port=0)
    n_batch = SETTINGS.runtime.batch_messages
    for value in range(4 * n_batch):
        daemon.inbox.put(message(value))
    with running(daemon):
        wait_until(lambda: session.n_due == 0)
    assert seen_at_first[0] == 4 * n_batch


def test_one_error_costs_its_batch_alone() -> None:
    heard = threading.Event()

    def answer(readings: Readings) -> list[EpisodeEvent]:
        if readings.value[0] < 0:
            raise ZeroDivisionError
        heard.set()
        return []

    daemon = Daemon(SETTINGS, session=ScriptedSession(answer), metrics_port=0)
    with running(daemon) as errors:
        daemon.inbox.put(message(-1.0))
        wait_until(lambda: not daemon.inbox.depth)
        daemon.inbox.put(message(1.0))
        assert heard.wait(LIMIT_S)
    assert errors == []


def test_errors_in_a_row_end_the_daemon(caplog: pytest.LogCaptureFixture) -> None:
    def answer(_readings: Readings) -> list[EpisodeEvent]:
        raise ZeroDivisionError

    settings = SETTINGS.model_copy(update={"runtime": SETTINGS.runtime.model_copy(update={"batch_messages": 1})})
    daemon = Daemon(settings, session=ScriptedSession(answer), metrics_port=0)
    for value in range(MAX_FAILURES):
        daemon.inbox.put(message(value))
    with pytest.raises(ForetellError, match="5 batches in a row failed, the last with ZeroDivisionError"):
        daemon.run()
    assert sum(each.message == "batch failed" for each in caplog.records) == MAX_FAILURES


def test_a_rejected_message_is_logged_once_per_reason_and_its_text_is_escaped(caplog: pytest.LogCaptureFixture) -> None:
    session = ScriptedSession(lambda _readings: [])
    daemon = Daemon(SETTINGS, session=session, metrics_port=0)
    for _ in range(3):
        daemon.inbox.put(Message("other\n\x1b[31m", b"1", retained=False, arrival_s=1.0))
    daemon.stop()
    daemon.run()
    (line,) = [vars(each)["fields"] for each in caplog.records if each.message == "message rejected"]
    assert line.pop("detail")
    assert line == {"reason": "bad_topic", "topic": "other\\n\\x1b[31m", "size_bytes": 1}


def test_metrics_show_the_last_snapshot_while_there_is_no_broker() -> None:
    session = ScriptedSession(lambda _readings: [])
    daemon = Daemon(SETTINGS, session=session, metrics_port=0)
    with running(daemon):
        wait_until(lambda: session.n_fine_tunes > 0)  # it is started, and idle
        with urllib.request.urlopen(f"http://127.0.0.1:{daemon.metrics_port}/metrics") as answer:  # our own port
            lines = answer.read().decode().splitlines()
    assert "foretell_mqtt_connected 0.0" in lines
    assert 'foretell_readings_total{outcome="accepted"} 0.0' in lines
    assert 'foretell_messages_total{outcome="malformed"} 0.0' in lines
    assert 'foretell_residual_value{stream="pump"} 2.0' in lines
    assert "foretell_finetune_lag_rounds 3.0" in lines
    assert 'foretell_finetune_runs_total{outcome="died"} 0.0' in lines
    assert {each for each in lines if each.startswith("foretell_health{")} == {
        'foretell_health{stream="pump",verdict="gap"} 1.0',
        'foretell_health{stream="pump",verdict="not_finite"} 1.0',
    }


def test_a_signal_stops_it_and_the_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    session = ScriptedSession(lambda _readings: [])
    daemon = Daemon(SETTINGS, session=session, metrics_port=0)

    def signal_when_running() -> None:
        wait_until(lambda: session.n_fine_tunes > 0)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=signal_when_running).start()
    run_until_signalled(daemon)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_client_id_that_another_client_took_over_ends_the_daemon_with_a_reason() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=take_over, args=(server,)).start()
        port = server.getsockname()[1]
        settings = parse_settings(LOOP % port, "test.yaml")
        daemon = Daemon(settings, session=ScriptedSession(lambda _readings: []), metrics_port=0)
        with pytest.raises(ForetellError, match="another client connected as 'foretell' and took over"):
            daemon.run()


def take_over(server: socket.socket) -> None:
    """Play a broker that accepts a client, and then says that another one has its id."""
    client, _ = server.accept()
    with client:
        client.recv(4096)
        client.sendall(bytes.fromhex("20 03 00 00 00"))  # CONNACK: success, no properties
        client.recv(4096)
        client.sendall(bytes.fromhex("e0 02 8e 00"))  # DISCONNECT: 142, session taken over
        client.recv(4096)


def test_metrics_can_be_switched_off() -> None:
    settings = Settings.model_validate(json.loads(SETTINGS.model_dump_json()) | {"metrics": {"enabled": False}})
    daemon = Daemon(settings, session=ScriptedSession(lambda _readings: []))
    daemon.stop()
    daemon.run()
    assert daemon.metrics_port == 0


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, with a deadline far beyond what it needs."""
    pause = threading.Event()
    for _ in range(int(LIMIT_S / 0.01)):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("waited in vain")
