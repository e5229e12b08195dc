"""``foretell init`` writes the broker that it finds."""

import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime import broker_search
from pipeline.runtime.broker_search import FoundBroker, find_broker
from pipeline.runtime.example import example_config


@pytest.mark.broker
def test_a_broker_is_found_with_what_it_wants(broker_with: Callable[[str], Any], certificates: Path) -> None:
    port = broker_with("allow_anonymous true").port
    assert find_broker(["127.0.0.1"], [port]) == FoundBroker("127.0.0.1", port, is_tls=False, wants_password=False)
    port = broker_with("allow_anonymous false").port
    assert find_broker(["127.0.0.1"], [port]) == FoundBroker("127.0.0.1", port, is_tls=False, wants_password=True)
    files = f"certfile {certificates / 'server.pem'}\nkeyfile {certificates / 'server.key'}"
    port = broker_with(f"{files}\nallow_anonymous true").port
    assert find_broker(["127.0.0.1"], [port]) == FoundBroker("127.0.0.1", port, is_tls=True, wants_password=False)


def test_who_speaks_something_else_or_nothing_is_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_search, "_TIMEOUT_S", 0.2)

    def talk(listener: socket.socket) -> None:
        for answer in (b"HTTP/1.1 400 no\r\n\r\n", b""):
            with listener.accept()[0] as client:
                client.sendall(answer)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=talk, args=(listener,))
        thread.start()
        assert find_broker(["127.0.0.1"], [listener.getsockname()[1]]) is None
        thread.join()
    assert find_broker(["127.0.0.1", "no-such-host.invalid"], [1]) is None


def run(monkeypatch: pytest.MonkeyPatch, found: FoundBroker | None, *arguments: str) -> tuple[str, str]:
    monkeypatch.setattr(broker_search, "find_broker", lambda hosts: (list(hosts), found)[1])
    done = CliRunner().invoke(app, ["init", *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def test_what_was_found_is_written_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    found = FoundBroker("box.example", 8883, is_tls=True, wants_password=True)
    text, said = run(monkeypatch, found, "--broker", "box.example")
    mqtt = parse_settings(text, "init").mqtt
    assert (mqtt.host, mqtt.port, mqtt.tls.enabled) == ("box.example", 8883, True)
    assert "found a broker at box.example:8883, with TLS" in said
    assert "password_file" in said
    text, said = run(monkeypatch, FoundBroker("192.0.2.7", 1883, is_tls=False, wants_password=False))
    assert 'host: "192.0.2.7"' in text
    assert "allow_plaintext" in said


def test_without_a_broker_the_defaults_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    text, said = run(monkeypatch, None)
    assert text == example_config()
    assert parse_settings(text, "init") == Settings()
    assert "no broker answers" in said
