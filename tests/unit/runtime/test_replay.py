"""Replay: the order of batches, the clock, and steps that come back in input order."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipeline.core.records import EpisodeEvent, Event, Outcome, Readings, Steps
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.replay import ReplayResult, episodes, replay
from pipeline.runtime.replay_batches import batches, joined
from pipeline.runtime.replay_report import episode_table, summary
from pipeline.runtime.session import Session
from pipeline.sources.recording import Recording

T0 = 1.4e9
PER_STREAM = parse_settings("training: {takeover: 0, enabled: false, every: 8}", "test")
FLEET = parse_settings("{forecast: {sharing: fleet}, training: {takeover: 0, enabled: false, every: 8}}", "test")
CONTEXT = parse_settings(
    "{forecast: {context: [{stream: s0, inputs: [s1]}]}, training: {takeover: 0, enabled: false, every: 8}}", "test"
)


def readings_of(streams: list[int], times: list[float], names: list[str] | None = None) -> Readings:
    """Readings whose values count up, so that a misplaced row shows."""
    n = len(streams)
    names = names or [f"s{i}" for i in range(max(streams, default=-1) + 1)]
    value = np.arange(1, n + 1, dtype=np.float64)
    return Readings(names, np.array(streams, np.int32), T0 + np.array(times, np.float64), value, np.zeros(n, np.uint8))


def recording_of(readings: Readings) -> Recording:
    return Recording("test", readings, {})


class Witness(Session):
    """A session that remembers what it was given."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.seen: list[tuple[list[float], float]] = []
        self.n_fine_tune_calls = 0

    def process(self, readings: Readings, now: float) -> Steps:
        self.seen.append((readings.value.tolist(), now))
        return super().process(readings, now)

    def fine_tune(self, max_groups: int | None = None) -> int:
        self.n_fine_tune_calls += 1
        return super().fine_tune(max_groups)


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), min_size=1, max_size=120)


@given(ROWS, st.sampled_from([PER_STREAM, FLEET, CONTEXT]))
def test_batches_hold_every_row_once_and_keep_each_streams_file_order(
    rows: list[tuple[int, int]], settings: Settings
) -> None:
    streams = [stream for stream, _ in rows]
    readings = readings_of(streams, [float(time) for _, time in rows])
    order = np.concatenate(list(batches(readings, settings)))
    assert sorted(order.tolist()) == list(range(len(streams)))
    for stream in set(streams):
        assert (np.diff(order[readings.stream[order] == stream]) > 0).all()


def test_with_a_network_per_stream_a_batch_is_the_next_readings_of_every_stream() -> None:
    readings = readings_of([0] * 20 + [1] * 10, [*range(20), *range(1000, 1010)])
    got = [rows.tolist() for rows in batches(readings, PER_STREAM)]
    assert got == [[*range(8), *range(20, 28)], [*range(8, 16), 28, 29], [*range(16, 20)]]


def test_with_one_network_for_all_batches_follow_time() -> None:
    readings = readings_of([0] * 20 + [1] * 20, [2.0 * i for i in range(20)] + [2.0 * i + 1 for i in range(20)])
    got = [sorted((readings.time[rows] - T0).tolist()) for rows in batches(readings, FLEET)]
    assert got == [list(range(16)), list(range(16, 32)), list(range(32, 40))]


def test_with_context_a_busy_stream_is_trained_as_often_beside_rare_ones_as_alone() -> None:
    rare = [0.0, 9.5, 19.5]
    readings = readings_of([0] * 20 + [1] * 3 + [2] * 3, [*range(20), *rare, *rare])
    got = [sorted((readings.time[rows] - T0).tolist()) for rows in batches(readings, CONTEXT)]
    assert got == [[0, 0, *range(8)], [*range(8, 10), 9.5, 9.5, *range(10, 16)], [*range(16, 20), 19.5, 19.5]]


@given(ROWS)
def test_with_context_batches_follow_time_and_hold_no_more_of_a_stream_than_are_trained_on(
    rows: list[tuple[int, int]],
) -> None:
    rows = sorted(set(rows), key=lambda row: row[1])
    readings = readings_of([stream for stream, _ in rows], [float(time) for _, time in rows])
    parts = list(batches(readings, CONTEXT))
    assert all(np.bincount(readings.stream[part]).max() <= 8 for part in parts)
    ends = [(readings.time[part].min(), readings.time[part].max()) for part in parts]
    assert all(before[1] < after[0] for before, after in pairwise(ends))
    for part, after in pairwise(parts):  # none ends sooner than it must
        more = np.concatenate((part, after[readings.time[after] == readings.time[after].min()]))
        assert np.bincount(readings.stream[more]).max() > 8


def test_a_reading_that_is_late_in_the_file_is_late_in_the_fleets_order() -> None:
    times = [*range(40), 3.0, *range(40, 60)]
    batch = next(i for i, rows in enumerate(batches(readings_of([0] * 61, times), FLEET)) if 40 in rows)
    assert batch == 39 // 8  # that of the reading before it, with which it arrives at the earliest
    result = replay([recording_of(readings_of([0] * 61, times))], FLEET)
    assert np.flatnonzero(result.steps.outcome).tolist() == [40]


def test_the_clock_follows_event_time_and_never_goes_back() -> None:
    readings = readings_of([0] * 8 + [0] * 8 + [0] * 8, [*range(8), *range(100, 108), *range(50, 58)])
    witness = Witness(PER_STREAM)
    replay([recording_of(readings)], PER_STREAM, session=witness)
    assert [now - T0 for _, now in witness.seen] == [7, 107, 107]


def test_fine_tuning_follows_every_batch_when_it_is_on() -> None:
    settings = parse_settings("training: {takeover: 0, every: 8}", "test")
    witness = Witness(settings)
    replay([recording_of(readings_of([0] * 24, [*range(24)]))], settings, session=witness)
    assert (len(witness.seen), witness.n_fine_tune_calls) == (3, 3)
    off = Witness(PER_STREAM)
    replay([recording_of(readings_of([0] * 24, [*range(24)]))], PER_STREAM, session=off)
    assert off.n_fine_tune_calls == 0


def test_steps_come_back_in_input_order_file_after_file() -> None:
    first = readings_of([0, 1] * 20, [float(i // 2) for i in range(40)], ["a", "b"])
    second = readings_of([0] * 30, [*range(20), 5.0, *range(21, 30)], ["c"])
    told: list[int] = []
    result = replay([recording_of(first), recording_of(second)], PER_STREAM, told.append)
    assert list(result.readings.names) == ["a", "b", "c"]
    assert result.readings.value.tolist() == [*range(1, 41), *range(1, 31)]
    assert np.flatnonzero(result.steps.outcome != Outcome.ACCEPTED).tolist() == [60]
    assert sum(told) == 70
    assert sum(result.counts.values()) == 70


def test_a_stream_in_two_files_is_one_stream() -> None:
    one = readings_of([0] * 10, [*range(10)], ["pump"])
    two = readings_of([0] * 10, [*range(5, 15)], ["pump"])
    result = replay([recording_of(one), recording_of(two)], PER_STREAM)
    assert list(result.readings.names) == ["pump"]
    assert result.counts["accepted"] == 15


def test_streams_do_not_touch_each_other_however_files_are_given() -> None:
    rng = np.random.default_rng(5)
    a = readings_of([0] * 200, rng.integers(0, 400, 200).astype(float).tolist(), ["a"])
    b = readings_of([0] * 150, rng.integers(0, 400, 150).astype(float).tolist(), ["b"])
    together = replay([recording_of(b), recording_of(a)], PER_STREAM).steps.forecast[150:]
    alone = replay([recording_of(a)], PER_STREAM).steps.forecast
    np.testing.assert_allclose(together, alone, rtol=1e-6)


def test_no_readings_are_no_batches() -> None:
    assert list(batches(joined([]), PER_STREAM)) == []


def event(kind: Event, stream: str, opened_s: float, at_s: float, score: float = 5.0) -> EpisodeEvent:
    return EpisodeEvent(
        kind, stream, f"{stream}@{opened_s}", opened_s, at_s, score, at_s, 1.0, 0.0, -1.0, 1.0, 4.5, "next reading"
    )


def test_episodes_pair_openings_with_closings_and_bring_open_ones_up_to_date() -> None:
    readings = readings_of([0, 0, 0, 1, 1], [0, 1, 2, 0, 1])
    steps = Steps.blank(5)
    steps.opened[3:] = T0
    steps.score[3:] = 5.0, 8.0
    steps.events = [
        event(Event.OPEN, "s1", T0, T0),
        event(Event.OPEN, "s0", T0, T0),
        event(Event.CLOSE, "s0", T0, T0 + 2, 6.0),
    ]
    closed, still_open = episodes(readings, steps)
    assert (closed.last.stream, closed.end_s, closed.last.peak_score) == ("s0", T0 + 2, 6.0)
    assert (still_open.last.stream, still_open.end_s, still_open.last.peak_score) == ("s1", None, 8.0)
    assert (still_open.last.peak_s, still_open.last.value) == (T0 + 1, 5.0)


def one_episode(stream: str) -> ReplayResult:
    readings = readings_of([0], [0], [stream])
    steps = Steps.blank(1)
    steps.events = [event(Event.CLOSE, stream, T0, T0 + 2)]
    return ReplayResult(readings, steps, episodes(readings, steps), {"accepted": 1, "late": 0}, {})


def test_the_summary_counts() -> None:
    assert summary(one_episode("s"), 1.26) == "1 stream, 1 reading (1 accepted), 1 episode, 1.3 s"


@pytest.mark.parametrize("width", [80, 400])
def test_the_table_cuts_nothing(width: int) -> None:
    console = Console(width=width)
    with console.capture() as shown:
        console.print(episode_table(one_episode("s" * 128).episodes, width))
    text = shown.get()
    assert text.count("s") >= 128
    for cell in ("2014-05-13 16:53:20", "2014-05-13 16:53:22", "5.0", "-1 .. 1", "next reading"):
        assert cell in text
    assert "…" not in text
