"""The gate: every reading has one outcome, and each accepted one is in one tick, in time order."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F64, I64, Batch, Bool, Flag, Outcome
from pipeline.streams.gate import Gated, gate

NOW_S, MAX_ABS = 100.0, 1e6
NAN, INF = float("nan"), float("inf")


class Row(NamedTuple):
    """One reading of a batch; its place in the batch is not its ``seq``."""

    slot: int
    time: float
    value: float = 1.0
    seq: int = 0
    flags: int = 0


def run(rows: list[Row], newest: F64, seen: F64) -> Gated:
    slot, time, value, seq, flags = zip(*rows, strict=True) if rows else ((),) * 5
    batch = Batch(
        np.array(slot, np.int32), np.array(seq, np.int64), np.array(time, float), np.array(value, float),
        np.array(flags, np.uint8),
    )  # fmt: skip

    def holds(slots: I64, time: F64) -> Bool:
        found: Bool = (seen[slots] == time[:, None]).any(axis=1)
        return found

    return gate(batch, newest, holds, NOW_S, MAX_ABS)


def run_on_one_stream(*rows: Row) -> list[Outcome]:
    """Gate readings of a stream whose window of three holds the times 10, 20 and 30."""
    gated = run(list(rows), np.array([30.0]), np.array([[10.0, 20.0, 30.0]]))
    return [Outcome(outcome) for outcome in gated.outcome]


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (Row(0, 31.0), Outcome.ACCEPTED),
        (Row(0, 30.0), Outcome.DUPLICATE),
        (Row(0, 10.0), Outcome.DUPLICATE),
        (Row(0, 29.0), Outcome.LATE),
        (Row(0, 5.0), Outcome.LATE),
        (Row(0, NOW_S), Outcome.ACCEPTED),
        (Row(0, NOW_S + 0.001), Outcome.FUTURE),
        (Row(0, 31.0, value=MAX_ABS), Outcome.ACCEPTED),
        (Row(0, 31.0, value=-1.001 * MAX_ABS), Outcome.OUT_OF_RANGE),
        (Row(0, 31.0, value=NAN), Outcome.NOT_FINITE),
        (Row(0, 31.0, value=-INF), Outcome.NOT_FINITE),
        (Row(0, INF), Outcome.NOT_FINITE),
        (Row(0, NAN), Outcome.NOT_FINITE),
        (Row(0, 31.0, flags=Flag.RETAINED), Outcome.RETAINED),
        (Row(0, 31.0, flags=Flag.TIME_UNCERTAIN), Outcome.ACCEPTED),
        (Row(-1, 31.0), Outcome.STREAM_LIMIT),
    ],
)
def test_each_reason_to_refuse_a_reading_has_its_own_outcome(row: Row, outcome: Outcome) -> None:
    assert run_on_one_stream(row) == [outcome]


def test_of_several_reasons_the_strongest_is_named() -> None:
    assert run_on_one_stream(Row(-1, INF, NAN, flags=Flag.RETAINED)) == [Outcome.STREAM_LIMIT]
    assert run_on_one_stream(Row(0, INF, NAN, flags=Flag.RETAINED)) == [Outcome.RETAINED]
    assert run_on_one_stream(Row(0, INF, value=2 * MAX_ABS)) == [Outcome.NOT_FINITE]
    assert run_on_one_stream(Row(0, NOW_S + 1, value=2 * MAX_ABS)) == [Outcome.OUT_OF_RANGE]


def test_of_equal_times_the_lowest_seq_passes() -> None:
    outcomes = run_on_one_stream(Row(0, 40.0, seq=7), Row(0, 40.0, seq=3), Row(0, 40.0, seq=5))
    assert outcomes == [Outcome.DUPLICATE, Outcome.ACCEPTED, Outcome.DUPLICATE]


def test_a_refused_reading_does_not_take_the_place_of_a_good_one_of_the_same_time() -> None:
    outcomes = run_on_one_stream(Row(0, 40.0, value=NAN, seq=1), Row(0, 40.0, seq=2))
    assert outcomes == [Outcome.NOT_FINITE, Outcome.ACCEPTED]


def test_tick_k_holds_the_kth_new_reading_of_every_stream_by_slot() -> None:
    rows = [Row(2, 5.0), Row(0, 9.0), Row(1, 1.0), Row(0, 3.0), Row(2, 4.0), Row(0, 6.0)]
    gated = run(rows, np.full(3, -np.inf), np.full((3, 2), np.nan))
    assert [tick.tolist() for tick in gated.ticks()] == [[3, 2, 4], [5, 0], [1]]


def test_an_empty_batch_has_no_ticks() -> None:
    gated = run([], np.full(3, -np.inf), np.full((3, 2), np.nan))
    assert len(gated.outcome) == 0
    assert list(gated.ticks()) == []


def test_thousands_of_late_readings_are_told_from_repeated_ones() -> None:
    times = np.arange(5000.0) % 50  # all before the newest; 10, 20 and 30 are in the window
    outcomes = run_on_one_stream(*(Row(0, t % 30) for t in times))
    assert outcomes.count(Outcome.DUPLICATE) == sum(t % 30 in (10, 20) for t in times)
    assert outcomes.count(Outcome.LATE) == 5000 - outcomes.count(Outcome.DUPLICATE)


ROWS = st.builds(
    Row,
    slot=st.integers(-1, 2),
    time=st.sampled_from([*map(float, range(12)), 101.0, NAN]),
    value=st.sampled_from([1.0, 1.0, 1.0, 2e6, NAN]),
    seq=st.integers(0, 99),
    flags=st.sampled_from([0, 0, 0, int(Flag.RETAINED)]),
)
N_WINDOW = 3


def outcome_of(row: Row, held: list[float], n_before: int) -> Outcome:
    """Say what a reading is, knowing all accepted times of its stream, the first ``n_before`` from earlier batches."""
    for outcome, applies in (
        (Outcome.RETAINED, row.flags & Flag.RETAINED),
        (Outcome.NOT_FINITE, np.isnan(row.value) or np.isnan(row.time)),
        (Outcome.OUT_OF_RANGE, row.value > MAX_ABS),
        (Outcome.FUTURE, row.time > NOW_S),
    ):
        if applies:
            return outcome
    earlier = held[:n_before]
    if earlier and row.time <= earlier[-1]:
        return Outcome.DUPLICATE if row.time in earlier[-N_WINDOW:] else Outcome.LATE
    return Outcome.DUPLICATE if row.time in held else Outcome.ACCEPTED


@given(st.lists(st.lists(ROWS, max_size=25, unique_by=lambda row: row.seq), max_size=3))
def test_the_gate_agrees_with_a_model_that_takes_one_reading_at_a_time(batches: list[list[Row]]) -> None:
    held: dict[int, list[float]] = {0: [], 1: [], 2: []}
    for rows in batches:
        newest = np.array([max(held[slot], default=-np.inf) for slot in held])
        seen = np.array([([NAN] * N_WINDOW + held[slot])[-N_WINDOW:] for slot in held])
        n_before = {slot: len(times) for slot, times in held.items()}
        gated = run(rows, newest, seen)
        accepted: dict[int, list[int]] = {0: [], 1: [], 2: []}
        for i in sorted(range(len(rows)), key=lambda i: (np.nan_to_num(rows[i].time, nan=INF), rows[i].seq)):
            row = rows[i]
            expected = Outcome.STREAM_LIMIT
            if row.slot >= 0:
                expected = outcome_of(row, held[row.slot], n_before[row.slot])
            assert gated.outcome[i] == expected
            if expected == Outcome.ACCEPTED:
                held[row.slot].append(row.time)
                accepted[row.slot].append(i)
        n_ticks = max(map(len, accepted.values()))
        kth = [[accepted[slot][k] for slot in accepted if k < len(accepted[slot])] for k in range(n_ticks)]
        assert [tick.tolist() for tick in gated.ticks()] == kth
