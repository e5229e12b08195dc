"""The five properties every build of the engine must keep (DESIGN.md section 3), on random shards."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipeline.core.records import F64, Event, Health, Outcome, Readings, Steps
from pipeline.core.settings import Settings, parse_settings
from pipeline.flow import compiled as tick
from pipeline.flow.snapshot import pack, pack_model, unpack, unpack_model
from pipeline.flow.state import new_model
from pipeline.forecast import compiled as lstm
from pipeline.forecast.network import network_for
from pipeline.runtime.session import Session

SMALL = """
streams: {window_len: 128}
forecast: {forecast}
training: {every: 48, steps: 2, batch: 4, window: 32}
detection:
  {n_warmup: 200, n_settled: 200, n_kept: 64, n_quiet: 8, n_quarantine: 40, quarantine_level: 5, n_rest: 5,
   false_alarms_per_stream: 1 per hour}
"""
ALONE = ["{hidden: 8}", "{hidden: 5, cell: gru, layers: 2, ensemble: 2}"]
#: As a stream sees another one here, both are read at the same times, the source first.
WITH_CONTEXT = "{hidden: 6, ensemble: 2, context: [{stream: plant/s1, inputs: [plant/s0]}]}"
CHUNK = 48
NO_SHRINKING = [Phase.explicit, Phase.generate]  # it takes minutes and helps little
FEW = settings(max_examples=9, phases=NO_SHRINKING)
COLUMNS = ("outcome", "forecast", "lower", "upper", "score", "level", "event", "opened", "health")


@dataclass(frozen=True, repr=False)
class Shard:
    """Several streams over the same number of readings, with spikes, a level shift and a gap in each.

    Attributes:
        forecast: Settings to play it with.
    """

    forecast: str
    names: tuple[str, ...]
    time: F64  # (S, N)
    value: F64  # (S, N)

    def __repr__(self) -> str:
        return f"{self.forecast} of {self.value.shape[0]} streams, {self.value.shape[1]} readings"

    def chunks(self, *, end: int | None = None, only: list[int] | None = None) -> Iterator[Readings]:
        """Yield batches of CHUNK readings of every stream, reading by reading as a daemon would see them."""
        streams = np.array(range(len(self.names)) if only is None else only)
        for start in range(0, self.time.shape[1] if end is None else end, CHUNK):
            stop = min(start + CHUNK, self.time.shape[1] if end is None else end)
            time, value = self.time[streams, start:stop].T.ravel(), self.value[streams, start:stop].T.ravel()
            stream = np.tile(np.arange(len(streams), dtype=np.int32), stop - start)
            yield Readings([self.names[i] for i in streams], stream, time, value, np.zeros(len(time), np.uint8))


@st.composite
def shards(draw: st.DrawFn, forecasts: tuple[str, ...] = (*ALONE, WITH_CONTEXT)) -> Shard:
    forecast = draw(st.sampled_from(forecasts))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_streams, n = draw(st.integers(2, 4)), draw(st.integers(260, 420))
    step = rng.choice([1.0, 60.0, 300.0], (n_streams, 1))
    time = 1.7e9 + np.cumsum(step * rng.uniform(0.8, 1.2, (n_streams, n)), axis=1)
    gap_at = rng.integers(50, n, n_streams)
    time += (np.arange(n) >= gap_at[:, None]) * step * 1000
    if forecast == WITH_CONTEXT:
        time[:] = time[0]
    phase = rng.uniform(0, 6, (n_streams, 1))
    value = np.sin(np.arange(n) / rng.uniform(3, 30, (n_streams, 1)) + phase) + rng.normal(0, 0.3, (n_streams, n))
    value += (np.arange(n) >= rng.integers(200, n, n_streams)[:, None]) * rng.choice([0, 5], (n_streams, 1))
    value[np.arange(n_streams), rng.integers(210, n, n_streams)] += rng.choice([-30, 30], n_streams)
    return Shard(forecast, tuple(f"plant/s{i}" for i in range(n_streams)), time, value)


def small(shard: Shard) -> Settings:
    return parse_settings(SMALL.replace("{forecast}", shard.forecast), "test")


def play(session: Session, chunks: Iterator[Readings], *, trains: bool) -> Steps:
    """Drive a session as replay does and return all steps in one."""
    parts = []
    for readings in chunks:
        parts.append(session.process(readings, now=np.inf))
        if trains:
            session.fine_tune()
    columns = {name: np.concatenate([getattr(p, name) for p in parts]) for name in COLUMNS}
    steps = Steps.blank(0)
    steps.events = [e for p in parts for e in p.events]
    for name, column in columns.items():
        setattr(steps, name, column)
    return steps


def of_stream(steps: Steps, column: str, stream: int, n_streams: int) -> F64:
    found: F64 = np.asarray(getattr(steps, column)[stream::n_streams], np.float64)
    return found


def assert_alike(shard: Shard, found: F64, expected: F64, what: str) -> None:
    """Compare bit for bit, but where numpy and torch compute, whose sums depend on how many streams are at hand."""
    config = small(shard)
    is_compiled = lstm.serves(network_for(config.forecast)) and tick.serves(new_model(config))
    tolerance = 0.0 if is_compiled else 1e-6
    assert found == pytest.approx(expected, rel=tolerance, abs=tolerance, nan_ok=True), what


@FEW
@given(shards(), st.data())
def test_prefix_nothing_later_changes_a_step(shard: Shard, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, shard.time.shape[1] - 1))
    full = play(Session(small(shard)), shard.chunks(), trains=True)
    part = play(Session(small(shard)), shard.chunks(end=cut), trains=True)
    for column in COLUMNS:
        whole = getattr(full, column)[: cut * len(shard.names)]
        assert np.array_equal(getattr(part, column), whole, equal_nan=True), column
    assert part.events == full.events[: len(part.events)]


@settings(FEW, max_examples=4)
@given(shards(tuple(ALONE)))
def test_interleaving_other_streams_never_change_one_streams_steps(shard: Shard) -> None:
    together = play(Session(small(shard)), shard.chunks(), trains=True)
    for stream in range(len(shard.names)):
        alone = play(Session(small(shard)), shard.chunks(only=[stream]), trains=True)
        for column in COLUMNS:
            expected = of_stream(together, column, stream, len(shard.names))
            assert_alike(shard, of_stream(alone, column, 0, 1), expected, column)


@FEW
@given(shards(), st.data())
def test_resume_pack_unpack_continue_equals_uninterrupted(shard: Shard, data: st.DataObject) -> None:
    chunks = list(shard.chunks())
    at = data.draw(st.integers(1, len(chunks) - 1))
    session = Session(small(shard))
    play(session, iter(chunks[:at]), trains=True)
    resumed = Session(small(shard))
    resumed.state = unpack(pack(session.state), small(shard))
    resumed.model = unpack_model(pack_model(session.model), small(shard))
    expected = play(session, iter(chunks[at:]), trains=True)
    found = play(resumed, iter(chunks[at:]), trains=True)
    for column in COLUMNS:
        assert np.array_equal(getattr(found, column), getattr(expected, column), equal_nan=True), column
    assert found.events == expected.events
    assert pack(resumed.state) == pack(session.state)
    assert pack_model(resumed.model) == pack_model(session.model)


@FEW
@given(shards(), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_unit_invariance_a_change_of_unit_leaves_scores_unchanged(shard: Shard, a: float, offset: float) -> None:
    """The offset is in old units: where a level is a million spreads high, the floor of the spread takes over."""
    b = a * offset
    changed = Shard(shard.forecast, shard.names, shard.time, a * shard.value + b)
    before = play(Session(small(shard)), shard.chunks(), trains=False)
    after = play(Session(small(shard)), changed.chunks(), trains=False)
    assert after.score == pytest.approx(before.score, rel=1e-3, abs=1e-3, nan_ok=True)
    assert (after.forecast - b) / a == pytest.approx(before.forecast, abs=1e-3, nan_ok=True)


@FEW
@given(shards(), st.data())
def test_idempotence_a_duplicate_changes_counters_only(shard: Shard, data: st.DataObject) -> None:
    chunks = list(shard.chunks())
    session = Session(small(shard))
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
    whole = play(Session(small(shard)), shard.chunks(), trains=False)
    pieces = (c.rows(slice(i, i + size)) for c in shard.chunks() for i in range(0, len(c), size))
    parts = play(Session(small(shard)), pieces, trains=False)
    for column in COLUMNS:
        expected = np.asarray(getattr(whole, column), np.float64)
        assert_alike(shard, np.asarray(getattr(parts, column), np.float64), expected, column)


def one_stream(value: F64) -> Shard:
    return Shard(ALONE[0], ("s",), 1.7e9 + np.arange(float(len(value)))[None] * 60, value[None])


def test_the_random_shards_do_exercise_scores_and_episodes() -> None:
    """The properties would hold of an engine that never scored: make sure that this one does."""
    value = np.random.default_rng(1).normal(0, 1, 400)
    value[350] += 40
    shard = one_stream(value)
    steps = play(Session(small(shard)), shard.chunks(), trains=True)
    assert np.isfinite(steps.score[250:]).all()
    assert steps.event[350] == Event.OPEN
    assert Event.CLOSE in steps.event[351:]


def test_resume_over_a_drift_and_a_season_equals_uninterrupted() -> None:
    """What takes thousands of readings: a season found, a slow drift told; packed between their beginnings and ends."""
    n, packed_at = 2880, 2640
    number = np.arange(n)
    value = np.sin(number / 5) + np.random.default_rng(2).normal(0, 0.2, n) + 0.02 * np.maximum(number - 2600, 0)
    shard = one_stream(value)
    chunks = list(shard.chunks())
    session = Session(small(shard))
    play(session, iter(chunks[: packed_at // CHUNK]), trains=False)
    resumed = Session(small(shard))
    resumed.state = unpack(pack(session.state), small(shard))
    resumed.model = unpack_model(pack_model(session.model), small(shard))
    expected, found = (play(each, iter(chunks[packed_at // CHUNK :]), trains=True) for each in (session, resumed))
    assert (expected.health & Health.DRIFT).any()
    assert session.view().forecasters[session.view().shown[0]] != "persistence"
    for column in COLUMNS:
        assert np.array_equal(getattr(found, column), getattr(expected, column), equal_nan=True), column
    assert pack(resumed.state) == pack(session.state)
    assert pack_model(resumed.model) == pack_model(session.model)
