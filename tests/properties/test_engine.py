"""The five properties every build of the engine must keep (DESIGN.md section 3), on random shards."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.records import F64, Event, Outcome, Readings, Steps
from pipeline.core.settings import Settings, parse_settings
from pipeline.flow.snapshot import pack, pack_model, unpack, unpack_model
from pipeline.runtime.session import Session

SMALL = """
streams: {window_len: 128}
forecast: {hidden: 8}
training: {every: 48, steps: 2, batch: 4, window: 32}
detection: {n_warmup: 200, history_blocks: 64, n_quiet: 8, n_quarantine: 40, alert_level: 3.0, close_level: 1.5}
"""
CHUNK = 48
FEW = settings(max_examples=12)
COLUMNS = ("outcome", "forecast", "lower", "upper", "score", "level", "event", "opened", "health")


@dataclass(frozen=True)
class Shard:
    """Several streams over the same number of readings, with spikes, a level shift and a gap in each."""

    names: tuple[str, ...]
    time: F64  # (S, N)
    value: F64  # (S, N)

    def chunks(self, *, end: int | None = None, only: list[int] | None = None) -> Iterator[Readings]:
        """Yield batches of CHUNK readings of every stream, reading by reading as a daemon would see them."""
        streams = np.array(range(len(self.names)) if only is None else only)
        for start in range(0, self.time.shape[1] if end is None else end, CHUNK):
            stop = min(start + CHUNK, self.time.shape[1] if end is None else end)
            time, value = self.time[streams, start:stop].T.ravel(), self.value[streams, start:stop].T.ravel()
            stream = np.tile(np.arange(len(streams), dtype=np.int32), stop - start)
            yield Readings([self.names[i] for i in streams], stream, time, value, np.zeros(len(time), np.uint8))


@st.composite
def shards(draw: st.DrawFn) -> Shard:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_streams, n = draw(st.integers(2, 4)), draw(st.integers(260, 420))
    step = rng.choice([1.0, 60.0, 300.0], (n_streams, 1))
    time = 1.7e9 + np.cumsum(step * rng.uniform(0.8, 1.2, (n_streams, n)), axis=1)
    gap_at = rng.integers(50, n, n_streams)
    time += (np.arange(n) >= gap_at[:, None]) * step * 1000
    phase = rng.uniform(0, 6, (n_streams, 1))
    value = np.sin(np.arange(n) / rng.uniform(3, 30, (n_streams, 1)) + phase) + rng.normal(0, 0.3, (n_streams, n))
    value += (np.arange(n) >= rng.integers(200, n, n_streams)[:, None]) * rng.choice([0, 5], (n_streams, 1))
    value[np.arange(n_streams), rng.integers(210, n, n_streams)] += rng.choice([-30, 30], n_streams)
    return Shard(tuple(f"plant/s{i}" for i in range(n_streams)), time, value)


def small() -> Settings:
    return parse_settings(SMALL, "test")


def play(session: Session, chunks: Iterator[Readings], *, trains: bool) -> Steps:
    """Drive a session as replay does and return all steps in one."""
    parts = []
    for readings in chunks:
        parts.append(session.process(readings, now=np.inf))
        if trains:
            session.fine_tune()
    columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in COLUMNS}
    return Steps(**columns, events=[e for p in parts for e in p.events])


def of_stream(steps: Steps, column: str, stream: int, n_streams: int) -> F64:
    found: F64 = np.asarray(getattr(steps, column)[stream::n_streams], np.float64)
    return found


@FEW
@given(shards(), st.data())
def test_prefix_nothing_later_changes_a_step(shard: Shard, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, shard.time.shape[1] - 1))
    full = play(Session(small()), shard.chunks(), trains=True)
    part = play(Session(small()), shard.chunks(end=cut), trains=True)
    for column in COLUMNS:
        whole = getattr(full, column)[: cut * len(shard.names)]
        assert np.array_equal(getattr(part, column), whole, equal_nan=True), column
    assert part.events == full.events[: len(part.events)]


@FEW
@given(shards())
def test_interleaving_other_streams_never_change_one_streams_steps(shard: Shard) -> None:
    together = play(Session(small()), shard.chunks(), trains=True)
    for stream in range(len(shard.names)):
        alone = play(Session(small()), shard.chunks(only=[stream]), trains=True)
        for column in COLUMNS:
            expected = of_stream(together, column, stream, len(shard.names))
            assert of_stream(alone, column, 0, 1) == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True), column


@FEW
@given(shards(), st.data())
def test_resume_pack_unpack_continue_equals_uninterrupted(shard: Shard, data: st.DataObject) -> None:
    chunks = list(shard.chunks())
    at = data.draw(st.integers(1, len(chunks) - 1))
    session = Session(small())
    play(session, iter(chunks[:at]), trains=True)
    resumed = Session(small())
    resumed.state = unpack(pack(session.state), small())
    resumed.model = unpack_model(pack_model(session.model), small())
    expected = play(session, iter(chunks[at:]), trains=True)
    found = play(resumed, iter(chunks[at:]), trains=True)
    for column in COLUMNS:
        assert np.array_equal(getattr(found, column), getattr(expected, column), equal_nan=True), column
    assert found.events == expected.events
    assert pack(resumed.state) == pack(session.state)
    assert pack_model(resumed.model) == pack_model(session.model)


@FEW
@given(shards(), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_unit_invariance_a_change_of_unit_leaves_scores_unchanged(shard: Shard, a: float, b: float) -> None:
    changed = Shard(shard.names, shard.time, a * shard.value + b)
    before = play(Session(small()), shard.chunks(), trains=False)
    after = play(Session(small()), changed.chunks(), trains=False)
    assert after.score == pytest.approx(before.score, rel=1e-3, abs=1e-3, nan_ok=True)
    assert after.forecast == pytest.approx(a * before.forecast + b, rel=1e-4, abs=1e-4 * a, nan_ok=True)


@FEW
@given(shards(), st.data())
def test_idempotence_a_duplicate_changes_counters_only(shard: Shard, data: st.DataObject) -> None:
    chunks = list(shard.chunks())
    session = Session(small())
    play(session, iter(chunks[:-1]), trains=True)
    before = pack(session.state)
    again = chunks[data.draw(st.integers(max(0, len(chunks) - 3), len(chunks) - 2))]
    steps = session.process(again, now=np.inf)
    assert set(steps.outcome) == {Outcome.DUPLICATE}
    assert not steps.events
    assert pack(session.state) == before
    assert session.counts["duplicate"] == len(again)


@FEW
@given(shards(), st.integers(1, 40))
def test_how_readings_fall_into_batches_does_not_matter(shard: Shard, size: int) -> None:
    whole = play(Session(small()), shard.chunks(), trains=False)
    pieces = (c.rows(slice(i, i + size)) for c in shard.chunks() for i in range(0, len(c), size))
    parts = play(Session(small()), pieces, trains=False)
    for column in COLUMNS:
        expected = np.asarray(getattr(whole, column), np.float64)
        found = np.asarray(getattr(parts, column), np.float64)
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6, nan_ok=True), column


def test_the_random_shards_do_exercise_scores_and_episodes() -> None:
    """The properties would hold of an engine that never scored: make sure that this one does."""
    rng = np.random.default_rng(1)
    time = 1.7e9 + np.arange(400.0)[None] * 60
    value = rng.normal(0, 1, (1, 400))
    value[0, 350] += 40
    steps = play(Session(small()), Shard(("s",), time, value).chunks(), trains=True)
    assert np.isfinite(steps.score[250:]).all()
    assert steps.event[350] == Event.OPEN
    assert Event.CLOSE in steps.event[351:]
