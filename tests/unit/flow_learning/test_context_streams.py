"""Context streams: a command that decides the next reading is made use of, and never before it was given."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from pipeline.core.records import F64, Readings, Steps
from pipeline.core.settings import Settings
from pipeline.flow.sharing import evict
from pipeline.flow.snapshot import pack, pack_model, unpack, unpack_model
from pipeline.runtime.session import Session

HEAT, VALVE = "boiler/heat", "boiler/valve"
NAMES = [HEAT, VALVE]
CONTEXT = [{"stream": "*/heat", "inputs": ["{device}/valve", "weather"]}]
CHUNK, MINUTE = 48, 60.0
COLUMNS = ("outcome", "forecast", "lower", "upper", "score", "event", "health")


def session_of(*, has_context: bool = True) -> Session:
    return Session(
        Settings.model_validate(
            {
                "streams": {"window_len": 256},
                "forecast": {"hidden": 8, "context": CONTEXT if has_context else []},
                "training": {"takeover": 0, "steps": 4, "batch": 8, "window": 32},
                "detection": {"n_warmup": 100, "n_kept": 64},
            }
        )
    )


@cache
def plant(n: int) -> tuple[F64, F64]:
    """Return heat and valve: whether the valve is open now decides where the heat goes next, and nothing else tells."""
    rng = np.random.default_rng(1)
    valve = rng.integers(0, 2, n).astype(np.float64)
    heat = np.zeros(n)
    for t in range(1, n):
        heat[t] = 0.5 * heat[t - 1] + 6 * valve[t - 1] - 3 + rng.normal(0, 0.3)
    return heat, valve


def readings(first: int, last: int, *, lag_s: float = 0.0) -> Readings:
    """Return readings ``first .. last - 1`` of both, heat before valve; the valve is read ``lag_s`` after the heat."""
    columns = [column[first:last] for column in plant(900)]
    n = last - first
    time = MINUTE * np.arange(first, last)[:, None] + [0.0, lag_s]
    stream = np.tile(np.arange(2, dtype=np.int32), n)
    return Readings(NAMES, stream, time.ravel(), np.stack(columns, axis=1).ravel(), np.zeros(2 * n, np.uint8))


def play(session: Session, first: int, last: int) -> Steps:
    """Drive a session as replay does; return the steps of the heat."""
    parts = []
    for start in range(first, last, CHUNK):
        parts.append(session.process(readings(start, min(last, start + CHUNK)), now=np.inf))
        session.fine_tune()
    return heat_of(parts)


def heat_of(parts: list[Steps]) -> Steps:
    found = Steps.blank(sum(len(part.outcome) for part in parts) // 2)
    for name in COLUMNS:
        getattr(found, name)[:] = np.concatenate([getattr(part, name)[::2] for part in parts])
    return found


def assert_same(found: Steps, expected: Steps) -> None:
    for column in COLUMNS:
        assert np.array_equal(getattr(found, column), getattr(expected, column), equal_nan=True), column


def test_what_a_command_decides_is_foretold_far_better_with_it() -> None:
    n, n_judged = 900, 300
    heat = plant(n)[0]
    errors = [np.abs(play(session_of(has_context=c), 0, n).forecast - heat)[-n_judged:].mean() for c in (True, False)]
    assert errors[0] < 0.3 * errors[1]


@pytest.mark.parametrize("cut", [50, 145, 200])
def test_nothing_later_changes_a_step(cut: int) -> None:
    whole, part = play(session_of(), 0, 240), play(session_of(), 0, cut)
    for column in COLUMNS:
        assert np.array_equal(getattr(part, column), getattr(whole, column)[:cut], equal_nan=True), column


def test_a_command_given_later_in_the_same_batch_is_not_foreseen() -> None:
    """In one batch of heat and, a second after each, valve: another command changes later steps only."""
    at, given = 20, readings(240, 288, lag_s=1.0)
    value = given.value.copy()
    value[2 * at + 1] = 1 - value[2 * at + 1]
    forecasts = []
    for each in (given, replace(given, value=value)):
        session = session_of()
        play(session, 0, 240)
        forecasts.append(session.process(each, now=np.inf).forecast[::2])
    is_same = forecasts[0] == forecasts[1]
    assert is_same[: at + 2].all(), "what was foretold after that heat could not know of the valve a second later"
    assert not is_same[at + 2], "after the next heat it is known"


def test_the_order_of_readings_in_a_batch_does_not_matter() -> None:
    ordered, mixed = session_of(), session_of()
    for number, start in enumerate(range(0, 192, CHUNK)):
        given = readings(start, start + CHUNK)
        order = np.random.default_rng(number).permutation(len(given))
        found, expected = mixed.process(given.rows(order), now=np.inf), ordered.process(given, now=np.inf)
        for column in COLUMNS:
            assert np.array_equal(getattr(found, column), getattr(expected, column)[order], equal_nan=True), column
        assert mixed.fine_tune() == ordered.fine_tune()
    assert pack_model(mixed.model) == pack_model(ordered.model)


@pytest.mark.parametrize("size", [1, 7])
def test_how_readings_fall_into_batches_does_not_matter(size: int) -> None:
    """Where the command comes first; readings of one time may be parted."""
    given = readings(0, 160, lag_s=-1.0)
    given = given.rows(np.argsort(given.time, kind="stable"))
    whole = session_of().process(given, now=np.inf)
    session = session_of()
    parts = [session.process(given.rows(slice(i, i + 2 * size)), now=np.inf) for i in range(0, len(given), 2 * size)]
    for column in COLUMNS:
        found = np.concatenate([getattr(part, column) for part in parts]).astype(np.float64)
        expected = np.asarray(getattr(whole, column), np.float64)
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True), column


def test_a_source_that_is_not_there_is_as_if_it_never_said_anything() -> None:
    session = session_of()
    given = readings(0, 120)
    alone = given.rows(np.arange(0, 240, 2))
    steps = session.process(replace(alone, names=[HEAT]), now=np.inf)
    assert np.isfinite(steps.forecast[20:]).all()
    assert not session.state.windows.context.any()
    assert session.state.context.source[0].tolist() == [-1, -1]


def test_a_source_counts_from_when_it_comes_and_until_it_is_evicted() -> None:
    session = session_of()
    session.process(replace(readings(0, 60).rows(np.arange(0, 120, 2)), names=[HEAT]), now=np.inf)
    play(session, 60, 156)
    assert session.state.context.source[0].tolist() == [1, -1]
    assert session.state.windows.context[0, 110:156, 0].all()
    evict(session.model, session.state, [VALVE])
    assert session.state.context.source[0].tolist() == [-1, -1]
    stranger = Readings(
        ["x"], np.zeros(9, np.int32), MINUTE * np.arange(147.0, 156.0), np.full(9, 7.0), np.zeros(9, np.uint8)
    )
    session.process(stranger, now=np.inf)
    assert session.state.table.names == [HEAT, "x"], "in the slot of the valve"
    session.process(replace(readings(156, 200).rows(np.arange(0, 88, 2)), names=[HEAT]), now=np.inf)
    assert np.isfinite(session.view().forecast[0])
    assert not session.state.windows.context[0, 156:200].any()


def test_other_streams_than_its_sources_change_nothing() -> None:
    session, among = session_of(), session_of()
    expected = play(session, 0, 192)
    parts = []
    for start in range(0, 192, CHUNK):
        given = readings(start, start + CHUNK)
        noise = np.random.default_rng(start).normal(size=len(given))
        others = Readings(["other/heat", "other/valve"], given.stream, given.time, noise, given.flags)
        among.process(others, now=np.inf)
        parts.append(among.process(given, now=np.inf))
        among.fine_tune()
    found = heat_of(parts)
    for column in ("forecast", "score"):
        assert getattr(found, column) == pytest.approx(getattr(expected, column), rel=1e-6, abs=1e-6, nan_ok=True)


def test_a_packed_session_goes_on_as_it_would_have() -> None:
    session = session_of()
    play(session, 0, 144)
    resumed = session_of()
    resumed.state = unpack(pack(session.state), session.settings)
    resumed.model = unpack_model(pack_model(session.model), session.settings)
    assert_same(play(resumed, 144, 240), play(session, 144, 240))
    assert pack(resumed.state) == pack(session.state)


@pytest.mark.parametrize("streams", [[VALVE, HEAT], [HEAT]])
def test_streams_packed_apart_find_their_sources_again(streams: list[str]) -> None:
    session, resumed = session_of(), session_of()
    play(session, 0, 144)
    resumed.state = unpack(pack(session.state, streams), session.settings)
    resumed.model = unpack_model(pack_model(session.model), session.settings)
    given = readings(144, 160)
    if VALVE not in streams:
        given = replace(given.rows(np.arange(0, 32, 2)), names=[HEAT])
    steps = resumed.process(given, now=np.inf)
    slot_of = {name: slot for slot, name in enumerate(streams)}
    assert resumed.state.context.source[slot_of[HEAT]].tolist() == [slot_of.get(VALVE, -1), -1]
    if VALVE in streams:
        expected = session.process(given, now=np.inf)
        assert steps.forecast == pytest.approx(expected.forecast, rel=1e-6, abs=1e-6)
