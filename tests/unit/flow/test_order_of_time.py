"""Time in the engine: gaps are met and shown; what is not new changes no window."""

import numpy as np
import pytest

from pipeline.core.records import Flag, Health, Outcome, Readings, Steps
from pipeline.core.settings import parse_settings
from pipeline.flow.snapshot import pack
from pipeline.runtime.session import Session

N = 280
NOW_S = 60.0 * N


def send(session: Session, times: list[float], values: list[float], flags: int = 0) -> Steps:
    n = len(times)
    columns = (np.zeros(n, np.int32), np.array(times), np.array(values), np.full(n, flags, np.uint8))
    return session.process(Readings(["a"], *columns), now=NOW_S)


@pytest.fixture
def session() -> Session:
    """A session with one stream of noise around 20, a reading a minute, of which the oldest left the window."""
    text = "streams: {window_len: 128}\nforecast: {hidden: 4}\ntraining: {window: 32}\ndetection: {n_warmup: 100}"
    session = Session(parse_settings(text, "test"))
    values = 20 + np.random.default_rng(1).normal(size=N - 1)
    steps = send(session, [60.0 * i for i in range(N - 1)], values.tolist())
    assert (steps.outcome == Outcome.ACCEPTED).all()
    assert not steps.health.any()
    return session


def test_a_gap_is_shown_and_the_network_starts_anew_after_it() -> None:
    text = "streams: {window_len: 128, gap_cadences: 20}\nforecast: {hidden: 4}\ntraining: {window: 32}"
    session = Session(parse_settings(text, "test"))
    times = [60.0 * i for i in range(100)]
    values = np.random.default_rng(1).normal(size=103).tolist()
    assert not send(session, times, values[:100]).health.any()
    assert np.abs(session.state.pending.hidden[0]).sum() > 0
    longest_silence = times[-1] + 20 * 60.0
    assert send(session, [longest_silence], [0.0]).health.tolist() == [0]
    assert session.state.pending.n_since[0] == 101
    after = [longest_silence + 22 * 60.0]  # an interval moves the cadence by two percent at most
    assert send(session, after, values[100:101]).health.tolist() == [Health.GAP]
    assert session.state.pending.n_since[0] == 1
    assert session.view().health.tolist() == [Health.GAP]


def one(time: float, value: float) -> Readings:
    return Readings(["a"], np.zeros(1, np.int32), np.full(1, time), np.full(1, value), np.zeros(1, np.uint8))


def test_there_is_no_forecast_over_a_gap_and_one_again_for_the_next_reading(session: Session) -> None:
    session.process(one(1e6, 20.0), 2e6)
    assert np.isnan(session.view().forecast[0])
    assert session.view().score[0] < 3  # by its level and spread, which are the usual ones
    steps = session.process(one(1e6 + 60, 20.0), 2e6)
    assert steps.forecast[0] == pytest.approx(20, abs=2)
    assert steps.health[0] == 0


def test_a_reading_far_away_surprises_after_a_gap_too(session: Session) -> None:
    steps = session.process(one(1e6, 60.0), 2e6)
    assert np.isnan(steps.forecast[0])
    assert steps.score[0] > 4


@pytest.mark.parametrize(
    ("time", "value", "flags", "outcome", "health"),
    [
        (60.0 * (N - 1), 500.0, Flag.RETAINED, Outcome.RETAINED, 0),
        (60.0 * (N - 3) + 1, 500.0, 0, Outcome.LATE, Health.LATE),
        (0.0, 500.0, 0, Outcome.LATE, Health.LATE),
        (60.0 * (N - 3), 500.0, 0, Outcome.DUPLICATE, 0),
        (NOW_S + 61, 500.0, 0, Outcome.FUTURE, Health.FUTURE),
        (60.0 * (N - 1), np.nan, 0, Outcome.NOT_FINITE, Health.NOT_FINITE),
        (60.0 * (N - 1), 1e300, 0, Outcome.OUT_OF_RANGE, Health.OUT_OF_RANGE),
    ],
)
def test_what_is_not_accepted_changes_at_most_the_streams_health_and_what_its_clock_is_known_by(
    session: Session, time: float, value: float, flags: int, outcome: Outcome, health: int
) -> None:
    before = pack(session.state)
    steps = send(session, [time], [value], flags)
    assert steps.outcome.tolist() == [outcome]
    assert np.isnan([steps.forecast[0], steps.score[0], steps.level[0]]).all()
    assert session.view().health.tolist() == [health]
    session.state.ledger.health[0] = 0
    session.state.clock.reset(np.array([0]))  # counts what is late or early in a row
    assert pack(session.state) == before


def test_refused_readings_between_good_ones_change_none_of_their_steps(session: Session) -> None:
    undisturbed = Session(session.settings)
    values = 20 + np.random.default_rng(1).normal(size=N - 1)
    send(undisturbed, [60.0 * i for i in range(N - 1)], values.tolist())
    good = 60.0 * (N - 1)
    expected = send(undisturbed, [good, good + 60], [20.5, 19.0])
    found = send(session, [good + 60, 30.0, good + 1e4, good, good], [19.0, 1e3, -1e3, 20.5, 7e3])
    refused = [Outcome.LATE, Outcome.FUTURE, Outcome.DUPLICATE]
    assert found.outcome.tolist() == [Outcome.ACCEPTED, refused[0], refused[1], Outcome.ACCEPTED, refused[2]]
    assert np.array_equal(found.score[[3, 0]], expected.score)
    assert np.array_equal(found.forecast[[3, 0]], expected.forecast)


def test_decades_of_readings_do_not_overflow_a_count() -> None:
    """At 100 readings a second 32 bits last 248 days; full rings keep their places when whole turns are added."""
    text = "streams: {window_len: 128}\nforecast: {hidden: 4}\ntraining: {window: 32}\ndetection: {n_kept: 64}"
    young, old = Session(parse_settings(text, "test")), Session(parse_settings(text, "test"))
    values = 20 + np.random.default_rng(2).normal(size=860)
    time = 60.0 * np.arange(860, dtype=np.float64)
    readings = Readings(["a"], np.zeros(860, np.int32), time, values, np.zeros(860, np.uint8))
    for session in (young, old):
        session.process(readings.rows(slice(0, 800)), now=np.inf)
    old.state.pending.n_since += 2**40
    expected, found = (each.process(readings.rows(slice(800, 860)), now=np.inf) for each in (young, old))
    assert np.isfinite(expected.score).all()
    assert np.array_equal(found.forecast, expected.forecast)
    assert np.array_equal(found.score, expected.score)
    assert not found.events
