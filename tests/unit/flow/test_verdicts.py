"""Health verdicts through the engine: bits while they hold, events in words, what does not teach, what is resumed."""

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, U16, Health, HealthEvent, Readings, Steps
from pipeline.core.settings import Settings, parse_settings
from pipeline.evaluate.battery_faults import apply
from pipeline.evaluate.battery_signals import KINDS, clean
from pipeline.evaluate.health import watched
from pipeline.flow.snapshot import pack, pack_model, unpack, unpack_model
from pipeline.runtime.session import Session

SMALL = """
streams: {window_len: 128}
forecast: {hidden: 4}
training: {enabled: false, window: 32}
health: {n_warmup: 256, n_accepted: 512, ranges: %s}
"""
N, BEGIN = 600, 400
CHUNK = 48


def small(ranges: str = "[]") -> Settings:
    return parse_settings(SMALL % ranges, "test")


def readings_of(value: F64, name: str = "room/t") -> Readings:
    """Return a stream of a reading a minute."""
    n = len(value)
    time = np.asarray(1.77e9 + 60.0 * np.arange(n), np.float64)
    return Readings([name], np.zeros(n, np.int32), time, value, np.zeros(n, np.uint8))


def play(value: F64, session: Session | None = None, name: str = "room/t") -> tuple[U16, list[HealthEvent]]:
    """Return the health of every reading, and the events."""
    session = session or Session(small())
    whole = readings_of(value, name)
    steps = [session.process(whole.rows(slice(k, k + CHUNK)), now=np.inf) for k in range(0, len(value), CHUNK)]
    return health_of(steps), [event for step in steps for event in step.health_events]


def health_of(steps: list[Steps]) -> U16:
    return np.concatenate([step.health for step in steps])


def noise(n: int = N) -> F64:
    return 20 + np.random.default_rng(1).normal(size=n)


def stuck() -> F64:
    value = noise()
    value[BEGIN : BEGIN + 100] = 21.4
    return value


def test_the_bit_is_set_while_a_verdict_holds_and_events_tell_its_ends() -> None:
    health, (raised, cleared) = play(stuck())
    held = np.flatnonzero(health & Health.STUCK)
    assert (raised.verdict, raised.raised, cleared.raised) == (Health.STUCK, True, False)
    assert raised.stream == "room/t"
    assert raised.since_s == cleared.since_s == 1.77e9 + 60.0 * BEGIN
    assert held.tolist() == list(range(held[0], BEGIN + 102))
    assert (raised.at_s, cleared.at_s) == (1.77e9 + 60.0 * held[0], 1.77e9 + 60.0 * (BEGIN + 102))
    assert raised.text.startswith("has not moved from 21.4 for ")
    assert cleared.text == "moves again"


def test_the_view_shows_what_holds_now() -> None:
    session = Session(small())
    play(stuck()[: BEGIN + 50], session)
    assert session.view().health.tolist() == [Health.STUCK]


def test_readings_under_the_verdict_teach_no_scale() -> None:
    session, other = Session(small()), Session(small())
    play(stuck()[: BEGIN + 60], session)
    play(stuck()[: BEGIN + 90], other)
    assert session.state.scaling.var[0] == other.state.scaling.var[0]
    play(stuck(), moved := Session(small()))
    assert moved.state.scaling.var[0] != session.state.scaling.var[0]


@pytest.mark.parametrize("packed_at", [BEGIN + 5, BEGIN + 50, BEGIN + 101])
def test_what_is_packed_in_the_middle_goes_on_as_if_it_were_not(packed_at: int) -> None:
    session, whole = Session(small()), readings_of(stuck())
    session.process(whole.rows(slice(0, packed_at)), now=np.inf)
    resumed = Session(small())
    resumed.state = unpack(pack(session.state), small())
    resumed.model = unpack_model(pack_model(session.model), small())
    rest = whole.rows(slice(packed_at, None))
    expected, found = session.process(rest, now=np.inf), resumed.process(rest, now=np.inf)
    assert np.array_equal(found.health, expected.health)
    assert found.health_events == expected.health_events
    assert pack(resumed.state) == pack(session.state)


def test_given_limits_count_from_the_first_reading_for_the_streams_they_match() -> None:
    session = Session(small("[{match: '*/t', low: 0, high: 30}, {match: '*', low: 100}]"))
    value = noise(40)
    value[3] = 99.0
    health, events = play(value, session)
    assert events[0].text == "reads 99, outside the limits given: 0 to 30"
    assert np.flatnonzero(health & Health.OUT_OF_RANGE).tolist() == list(range(3, 3 + 16))
    assert play(value, session, "room/power")[1][0].text.endswith("outside the limits given: at least 100")


def test_limits_given_later_hold_after_a_restart() -> None:
    session = Session(small())
    play(noise(50), session)
    ranges = small("[{match: 'room/*', high: 15}]")
    assert unpack(pack(session.state), ranges).reach.ceiling[0] == 15.0
    limited = Session(ranges)
    play(noise(50), limited)
    assert unpack(pack(limited.state), small()).reach.ceiling[0] == np.inf


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("health: {ranges: [{match: a, low: 2, high: 1}]}", "low must be smaller than high"),
        ("health: {ranges: [{match: a}]}", "a range needs low, high or both"),
        ("health: {n_warmup: 1}", "greater than or equal to 256"),
    ],
)
def test_wrong_settings_are_refused_with_their_place(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        parse_settings(text, "edge.yaml")


def test_a_counter_that_resets_is_told_and_its_increments_are_judged() -> None:
    steps = np.random.default_rng(1).gamma(20, 1 / 20, 600)
    register = 1000 + np.cumsum(steps)
    register[500:] -= register[500] - 0.4
    _, events = play(register)
    assert [event.verdict for event in events] == [Health.COUNTER_RESET] * 2
    assert events[0].text == f"the counter fell from {register[499]:.6g} to 0.4"


def test_nothing_is_judged_where_that_is_switched_off() -> None:
    settings = parse_settings("health: {enabled: false}\nforecast: {hidden: 4}\ntraining: {enabled: false}", "test")
    assert play(stuck(), Session(settings))[1] == []


def test_clean_streams_of_the_battery_raise_at_most_one_verdict_in_all() -> None:
    """78 streams of 30 days; docs/health.md has the figures of more."""
    streams = [series.readings() for kind in KINDS for series in clean(kind, 6, seed=3)]
    assert sum(event.raised for own in watched(streams) for event in own) <= 1


def resting(kind: str, rng: np.random.Generator, time: F64) -> F64:
    """Return a stream that sleeps, switches or rests, as real ones do."""
    n, hour, day = len(time), time / 3600 % 24, time // 86_400 % 7
    noise = rng.normal(size=n)
    is_shift = (hour > 7) & (hour < 18)
    match kind:
        case "solar cell":
            cloud = np.clip(1 - 0.3 * np.abs(noise), 0.05, 1)
            return np.round(800 * np.maximum(0, -np.cos(hour * np.pi / 12)) * cloud, 1)
        case "machine off at nights and weekends":
            return np.where((day < 5) & is_shift, 10 + noise, 2.3)
        case "valve":
            return np.repeat(rng.choice([0.0, 100.0], n), rng.integers(5, 100, n))[:n]
        case "household meter":
            return np.cumsum(rng.poisson(np.where(hour > 6, 0.4, 0.01)), dtype=np.float64)
        case _:
            return 40 + np.where((day < 5) & is_shift, 5.0, 0.5) * noise


KINDS_AT_REST = ["solar cell", "machine off at nights and weekends", "valve", "household meter", "noise of an office"]


@pytest.mark.parametrize("kind", KINDS_AT_REST)
def test_streams_that_sleep_or_switch_or_rest_are_not_broken(kind: str) -> None:
    shown = []
    for i in range(8):
        begin_s = 1.77e9 + 11_000.0 * i  # at all hours
        time = np.asarray(begin_s + 300.0 * np.arange(21 * 288), np.float64)
        shown.append((time, resting(kind, np.random.default_rng(i), time)))
    assert [event.text for own in watched(shown) for event in own] == []


@pytest.mark.parametrize(("a", "b"), [(1.8, 32.0), (-1.0, 0.0), (1000.0, -5.0)])
def test_verdicts_do_not_depend_on_the_unit(a: float, b: float) -> None:
    value = np.round(noise(4000), 2)
    value[2000:2100] = 21.43
    value[2600:3000] = 20 + 4 * (value[2600:3000] - 20)
    value[3600:] = 20 + np.round(value[3600:] - 20)
    time = np.asarray(60.0 * np.arange(len(value)), np.float64)
    told = [[(e.verdict, e.raised, e.at_s) for e in own] for own in watched([(time, value), (time, a * value + b)])]
    assert told[0] == told[1]
    assert {verdict for verdict, _, _ in told[0]} == {Health.STUCK, Health.NOISY, Health.RESOLUTION}


@pytest.mark.parametrize(
    ("fault", "size", "verdicts", "within"),
    [
        ("stuck", 1.0, Health.STUCK, 200),
        ("noise_up", 3.0, Health.NOISY, 200),
        ("noise_down", 0.1, Health.TOO_QUIET | Health.STUCK, 500),
        ("unit", 1000.0, Health.OUT_OF_RANGE, 10),
    ],
)
def test_faults_of_the_battery_are_found_where_they_can_be_seen(
    fault: str, size: float, verdicts: Health, within: int
) -> None:
    kinds = [kind for kind in KINDS if kind not in {"constant", "report_on_change", "bursty"}]
    planted = [apply(fault, size, clean(kind, 1, seed=3, days=15.0)[0], 3600) for kind in kinds]
    told = watched([each.series.readings() for each in planted])
    for kind, each, events in zip(kinds, planted, told, strict=True):
        raised_s = [event.at_s for event in events if event.raised and event.verdict in verdicts]
        assert raised_s, kind
        assert 0 <= raised_s[0] - each.start_s <= within * 300.0, kind
