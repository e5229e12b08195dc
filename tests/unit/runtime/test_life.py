"""Life signs: systemd hears of readiness once, and of life only while both threads move."""

import socket
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.runtime.life import PROGRESS_S, LifeSigns, systemd_notify


@dataclass
class ScriptedNetwork:
    """A network thread as we tell it."""

    progressed_s: float = float("-inf")
    is_subscribed: bool = False


class Bench:
    """Life signs with a clock, a network thread and a systemd of our own."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.told: list[str] = []
        self.network = ScriptedNetwork()
        self.life = LifeSigns(self.network, self.told.append, lambda: self.now_s)

    def turn(self, after_s: float, *, network: bool = True) -> list[str]:
        """Let time pass and the worker turn; return the lines that systemd was told."""
        self.now_s += after_s
        if network:
            self.network.progressed_s = self.now_s
        self.told.clear()
        self.life.turned()
        return "\n".join(self.told).splitlines()


def test_ready_is_told_once_and_only_after_the_subscription() -> None:
    bench = Bench()
    lines = bench.turn(1)
    assert "READY=1" not in lines
    assert "STATUS=not subscribed: waiting for the broker" in lines
    assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in lines)
    bench.network.is_subscribed = True
    assert bench.turn(1)[0] == "READY=1"
    assert bench.turn(1) == ["STATUS=ready", "WATCHDOG=1"]
    assert bench.turn(0.1) == []  # once a second is enough
    bench.network.is_subscribed = False  # the broker went away: not ready, but alive
    assert bench.turn(1) == ["STATUS=not subscribed: waiting for the broker", "WATCHDOG=1"]
    assert (bench.life.now().is_live, bench.life.now().is_ready) == (True, False)


def test_a_network_thread_that_hangs_stops_the_watchdog_though_it_is_subscribed() -> None:
    bench = Bench()
    bench.network.is_subscribed = True
    bench.turn(1)
    for _ in range(int(PROGRESS_S) - 1):
        assert "WATCHDOG=1" in bench.turn(1, network=False)
    bench.turn(1, network=False)
    assert bench.turn(1, network=False) == ["STATUS=the network thread has not moved for 16 s"]
    assert not bench.life.now().is_live
    assert "WATCHDOG=1" in bench.turn(1)


def test_a_worker_that_hangs_is_not_live() -> None:
    bench = Bench()
    bench.network.is_subscribed = True
    bench.turn(1)
    bench.now_s += PROGRESS_S + 1
    bench.network.progressed_s = bench.now_s
    assert bench.life.now().why == "the worker has not moved for 16 s"
    assert not bench.life.now().is_live


def test_what_degrades_it_makes_it_unready_but_not_dead() -> None:
    bench = Bench()
    bench.network.is_subscribed = True
    bench.turn(1)
    bench.life.degraded = "the disk is full"
    assert (bench.life.now().is_live, bench.life.now().is_ready) == (True, False)
    bench.life.degraded = ""
    bench.life.stopping()
    assert bench.told[-1].startswith("STOPPING=1")
    assert not bench.life.now().is_ready


def test_systemd_is_told_on_its_socket_and_nobody_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd_notify("READY=1")  # nobody listens
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    systemd_notify("READY=1")  # nor here
    for address, bound in ((str(tmp_path / "notify"), str(tmp_path / "notify")), ("@foretell-test", "\0foretell-test")):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(bound)
            systemd.settimeout(5)
            monkeypatch.setenv("NOTIFY_SOCKET", address)
            systemd_notify("READY=1\nSTATUS=ready")
            assert systemd.recv(100) == b"READY=1\nSTATUS=ready"
