"""Streams are told to be silent by their own pauses, once per outage, and time in which nobody listened is nobody's."""

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from pipeline.core.health_settings import HealthSettings
from pipeline.core.records import F64, Health, HealthEvent
from pipeline.streams.listening import LONGEST_STEP_S, SETTLE_S, Listening
from pipeline.streams.silence import FORGOTTEN_S, RETAINED_S, Heard, Silence

T0 = 1_772_359_200.0
DAY, HOUR = 86_400.0, 3600.0
Told = list[tuple[float, HealthEvent]]


def heard(*names: str, repeated: float = 0.0, retained: float = 0.0) -> Heard:
    one = np.ones(len(names))
    return Heard(names, one * (1.0 - min(retained, 1.0)), one * repeated, one * retained)


def run(silence: Silence, arrivals: Iterable[tuple[float, str]], until: Sequence[float] = ()) -> Told:
    """Let streams speak at their times, look before each, and at some times after."""
    told: Told = []
    for at, name in sorted(arrivals):
        told += [(at, event) for event in silence.tick(at, T0 + at)]
        told += [(at, event) for event in silence.hear(heard(name), at, T0 + at)]
    for at in until:
        told += [(at, event) for event in silence.tick(at, T0 + at)]
    return told


def regular(step_s: float, n: int, jitter: float = 0.05, seed: int = 0) -> F64:
    return np.cumsum(step_s * (1.0 + jitter * np.random.default_rng(seed).standard_normal(n)))


@pytest.fixture
def silence() -> Silence:
    return Silence(HealthSettings(), 100)


@pytest.mark.parametrize("step_s", [10.0, 60.0, 900.0, DAY])
def test_a_regular_stream_is_silent_after_a_few_of_its_intervals_once_until_it_is_back(
    silence: Silence, step_s: float
) -> None:
    times = regular(step_s, 200)
    assert run(silence, ((at, "t") for at in times)) == []
    last = float(times[-1])
    looks = np.arange(last, last + 20 * step_s, step_s / 4)
    told = run(silence, [], looks.tolist())
    ((at, event),) = told
    assert (event.verdict, event.raised, event.since_s) == (Health.SILENT, True, T0 + last)
    assert max(3.0, 30.0 / step_s) <= (at - last) / step_s <= max(8.0, 31.0 / step_s)
    assert silence.bits(["t", "unknown"]).tolist() == [Health.SILENT, 0]
    back = last + 20 * step_s
    assert run(silence, [(back, "t")]) == []  # once is not enough
    ((at, event),) = run(silence, [(back + step_s, "t")])
    assert (event.raised, event.text) == (False, "heard again")
    assert silence.bits(["t"]).tolist() == [0]


def test_readings_that_are_lost_now_and_then_are_no_silence(silence: Silence) -> None:
    draw = np.random.default_rng(1)
    times = regular(60.0, 6000)
    kept = times[draw.random(len(times)) > 0.1]
    assert run(silence, ((at, "t") for at in kept)) == []
    last = float(kept[-1])
    assert len(run(silence, [], np.arange(last, last + HOUR, 60.0).tolist())) == 1


def test_a_stream_that_reports_changes_may_be_silent_for_longer(silence: Silence) -> None:
    times = np.cumsum(np.random.default_rng(2).exponential(60.0, 4000))
    assert run(silence, ((at, "t") for at in times)) == []
    last = float(times[-1])
    (first, *more) = run(silence, [], np.arange(last, last + DAY, 60.0).tolist())
    assert more == []
    assert 10 * 60.0 < first[0] - last < 60 * 60.0


def test_nights_are_told_until_they_are_a_habit(silence: Silence) -> None:
    times = [day * DAY + at for day in range(9) for at in np.arange(0.0, 16 * HOUR, 300.0)]
    told = run(silence, ((at, "t") for at in times))
    assert [int(at // DAY) for at, event in told if event.raised] == [1, 2, 3]
    night = 8 * DAY + 16 * HOUR
    looks = np.arange(night, night + 2 * DAY, 600.0).tolist()
    ((at, _),) = run(silence, [], looks)  # and then it never comes back
    assert at - night < 14 * HOUR


def test_a_slower_cadence_is_learnt_with_one_verdict(silence: Silence) -> None:
    fast = regular(10.0, 500)
    slow = float(fast[-1]) + regular(600.0, 100)
    told = run(silence, ((at, "t") for at in [*fast, *slow]))
    assert [event.raised for _, event in told] == [True, False]
    assert float(slow[-1]) - told[1][0] > 80 * 600.0


def test_what_was_hardly_heard_is_not_judged(silence: Silence) -> None:
    assert run(silence, ((at, "t") for at in regular(60.0, 20)), until=[DAY, 9 * DAY]) == []


def test_a_device_whose_will_says_so_is_silent_at_once_and_back_at_its_first_word(silence: Silence) -> None:
    run(silence, ((at, name) for at in regular(60.0, 50) for name in ("plc/a", "plc/b", "plc-2/a")))
    told = silence.lose(["plc"], T0 + 3100.0)
    assert sorted(event.stream for event in told) == ["plc/a", "plc/b"]
    assert silence.lose(["plc"], T0 + 3101.0) == []
    (event,) = silence.hear(heard("plc/a"), 3200.0, T0 + 3200.0)
    assert (event.stream, event.raised) == ("plc/a", False)
    assert silence.lose([], T0) == []


def test_a_stream_that_comes_twice_is_told_and_cleared_with_hysteresis(silence: Silence) -> None:
    told: list[HealthEvent] = []
    for i in range(400):
        repeated = 0.5 if 100 <= i < 250 else 0.0
        told += silence.hear(Heard(["t"], np.array([2.0]), np.array([2.0 * 2 * repeated]), np.zeros(1)), 60.0 * i, T0)
    assert [(event.verdict, event.raised) for event in told] == [(Health.DUPLICATE, True), (Health.DUPLICATE, False)]


def test_a_stream_of_which_only_a_retained_message_came_is_told_until_it_speaks(silence: Silence) -> None:
    assert silence.hear(heard("t", retained=1.0), 0.0, T0) == []
    assert not silence.is_due(RETAINED_S)
    assert silence.is_due(RETAINED_S + 1)
    (event,) = silence.tick(RETAINED_S + 1, T0)
    assert (event.verdict, event.raised) == (Health.RETAINED, True)
    assert silence.tick(RETAINED_S + 2, T0) == []
    (event,) = silence.hear(heard("t"), RETAINED_S + 60, T0)
    assert (event.verdict, event.raised) == (Health.RETAINED, False)


def test_what_was_dumped_goes_on_as_if_it_had_never_stopped(silence: Silence) -> None:
    run(silence, ((at, f"s{i}") for i in range(5) for at in regular(60.0 * (i + 1), 200, seed=i)))
    again = Silence(HealthSettings(), 100)
    again.load(silence.dump())
    assert again.dump() == silence.dump()
    looks = np.arange(12_000.0, 100_000.0, 500.0).tolist()
    assert run(again, [(50_000.0, "s9")], looks) == run(silence, [(50_000.0, "s9")], looks)
    assert again.dump() == silence.dump()


def test_streams_are_bounded_and_forgotten_after_a_month(silence: Silence) -> None:
    run(silence, ((60.0 * i, f"s{i}") for i in range(150)))
    assert len(silence) == 100
    run(silence, ((at, "s0") for at in 10_000.0 + regular(60.0, 100)), until=[20_000.0])
    (event,) = silence.tick(FORGOTTEN_S + 60.0 * 1000, T0)
    assert (event.stream, event.raised, len(silence)) == ("s0", False, 0)
    assert silence.hear(heard("s149"), FORGOTTEN_S * 2, T0) == []
    assert len(silence) == 1


def test_the_time_that_nobody_listened_counts_for_nothing() -> None:
    clock = Listening()
    clock.switch(is_on=True, now_s=T0)
    assert clock.advance(T0 + SETTLE_S + 20.0) == 20.0
    clock.switch(is_on=False, now_s=T0 + SETTLE_S + 20.0)
    clock.switch(
        is_on=True, now_s=T0 + 8 * HOUR
    )  # the broker was away for hours, and its publishers come back in a minute
    assert clock.advance(T0 + 8 * HOUR + 25.0) == 20.0
    assert clock.advance(T0 + 8 * HOUR + SETTLE_S + 10.0) == 30.0


@pytest.mark.parametrize("jump_s", [DAY, -HOUR])
def test_a_clock_that_is_set_makes_nobody_silent(jump_s: float) -> None:
    clock = Listening()
    clock.switch(is_on=True, now_s=T0)
    before = clock.advance(T0 + SETTLE_S + 20.0)
    after = clock.advance(T0 + SETTLE_S + 20.0 + jump_s)
    assert before <= after <= before + LONGEST_STEP_S
    later = clock.advance(T0 + SETTLE_S + 20.0 + jump_s + 10.0)
    assert after <= later <= after + 10.0


def test_a_start_counts_from_now_whatever_was_before() -> None:
    clock = Listening()
    clock.switch(is_on=True, now_s=T0)
    clock.advance(T0 + 100.0)
    again = Listening()
    again.load(clock.dump())
    again.switch(is_on=False, now_s=T0 + DAY, is_start=True)
    assert again.at(T0 + DAY + 50.0) == clock.at(T0 + 100.0)
