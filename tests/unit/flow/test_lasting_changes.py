"""Lasting changes alert and become the new normal; what never changes never alerts; a stuck sensor is told once."""

from collections import Counter

import numpy as np
import pytest

from pipeline.core.records import F64, EpisodeEvent, Event, Health, HealthEvent, Readings, Steps
from pipeline.core.settings import parse_settings
from pipeline.runtime.session import Session

CHUNK = 48
CHANGE_AT = 1000
LIGHT = "forecast: {hidden: 6}\ntraining: {takeover: 0, steps: 2, batch: 4, window: 32}"


def run(values: F64, settings: str = LIGHT) -> tuple[Session, list[Steps]]:
    """Drive a session as replay does with streams s0, s1, ... of values (N, S), one reading a minute."""
    session = Session(parse_settings(settings, "test"))
    n, n_streams = values.shape
    names = [f"s{i}" for i in range(n_streams)]
    parts = []
    for start in range(0, n, CHUNK):
        chunk = values[start : start + CHUNK]
        stream = np.tile(np.arange(n_streams, dtype=np.int32), len(chunk))
        time = np.repeat(60.0 * np.arange(start, start + len(chunk)), n_streams)
        flags = np.zeros(len(time), np.uint8)
        parts.append(session.process(Readings(names, stream, time, chunk.ravel(), flags), now=np.inf))
        session.fine_tune()
    return session, parts


def events(parts: list[Steps]) -> list[EpisodeEvent]:
    return [event for part in parts for event in part.events]


def noise(n: int, n_streams: int) -> F64:
    return 20 + np.random.default_rng(5).normal(size=(n, n_streams))


def test_a_level_shift_alerts_once_and_is_then_the_new_normal() -> None:
    values = noise(2200, 6)
    values[CHANGE_AT:] += 8
    session, parts = run(values)
    found = events(parts)
    opened = {event.stream: event for event in found if event.event == Event.OPEN}
    closed = {event.stream: event for event in found if event.event == Event.CLOSE}
    assert Counter((e.stream, e.event) for e in found) == Counter((f"s{i}", e) for i in range(6) for e in (1, 2))
    for stream, event in opened.items():
        assert CHANGE_AT * 60 <= event.opened_s <= (CHANGE_AT + 8) * 60
        assert closed[stream].episode == event.episode
        assert closed[stream].reason == "quiet"
        assert closed[stream].at_s < event.opened_s + session.settings.detection.n_quarantine * 60
    view = session.view()
    assert not view.is_open.any()
    assert view.forecast == pytest.approx(28, abs=3)


def test_after_a_second_shift_beyond_where_it_was_it_alerts_again() -> None:
    values = noise(2200, 3)
    values[CHANGE_AT:] += 8
    values[CHANGE_AT + 900 :] -= 12
    found = [event for event in events(run(values)[1]) if event.event == Event.OPEN]
    assert Counter(event.stream for event in found) == {"s0": 2, "s1": 2, "s2": 2}


def stuck_verdicts(parts: list[Steps]) -> list[HealthEvent]:
    return [event for part in parts for event in part.health_events if event.verdict == Health.STUCK]


def test_a_stuck_sensor_is_told_within_the_long_horizon_and_a_bit() -> None:
    values = noise(CHANGE_AT + 100, 6)
    values[CHANGE_AT:] = 20.0  # where it usually is: the level does not give it away
    parts = run(values)[1]
    verdicts, opened = stuck_verdicts(parts), events(parts)
    assert Counter(event.stream for event in verdicts) == Counter(f"s{i}" for i in range(6))
    for event in verdicts:
        assert CHANGE_AT < event.at_s / 60 <= CHANGE_AT + 32
        assert event.raised
    for episode in opened:
        assert CHANGE_AT < episode.opened_s / 60 <= CHANGE_AT + 32
        assert episode.view == "activity"


def test_a_stuck_sensor_is_told_once_and_not_again_and_again() -> None:
    values = noise(CHANGE_AT + 1500, 6)
    values[CHANGE_AT:] = values[CHANGE_AT - 1]
    parts = run(values)[1]
    verdicts = [event for event in stuck_verdicts(parts) if event.raised]
    assert Counter(event.stream for event in verdicts) == Counter(f"s{i}" for i in range(6))
    opened = Counter(event.stream for event in events(parts) if event.event == Event.OPEN)
    assert max(opened.values(), default=0) <= 1


def test_a_glitch_among_the_first_readings_does_not_mask_a_fault_a_thousand_later() -> None:
    values = noise(1600, 3)
    values[[3, 10, 25], [0, 1, 2]] = [1e12, -1e6, 1e3]
    values[1500] += 10
    scores = np.concatenate([part.score for part in run(values)[1]]).reshape(values.shape)
    assert (scores[1500] >= 4).all()  # each would open an episode
