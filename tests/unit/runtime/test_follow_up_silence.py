"""Silent streams among what follows: told once, not while the broker is away, and the same after a crash."""

import math
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.records import F64, Health, HealthEvent, Readings, Steps
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.follow_up import BEAT_S, FollowUp
from pipeline.runtime.keeper import Keeper
from pipeline.runtime.session import FleetView, Session
from pipeline.runtime.teller import Teller
from pipeline.runtime.word_desk import WordDesk
from pipeline.sinks.outbox import Outbox
from pipeline.store.store import Store
from pipeline.streams.listening import SETTLE_S

NOW = 1_772_359_200.0
STEP_S = 60.0
NAMES = ("hall/a", "hall/b")


def batch(now_s: float, names: tuple[str, ...] = NAMES) -> tuple[Readings, Steps]:
    n = len(names)
    readings = Readings(names, np.arange(n, dtype=np.int32), np.full(n, now_s), np.ones(n), np.zeros(n, np.uint8))
    return readings, Steps.blank(n)


def fed(follow: FollowUp, begin_s: float = NOW, n: int = 60, names: tuple[str, ...] = NAMES) -> float:
    """Let streams speak once a minute; returns when they last did."""
    for i in range(n):
        follow.gather(*batch(begin_s + i * STEP_S, names), begin_s + i * STEP_S)
    return begin_s + (n - 1) * STEP_S


def waited(follow: FollowUp, begin_s: float, seconds: float) -> list[HealthEvent]:
    """Let time pass as the daemon does."""
    told: list[HealthEvent] = []
    for now_s in np.arange(begin_s, begin_s + seconds, BEAT_S).tolist():
        if follow.is_due(now_s) or follow.is_beat_due(now_s):
            told += follow.tick(now_s).verdicts
    return told


@pytest.fixture
def follow() -> FollowUp:
    made = FollowUp(Settings())
    made.listen(is_on=True, now_s=NOW - SETTLE_S)
    return made


def view(values: F64) -> FleetView:
    ones = np.ones(2)
    columns = (ones, values, ones, ones, ones, ones, ones)
    health = np.array([Health.STUCK, Health.DUPLICATE], np.uint16)
    counts = np.ones(2, np.int64)
    return FleetView(NAMES, counts, *columns, np.zeros(2, bool), np.ones((2, 5)), np.zeros(2, np.int64), health)


def test_streams_that_stop_are_told_once_and_shown_beside_other_verdicts(follow: FollowUp) -> None:
    last_s = fed(follow)
    told = waited(follow, last_s, 3600.0)
    assert sorted((event.stream, event.verdict, event.raised) for event in told) == [
        ("hall/a", Health.SILENT, True),
        ("hall/b", Health.SILENT, True),
    ]
    assert all(event.since_s == last_s for event in told)
    assert follow.n_silent == 2
    shown = follow.overlaid(view(np.ones(2))).health.tolist()
    assert shown == [Health.STUCK | Health.SILENT, Health.SILENT]  # a single repetition is no verdict


def test_while_the_broker_is_away_nobody_is_silent_and_afterwards_time_goes_on(follow: FollowUp) -> None:
    last_s = fed(follow)
    follow.listen(is_on=False, now_s=last_s + 30.0)
    assert waited(follow, last_s + 30.0, 7200.0) == []
    back_s = last_s + 7230.0
    follow.listen(is_on=True, now_s=back_s)
    assert waited(follow, back_s, SETTLE_S + 60.0) == []
    assert len(waited(follow, back_s + SETTLE_S + 60.0, 3600.0)) == 2


def test_a_device_whose_will_says_so_is_told_and_back_when_it_speaks(follow: FollowUp) -> None:
    last_s = fed(follow)
    assert [event.stream for event in follow.lose(["hall"], last_s + 1.0).verdicts] == list(NAMES)
    news = follow.gather(*batch(last_s + STEP_S, ("hall/a",)), last_s + STEP_S)
    assert [(event.stream, event.raised) for event in news.verdicts] == [("hall/a", False)]


def test_verdicts_can_be_switched_off() -> None:
    follow = FollowUp(parse_settings("health: {enabled: false}", "test"))
    follow.listen(is_on=True, now_s=NOW - SETTLE_S)
    assert waited(follow, fed(follow), 3600.0) == []
    assert follow.lose(["hall"], NOW).verdicts == []


def test_a_crash_within_a_silence_leaves_the_same_behind(tmp_path: Path) -> None:
    """The desk as the daemon drives it, through a store: what is replayed is what was."""
    settings = parse_settings("streams: {max_streams: 4}", "test")

    def start() -> tuple[Store, Session, FollowUp, Keeper, WordDesk]:
        store, session, follow, outbox = (
            Store(tmp_path, settings.store),
            Session(settings),
            FollowUp(settings),
            Outbox(9),
        )
        keeper = Keeper(session, follow, outbox, store)
        assert keeper.restore() == []
        return store, session, follow, keeper, WordDesk(follow, keeper, Teller(settings, outbox), "")

    store, session, follow, keeper, desk = start()
    desk.listen(is_on=True, now_s=NOW - SETTLE_S)
    for i in range(60):
        now_s = NOW + i * STEP_S
        readings, _ = batch(now_s)
        _, note = keeper.sift([])
        note(readings, now_s)
        follow.gather(readings, session.process(readings, now_s), now_s)
        keeper.commit([])
    desk.lose(["hall/b"], now_s + 1.0)
    for later_s in range(1, 400):
        desk.turn(now_s + later_s, is_current=True)
        keeper.commit([])
    assert follow.n_silent == 2
    store.close()
    store, _, again, _, desk = start()
    assert again.dump() == follow.dump()
    desk.listen(is_on=False, now_s=now_s + 9000.0, is_start=True)
    desk.listen(is_on=True, now_s=now_s + 9001.0)
    assert again.listening.at(now_s + 9001.0 + SETTLE_S) == pytest.approx(
        follow.listening.at(now_s + 399.0), abs=BEAT_S
    )
    store.close()


def test_nobody_is_called_silent_while_messages_wait(follow: FollowUp) -> None:
    settings = Settings()
    last_s = fed(follow)
    outbox = Outbox(9)
    desk = WordDesk(follow, Keeper(Session(settings), follow, outbox), Teller(settings, outbox), "")
    for later_s in range(0, 3600, 10):
        desk.turn(last_s + later_s, is_current=False)
    assert follow.n_silent == 0
    for later_s in range(3600, 7200, 10):
        desk.turn(last_s + later_s, is_current=True)
    assert follow.n_silent == 2
    assert not math.isnan(follow.listening.at(last_s + 7200))
