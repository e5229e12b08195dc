"""Counters through the whole engine: shown by rising, worked on as increments, reported as they came."""

import numpy as np
import pytest

from pipeline.core.records import F64, Event, Readings, Steps
from pipeline.core.settings import parse_settings
from pipeline.runtime.session import Session

LIGHT = """
forecast: {hidden: 4}
training: {window: 32, enabled: false}
detection: {n_warmup: 100}
"""


def session_of() -> Session:
    return Session(parse_settings(LIGHT, "test"))


def send(session: Session, values: F64, first_s: float = 0.0) -> Steps:
    n = len(values)
    time = first_s + 60.0 * np.arange(n, dtype=np.float64)
    return session.process(Readings(["meter"], np.zeros(n, np.int32), time, values, np.zeros(n, np.uint8)), now=np.inf)


def meter(n: int, start: float = 5000.0) -> F64:
    """Return an energy meter of a load of about 2 per minute, with steps of 1/16 so that sums are exact."""
    use = np.round(16 * (2 + 0.3 * np.random.default_rng(2).normal(size=n))) / 16
    return start + np.cumsum(use)


def test_a_meter_is_read_as_increments_and_forecast_at_its_level() -> None:
    session, values = session_of(), meter(800)
    send(session, values[:400])
    steps = send(session, values[400:], 400 * 60.0)
    assert session.state.counters.is_counter[0]
    assert session.state.windows.last(np.array([0]), 3).value[0].tolist() == np.diff(values)[-3:].tolist()
    assert np.abs(steps.forecast - values[400:]).max() < 2
    assert session.view().value.tolist() == [values[-1]]
    assert not steps.events


def test_a_reset_to_zero_is_no_episode() -> None:
    session, values = session_of(), meter(900)
    values[700:] -= values[699]
    steps = send(session, values)
    assert session.state.counters.is_counter[0]
    assert not steps.events


def test_a_meter_that_jumps_ahead_opens_an_episode() -> None:
    session, values = session_of(), meter(900)
    values[800:] += 40
    steps = send(session, values)
    assert [(event.event, event.at_s) for event in steps.events][:1] == [(Event.OPEN, 800 * 60.0)]
    assert steps.events[0].value == values[800]
    assert steps.events[0].residual == pytest.approx(40, abs=3)


def test_a_ramp_that_falls_after_all_gets_its_readings_back() -> None:
    session = session_of()
    ramp = np.concatenate((20 + np.arange(300) / 16, 38 - np.arange(100) / 16))
    send(session, ramp[:300])
    assert session.state.counters.is_counter[0]
    steps = send(session, ramp[300:], 300 * 60.0)
    assert not session.state.counters.is_counter[0]
    assert session.state.windows.last(np.array([0]), 400).value[0].tolist() == ramp.tolist()
    assert np.nanmax(np.abs(steps.forecast[1:] - ramp[301:])) < 10
    send(session, 100 + np.arange(700.0), 400 * 60.0)
    assert not session.state.counters.is_counter[0]  # it was seen to fall


def test_a_meter_that_rests_after_a_gap_stays_a_counter() -> None:
    """63.18 - w + w is more than 63.18 for this increment: what is kept must be the reading itself."""
    session = session_of()
    values = np.linspace(0, 28.22, 300)
    send(session, values)
    assert session.state.counters.is_counter[0]
    send(session, np.full(5, 63.18), 299 * 60.0 + 3600)
    assert session.state.counters.is_counter[0]
    assert session.state.counters.last[0] == 63.18
    assert session.view().value.tolist() == [63.18]
