"""Budgets: the order of sacrifice, its return, and what each level does to a running daemon."""

import itertools

import pytest

from pipeline.core.settings import parse_settings
from pipeline.runtime import budgets as module
from pipeline.runtime.budgets import FALL_S, RISE_S, Budgets, Sacrifice, memory_budget, memory_in_use
from pipeline.runtime.daemon import Daemon
from pipeline.runtime.session import Session
from pipeline.sources.inbox import Message


def test_what_was_given_up_comes_back_in_reverse_after_a_calm_while() -> None:
    budgets = Budgets(memory_bytes=100.0, now_s=0.0)
    levels = [budgets.step(memory, 0.0, 10.0 * i) for i, memory in enumerate([120.0] * 4 + [80.0] * 30)]
    assert [level for level, _ in itertools.groupby(levels)] == [0, 1, 2, 3, 2, 1, 0]


def test_a_lag_of_scoring_gives_things_up_like_memory_does() -> None:
    budgets = Budgets(memory_bytes=0.0, now_s=0.0)
    assert budgets.step(1e12, 11.0, RISE_S) == Sacrifice.SERIES
    assert budgets.step(1e12, 11.0, RISE_S + 1) == Sacrifice.SERIES  # one thing at a time
    assert budgets.step(1e12, 11.0, 2 * RISE_S) == Sacrifice.TRAINING


def test_between_room_and_budget_nothing_changes() -> None:
    budgets = Budgets(memory_bytes=100.0, now_s=0.0)
    budgets.step(120.0, 0.0, RISE_S)
    assert budgets.step(95.0, 0.0, 10 * FALL_S) == Sacrifice.SERIES
    assert budgets.step(120.0, 0.0, 10 * FALL_S + 1) == Sacrifice.SERIES  # a moment over is not a while


def test_the_memory_budget_is_as_set_or_a_share_of_the_machine() -> None:
    assert memory_budget(512) == 512e6
    assert 1e8 < memory_budget(0) < 1e14
    assert memory_in_use(None) > 1e7


def test_a_daemon_over_its_memory_gives_up_series_then_training_then_new_streams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RISE_S", 0.0)
    monkeypatch.setattr("pipeline.runtime.daemon.REFRESH_S", 0.0)
    text = "{alerts: {publish: false}, training: {in_child: false}, mqtt: {port: 1}, runtime: {memory_mb: 64}}"
    settings = parse_settings(text, "f")
    session = Session(settings)
    daemon = Daemon(settings, session=session, metrics_port=0)

    def score(name: str) -> None:
        daemon.inbox.put(Message(f"sensors/{name}", b"1", retained=False, arrival_s=1e9))
        daemon._work(daemon.inbox.drain(1, 0, 0))  # noqa: SLF001 - one turn at a time

    for expected in (Sacrifice.SERIES, Sacrifice.TRAINING, Sacrifice.NEW_STREAMS):
        score("old")
        assert daemon.sacrifice == expected
    score("new")
    assert session.counts["stream_limit"] == 1
    assert session.counts["accepted"] + session.counts["duplicate"] + session.counts["late"] == 3
