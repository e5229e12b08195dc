"""Operators are heard over HTTP and by the command line, what they said survives a crash, strangers are not."""

import json
import re
import shutil
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cli.main import main
from pipeline.core.errors import ForetellError, UsageError
from pipeline.core.records import EpisodeEvent, Event, Readings, Steps, episode_id
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.daemon import Daemon
from pipeline.runtime.operator_token import make_token, read_token, token_of
from pipeline.runtime.session import Session
from pipeline.sources.inbox import Message
from pipeline.store.store import Store

LIMIT_S = 30.0
#: A value that opens an episode, and one that closes it.
OPENS, CLOSES = 666.0, -666.0


class EventfulSession(Session):
    """A real session, in which two values open and close an episode."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.opened_s: dict[str, float] = {}

    def process(self, readings: Readings, now: float) -> Steps:
        steps = super().process(readings, now)
        for row in np.flatnonzero(np.abs(readings.value) == OPENS).tolist():
            stream, at_s = readings.names[readings.stream[row]], float(readings.time[row])
            event = Event.OPEN if readings.value[row] == OPENS else Event.CLOSE
            opened_s = self.opened_s.setdefault(stream, at_s)
            numbers = (5.5, at_s, 3.0, 1.0, 0.0, 2.0, 5.0, "next_reading")
            steps.events.append(EpisodeEvent(event, stream, episode_id(stream, opened_s), opened_s, at_s, *numbers))
            if event is Event.CLOSE:
                del self.opened_s[stream]
        return steps


class Running:
    """A daemon on a thread, without a broker."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.daemon = Daemon(settings, session=EventfulSession(settings), store=store, metrics_port=0)
        self.token = (store.folder / "token").read_text().strip()
        self.errors: list[BaseException] = []

    def run(self) -> None:
        try:
            self.daemon.run()
        except ForetellError as error:
            self.errors.append(error)

    def put(self, stream: str, value: float, time_s: float) -> None:
        payload = json.dumps({"time": time_s, "value": value}).encode()
        self.daemon.inbox.put(Message(f"sensors/{stream}", payload, retained=False, arrival_s=time_s))

    @property
    def port(self) -> int:
        return self.daemon.metrics_port

    def listing(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/alerts.json", timeout=LIMIT_S) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found

    def post(self, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        """Say something; headers replace those that are right, empty ones are left out."""
        right = {"X-Foretell-Token": self.token, "Content-Type": "application/json"}
        given = right | {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/alerts/words", body, {name: value for name, value in given.items() if value}
        )
        try:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:  # noqa: S310 - our own port
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def say(self, **said: str) -> tuple[int, dict[str, Any]]:
        return self.post(json.dumps(said).encode())

    def metric(self, sample: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=LIMIT_S) as answer:
            found = re.search(rf"^foretell_{re.escape(sample)} (\S+)$", answer.read().decode(), re.MULTILINE)
        return float(found[1]) if found else float("nan")


def settings_in(folder: Path) -> Settings:
    return parse_settings(
        f"store: {{path: {folder}}}\nmqtt: {{port: 1}}\ntraining: {{in_child: false}}\nstreams: {{max_streams: 8}}",
        "test",
    )


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    settings = settings_in(folder)
    store = Store(folder, settings.store)
    one = Running(settings, store)
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        wait_until(lambda: one.daemon.metrics_port, "it serves")
        yield one
    finally:
        one.daemon.stop()
        thread.join(LIMIT_S)
        store.close()
    assert one.errors == []


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.02)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def opened(one: Running, stream: str = "pump/flow") -> str:
    """Open an episode and return its id."""
    n = len(one.listing()["alerts"])
    one.put(stream, OPENS, time.time())
    wait_until(lambda: len(one.listing()["alerts"]) > n, "the alert is listed")
    episode: str = one.listing()["alerts"][0]["episode"]
    return episode


def test_what_is_said_over_http_shows_at_once_and_is_counted(folder: Path) -> None:
    with running(folder) as one:
        episode = opened(one)
        wait_until(lambda: one.metric("alerts_unacknowledged") == 1, "the alert waits to be seen")
        status, answer = one.say(word="ack", id=episode[:8], by="ann", note="on my way")
        assert (status, answer["alerts"][0]["acknowledged_by"]) == (200, "ann")
        (alert,) = one.listing()["alerts"]
        assert [(said["word"], said["note"]) for said in alert["said"]] == [("ack", "on my way")]
        assert one.say(word="false", id=episode)[1]["alerts"][0]["judged"] == "false"
        wait_until(lambda: one.metric('alerts_judged{word="false"}') == 1, "the judgement is a metric")
        assert one.metric("alerts_unacknowledged") == 0
        assert one.metric('commands_total{outcome="accepted"}') == 2
        assert one.say(word="undo", id=episode)[1]["alerts"][0]["judged"] is None
        wait_until(lambda: one.metric('alerts_judged{word="false"}') == 0, "the judgement is taken back")


def test_what_was_said_survives_a_crash_and_still_holds_alerts_back(folder: Path, tmp_path: Path) -> None:
    with running(folder) as one:
        episode = opened(one)
        assert one.say(word="expected", id=episode, until="2h", by="ann")[0] == 200
        assert one.say(word="silence", match="plant/press-*", until="1h")[0] == 200
        before = one.listing()
        crashed = tmp_path / "crashed"
        shutil.copytree(folder, crashed, ignore=shutil.ignore_patterns("lock"))
    with running(crashed) as again:
        assert again.listing() == before
        again.put("pump/flow", CLOSES, time.time())
        again.put("pump/flow", OPENS, time.time() + 1)
        wait_until(lambda: len(again.listing()["alerts"]) == 2, "the next alert is listed")
        assert [alert["held"] for alert in again.listing()["alerts"]] == ["expected", None]
        assert again.say(word="undo", id=episode)[0] == 200
        assert [alert["held"] for alert in again.listing()["alerts"]] == [None, None]


STRANGE: list[tuple[bytes, dict[str, str], int, str]] = [
    (b'{"word": "ack", "id": "61b0f2c4"}', {"X_Foretell_Token": ""}, 401, "unauthorized"),
    (b'{"word": "ack", "id": "61b0f2c4"}', {"X_Foretell_Token": "guess"}, 401, "unauthorized"),
    (b'{"word": "ack", "id": "61b0f2c4"}', {"X_Foretell_Token": "\xe4" * 100}, 401, "unauthorized"),
    (b'{"word": "ack", "id": "61b0f2c4"}', {"Content_Type": "text/plain"}, 400, "malformed"),
    (b'{"word": "ack", "id": "61b0f2c4"}', {}, 404, "no_such_alert"),
    (b'{"word": "ack", "id": "\\ud800"}', {}, 400, "bad_id"),
    (b"[" * 4000, {}, 400, "malformed"),
    (b" " * 5000, {}, 413, "too_large"),
]


def test_strangers_and_nonsense_are_refused_and_counted(folder: Path) -> None:
    with running(folder) as one:
        for body, headers, status, reason in STRANGE:
            code, answer = one.post(body, **headers)
            assert (code, answer["reason"]) == (status, reason)
        wait_until(lambda: one.metric('commands_total{outcome="unauthorized"}') == 3, "strangers are counted")
        for reason, n in {"no_such_alert": 1, "bad_id": 1, "malformed": 2, "too_large": 1}.items():
            wait_until(lambda: one.metric(f'commands_total{{outcome="{reason}"}}') == n, f"{reason} is counted")  # noqa: B023
        assert one.listing()["alerts"] == []


def test_a_page_of_another_site_cannot_speak_for_the_operator(folder: Path) -> None:
    with running(folder) as one:
        for method, path in (("OPTIONS", "/alerts/words"), ("GET", "/alerts/words"), ("POST", "/metrics")):
            request = urllib.request.Request(f"http://127.0.0.1:{one.port}{path}", method=method)
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(request, timeout=LIMIT_S)  # noqa: S310 - our own port
            with refused.value as error:
                assert error.code == 405
                assert "access-control-allow-origin" not in {name.lower() for name in error.headers}


def test_the_command_line_says_it_and_lists_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def foretell(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["foretell", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert ended.value.code == 0, captured.err
        return captured.out

    with running(folder) as one:
        episode = opened(one)
        config = tmp_path / "edge.yaml"
        config.write_text(f"store: {{path: {folder}}}\nmetrics: {{port: {one.daemon.metrics_port}}}\n")
        assert "seen by ann" in foretell("alerts", "ack", episode[:8], "-c", str(config), "--by", "ann")
        assert "expected until 20" in foretell("alerts", "expected", episode, "--until", "2h", "-c", str(config))
        assert "silent" not in foretell("alerts", "silence", "hall/*", "--until", "1h", "-c", str(config))
        shown = foretell("alerts", "list", "-c", str(config))
        assert episode in shown
        assert "silent: hall/* until" in shown
        assert "judged true" in foretell("alerts", "true", episode, "-c", str(config))
        assert "judged" not in foretell("alerts", "undo", episode, "-c", str(config))
        assert "judged false" in foretell("alerts", "false", episode, "-c", str(config))


def test_the_token_is_for_its_owner_alone_and_stays_the_same(tmp_path: Path) -> None:
    alerts = Settings().alerts
    token = make_token(alerts, tmp_path)
    assert len(token) > 40
    assert make_token(alerts, tmp_path) == read_token(alerts, tmp_path) == token
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600
    (tmp_path / "token").chmod(0o640)
    with pytest.raises(UsageError, match="chmod 600"):
        read_token(alerts, tmp_path)


def test_without_a_token_nobody_may_speak(tmp_path: Path) -> None:
    none = parse_settings("{alerts: {token_file: none}, store: {path: none}}", "test")
    assert make_token(none.alerts, tmp_path) == make_token(Settings().alerts, None) == ""
    with pytest.raises(UsageError, match="names no token"):
        token_of(none)
