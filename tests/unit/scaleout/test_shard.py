"""A shard as Spark drives it: cut in pieces, taken up again anywhere, it scores what one session scores."""

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.core.errors import ForetellError
from pipeline.core.records import F64, Event, Readings
from pipeline.core.settings import Settings
from pipeline.core.sharding import shard_of
from pipeline.flow.snapshot import fingerprint
from pipeline.flow.state import Model
from pipeline.runtime.session import Session
from pipeline.scaleout.envelopes import cut, open_envelope
from pipeline.scaleout.segments import Logged
from pipeline.scaleout.shard import Shard

SETTINGS = Settings.model_validate(
    {
        "streams": {"window_len": 128},
        "forecast": {"sharing": "fleet"},
        "detection": {"n_warmup": 100, "n_settled": 100},
        "scale": {"n_journal": 40},
    }
)
N_SHARDS = 2


def no_weights(name: str) -> Model:
    raise AssertionError(name)


def recording(n_streams: int = 6, n: int = 150) -> Logged:
    """Readings of all streams, one after the other, with a step in one of them."""
    rng = np.random.default_rng(1)
    names = [f"device-{i}/flow" for i in range(n_streams)]
    value = rng.normal(size=(n, n_streams)).cumsum(axis=0) * 0.1 + np.arange(n_streams) * 10.0
    value[120:, 2] += 40.0
    time = np.repeat(1.7e9 + np.arange(0.0, 60.0 * n, 60.0), n_streams)
    stream = np.tile(np.arange(n_streams, dtype=np.int32), n)
    flags = np.zeros(n * n_streams, np.uint8)
    return Logged(np.arange(n * n_streams), time, Readings(names, stream, time, value.reshape(-1), flags))


def segments_of(logged: Logged, n: int) -> list[Logged]:
    """Cut a recording into ``n`` segments."""
    return [logged.rows(rows) for rows in np.array_split(np.arange(len(logged)), n)]


def envelopes_of(logged: Logged, n_segments: int = 7) -> dict[int, list[bytes]]:
    """Return the envelopes of every shard, in order."""
    found: dict[int, list[bytes]] = {}
    for segment in segments_of(logged, n_segments):
        for shard, data in cut(segment, N_SHARDS, ""):
            found.setdefault(shard, []).append(data)
    return found


def scores(pieces: Sequence[tuple[Logged, F64]], n: int) -> F64:
    """Put scores in the order of the log."""
    out = np.full(n, -1.0)
    for logged, score in pieces:
        assert (out[logged.seq] == -1.0).all()
        out[logged.seq] = score
    return out


def plain(logged: Logged) -> tuple[Session, F64]:
    """Score a recording in one session, in one batch."""
    session = Session(SETTINGS)
    return session, session.process(logged.readings, float("inf")).score


def test_envelopes_hold_every_reading_once_by_shard() -> None:
    logged = recording()
    seen: list[int] = []
    for shard, data in cut(logged, N_SHARDS, "some"):
        envelope = open_envelope(data)
        names = envelope.logged.readings.names
        assert {shard_of(name, N_SHARDS) for name in names} == {shard}
        assert set(envelope.logged.readings.stream.tolist()) == set(range(len(names)))
        assert (np.diff(envelope.logged.seq) > 0).all()
        assert (envelope.now_s, envelope.model) == (logged.arrival.max(), "some")
        seen += envelope.logged.seq.tolist()
        for i, seq in enumerate(envelope.logged.seq.tolist()):
            assert names[envelope.logged.readings.stream[i]] == logged.readings.names[logged.readings.stream[seq]]
            assert envelope.logged.readings.value[i] == logged.readings.value[seq]
    assert sorted(seen) == list(range(len(logged)))


def test_shards_score_what_one_session_scores() -> None:
    logged = recording()
    _, expected = plain(logged)
    pieces, opened = [], []
    for data in envelopes_of(logged).values():
        shard = Shard(SETTINGS, no_weights)
        for envelope in data:
            scored = shard.take(envelope)
            pieces.append((scored.logged, scored.steps.score))
            opened += [event.stream for event in scored.steps.events if event.event == Event.OPEN]
    np.testing.assert_allclose(scores(pieces, len(logged)), expected, atol=1e-6, rtol=0)
    assert np.isfinite(expected).sum() > 100
    assert opened == ["device-2/flow"]


@pytest.mark.parametrize("has_snapshot", [True, False])
def test_a_shard_taken_up_elsewhere_goes_on_to_the_last_bit(*, has_snapshot: bool) -> None:
    (data, *_) = envelopes_of(recording()).values()
    kept = Shard(SETTINGS, no_weights)
    for envelope in data[:2]:
        kept.take(envelope)
    snapshot = kept.snapshot() if has_snapshot else None
    for envelope in data[2:5]:
        kept.take(envelope)
    taken_up = Shard.resume(SETTINGS, no_weights, snapshot, data[2 if has_snapshot else 0 : 5])
    assert taken_up.position == kept.position
    assert (taken_up.stamp, taken_up.n_since) == (kept.stamp, kept.n_since)
    for envelope in data[5:]:
        one, other = kept.take(envelope).steps, taken_up.take(envelope).steps
        assert one.score.tobytes() == other.score.tobytes()
    assert fingerprint(kept.session.model, kept.session.state) == fingerprint(
        taken_up.session.model, taken_up.session.state
    )
    assert kept.session.tallies() == taken_up.session.tallies()


def test_a_stamp_names_what_came_and_in_which_order() -> None:
    (data, *_) = envelopes_of(recording()).values()
    stamps = set()
    for order in ([0, 1], [1, 0], [0], [0, 1, 2]):
        shard = Shard(SETTINGS, no_weights)
        for i in order:
            shard.take(data[i])
        stamps.add(shard.stamp)
    assert len(stamps) == 4


def test_what_was_taken_in_is_left_out() -> None:
    (data, *_) = envelopes_of(recording()).values()
    shard = Shard(SETTINGS, no_weights)
    shard.take(data[0])
    before = fingerprint(shard.session.model, shard.session.state)
    again = shard.take(data[0])
    assert len(again.logged) == len(again.steps.score) == 0
    assert fingerprint(shard.session.model, shard.session.state) == before


def test_a_snapshot_is_due_after_so_many_readings_per_stream() -> None:
    (data, *_) = envelopes_of(recording()).values()
    shard = Shard(SETTINGS, no_weights)
    due = []
    for envelope in data[:4]:
        shard.take(envelope)
        due.append(shard.is_due)
        if shard.is_due:
            shard.snapshot()
    assert due == [False, True, False, True]  # 21 or 22 readings of a stream each, 40 allowed


@pytest.mark.parametrize("spoil", [lambda data: data[: len(data) // 2], lambda data: b"X" + data[1:], lambda _: b""])
def test_damage_is_refused(spoil) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001 - three lambdas
    (data, *_) = envelopes_of(recording()).values()
    shard = Shard(SETTINGS, no_weights)
    shard.take(data[0])
    with pytest.raises(ForetellError, match="shard"):
        Shard.resume(SETTINGS, no_weights, spoil(shard.snapshot()))
    with pytest.raises(ForetellError, match="envelope"):
        shard.take(spoil(data[1]))
