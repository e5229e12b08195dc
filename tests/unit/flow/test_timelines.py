"""Clocks that jump: a stream goes on when its clock was set back, and one wrong time stamp does not end it."""

import numpy as np
import pytest

from pipeline.core.records import F64, Health, HealthEvent, Outcome, Readings, Steps
from pipeline.core.settings import Settings, parse_settings
from pipeline.flow.snapshot import pack, unpack
from pipeline.runtime.session import Session

SMALL = """
streams: {window_len: 128}
forecast: {hidden: 4}
training: {enabled: %s, every: 32, steps: 1, batch: 2, window: 16}
health: {n_warmup: 256, n_relocated: 32}
"""
N, BEGIN, T0 = 600, 400, 1.77e9


def small(*, trains: bool = False) -> Settings:
    return parse_settings(SMALL % str(trains).lower(), "test")


def play(time: F64, session: Session, batch: int = 48, now: F64 | None = None) -> Steps:
    """Send a noisy stream in batches; ``now`` is the clock at each reading, else event time is the only one."""
    value = 20 + np.random.default_rng(1).normal(size=len(time))
    whole = Steps.blank(len(time))
    for start in range(0, len(time), batch):
        rows = slice(start, start + batch)
        n = len(time[rows])
        readings = Readings(["s"], np.zeros(n, np.int32), time[rows], value[rows], np.zeros(n, np.uint8))
        steps = session.process(readings, float(now[rows][-1]) if now is not None else np.inf)
        session.fine_tune()
        for column in ("outcome", "health", "score"):
            getattr(whole, column)[rows] = getattr(steps, column)
        whole.health_events.extend(steps.health_events)
    return whole


def minutes(n: int = N) -> F64:
    return np.asarray(T0 + 60.0 * np.arange(n), np.float64)


def raised(steps: Steps) -> list[HealthEvent]:
    return [event for event in steps.health_events if event.raised and event.verdict == Health.CLOCK_SKEW]


@pytest.mark.parametrize("batch", [1, 48])
def test_one_time_stamp_far_ahead_costs_32_readings_and_not_the_stream(batch: int) -> None:
    time = minutes()
    time[BEGIN] += 10 * 365 * 86_400.0
    session = Session(small())
    steps = play(time, session, batch)
    late = np.flatnonzero(steps.outcome == Outcome.LATE)
    assert len(late) == 32
    assert BEGIN < late[0] <= BEGIN + batch  # those of one batch are sorted by time
    assert late[-1] - late[0] == 31
    assert (steps.outcome[late[-1] + 1 :] == Outcome.ACCEPTED).all()
    (event,) = raised(steps)
    assert event.text == "32 readings in a row from the past: its clock went back by 3,650 days"
    assert event.since_s == time[late[0]]
    assert session.view().time.tolist() == [time[-1]]


@pytest.mark.parametrize("offset_s", [0.0, 17.0])
def test_a_clock_set_back_by_an_hour_is_followed(offset_s: float) -> None:
    """Where the old times come again to the second they are taken for repeats; then the hour passes by itself."""
    time = minutes()
    time[BEGIN:] -= 3600 - offset_s
    steps = play(time, Session(small()))
    refused = steps.outcome != Outcome.ACCEPTED
    assert refused[BEGIN : BEGIN + 32].all()
    assert not refused[BEGIN + 61 :].any()
    assert len(raised(steps)) == (offset_s > 0)
    if offset_s:
        assert refused.sum() == 32


def test_a_clock_reset_to_1970_is_followed_with_all_that_the_window_holds() -> None:
    time = minutes()
    time[BEGIN:] -= T0
    session = Session(small(trains=True))
    steps = play(time, session)
    assert (steps.outcome != Outcome.ACCEPTED).sum() == 32
    held = session.state.windows.last(np.array([0]), session.settings.window_len).time[0]
    assert (np.diff(held) > 0).all()
    assert held[-1] == time[-1]
    assert pack(unpack(pack(session.state), small(trains=True))) == pack(session.state)


def test_scores_go_on_on_the_new_time_line() -> None:
    time = minutes(900)
    time[BEGIN:] -= 5000.0
    steps = play(time, Session(small()))
    assert np.isfinite(steps.score[700:]).all()


def test_an_alert_at_a_wrong_time_does_not_silence_the_new_time_line() -> None:
    time, session = minutes(), Session(small())
    time[:BEGIN] += 1e6
    play(time[:BEGIN], session)
    session.state.decision.alerted_s[0] = time[BEGIN - 1]
    play(time[BEGIN:], session)
    assert session.state.decision.watched_s[0] < time[BEGIN]
    assert session.state.decision.alerted_s[0] < time[BEGIN]


def test_the_verdict_is_cleared_after_64_readings_on_time() -> None:
    time = minutes()
    time[BEGIN:] -= 5000.0
    steps = play(time, Session(small()))
    held = np.flatnonzero(steps.health & Health.CLOCK_SKEW)
    (_, cleared) = steps.health_events
    assert not cleared.raised
    assert cleared.at_s == time[held[-1] + 1]
    assert held[-1] + 1 == BEGIN + 32 + 63


def test_late_readings_in_disorder_or_among_good_ones_move_no_time_line() -> None:
    time = minutes()
    time[BEGIN : BEGIN + 100] = T0 + 1 + np.random.default_rng(1).permutation(100)
    assert not raised(play(time, Session(small())))
    mixed = minutes()
    mixed[BEGIN:][::2] = T0 + 1 + np.arange(len(mixed[BEGIN:][::2]))
    assert not raised(play(mixed, Session(small())))


@pytest.mark.parametrize("now_lags_s", [3600.0])
def test_a_clock_that_is_ahead_is_told_though_nothing_is_accepted(now_lags_s: float) -> None:
    time, session = minutes(), Session(small())
    now = time.copy()
    time[BEGIN:] += now_lags_s
    steps = play(time, session, batch=1, now=now)
    assert (steps.outcome[BEGIN:] == Outcome.FUTURE).all()
    (event,) = raised(steps)
    assert event.text == "8 readings in a row from the future: its clock is 1 h ahead"
    assert event.at_s == time[BEGIN + 7]
    assert session.view().health.tolist() == [Health.CLOCK_SKEW | Health.FUTURE]


def test_a_step_ahead_by_an_hour_is_told_where_only_event_time_is_known() -> None:
    time = minutes()
    time[BEGIN:] += 3600.0
    steps = play(time, Session(small()))
    assert [event.at_s for event in raised(steps)] == [time[BEGIN]]
    assert (steps.outcome == Outcome.ACCEPTED).all()


def test_a_silence_of_any_other_length_is_a_gap_and_no_wrong_clock() -> None:
    time = minutes()
    time[BEGIN:] += 5000.0
    steps = play(time, Session(small()))
    assert not raised(steps)
    assert steps.health[BEGIN] & Health.GAP
