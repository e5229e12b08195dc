"""Admission and eviction: nobody's numbers change because others come and go."""

import re

import numpy as np
import pytest

from pipeline.core.records import F64, Outcome, Readings, Steps
from pipeline.core.settings import Settings, StreamSettings, parse_settings
from pipeline.flow.sharing import admit, evict
from pipeline.flow.snapshot import pack
from pipeline.flow.state import State, new_model
from pipeline.forecast.bank import empty_bank
from pipeline.forecast.network import network_for
from pipeline.runtime.session import Session

SMALL = """
streams: {{window_len: 128, max_streams: {max_streams}}}
forecast: {{hidden: 4, sharing: {sharing}}}
training: {{takeover: 0, window: 32, steps: 1, batch: 2}}
detection: {{n_warmup: 100, n_kept: 64}}
"""


def session_of(sharing: str = "stream", max_streams: int = 100) -> Session:
    return Session(parse_settings(SMALL.format(sharing=sharing, max_streams=max_streams), "test"))


def noise(n: int) -> F64:
    return np.random.default_rng(1).normal(size=n)


def feed(session: Session, names: list[str], first: int, values: F64) -> Steps:
    """Give each stream the same readings, one a minute from number ``first`` on."""
    n = len(values)
    stream = np.tile(np.arange(len(names), dtype=np.int32), n)
    time = np.repeat(60.0 * np.arange(first, first + n), len(names))
    return session.process(
        Readings(names, stream, time, np.repeat(values, len(names)), np.zeros(len(time), np.uint8)), now=np.inf
    )


@pytest.mark.parametrize("sharing", ["stream", "fleet"])
def test_growing_keeps_the_others_numbers_bit_for_bit(sharing: str) -> None:
    crowded, alone = session_of(sharing), session_of(sharing)
    values = noise(320)
    for session in (crowded, alone):
        feed(session, ["a", "b"], 0, values[:260])
    many = [f"more/{i}" for i in range(60)]
    before = pack(crowded.state, ["a", "b"])
    assert admit(crowded.model, crowded.state, many).tolist() == list(range(2, 62))
    assert crowded.state.capacity >= 62
    assert pack(crowded.state, ["a", "b"]) == before
    found = feed(crowded, ["a", "b"], 260, values[260:])
    expected = feed(alone, ["a", "b"], 260, values[260:])
    assert np.isfinite(found.score).all()
    assert np.array_equal(found.score, expected.score)
    assert np.array_equal(found.forecast, expected.forecast)
    assert pack(crowded.state, ["a", "b"]) == pack(alone.state, ["a", "b"])


def test_an_evicted_stream_starts_afresh_when_it_comes_back() -> None:
    session, fresh = session_of(), session_of()
    values = noise(320)
    for first in (0, 60):
        feed(session, ["a", "b"], first, values[first : first + 60])
        assert session.fine_tune() == 2
    evict(session.model, session.state, ["a"])
    feed(session, ["c"], 120, values[:80])  # takes slot and network of the one who left
    assert session.state.table.names == ["c", "b"]
    evict(session.model, session.state, ["c"])
    found = feed(session, ["a"], 200, values[200:])
    expected = feed(fresh, ["a"], 200, values[200:])
    for column in ("forecast", "score", "health"):
        assert np.array_equal(getattr(found, column), getattr(expected, column), equal_nan=True), column


def test_every_stream_has_a_network_of_its_own() -> None:
    session = session_of()
    names = [f"s{i}" for i in range(40)]
    slots = admit(session.model, session.state, names)
    assert len(set(session.state.ledger.group[slots].tolist())) == 40
    evict(session.model, session.state, names[5:15])
    slots = admit(session.model, session.state, [*names, "x", "y"])
    assert len(set(session.state.ledger.group[slots].tolist())) == 42


def test_a_networks_first_weights_depend_on_the_name_only() -> None:
    one, other = session_of(), session_of()
    admit(one.model, one.state, ["x", "a"])
    admit(other.model, other.state, ["a"])
    group_of_one, group_of_other = int(one.state.ledger.group[1]), int(other.state.ledger.group[0])
    assert np.array_equal(one.model.bank.weights[group_of_one], other.model.bank.weights[group_of_other])
    assert not np.array_equal(one.model.bank.weights[0], one.model.bank.weights[1])


def test_a_fleet_shares_one_network_whoever_comes_and_goes() -> None:
    session = session_of("fleet")
    admit(session.model, session.state, ["a", "b"])
    weights = session.model.bank.weights.copy()
    evict(session.model, session.state, ["a", "b"])
    slots = admit(session.model, session.state, [f"s{i}" for i in range(40)])
    assert session.state.ledger.group[slots].tolist() == [0] * 40
    assert session.model.bank.capacity == 1
    assert np.array_equal(session.model.bank.weights, weights)


def test_refused_streams_take_nothing() -> None:
    settings = parse_settings(SMALL.format(sharing="stream", max_streams=2), "test")
    model, state = new_model(settings), State.empty(settings)
    assert admit(model, state, ["a", "a b", "", "b", "c", "a"]).tolist() == [0, -1, -1, 1, -1, 0]
    assert len(state.table) == 2
    assert admit(model, state, []).tolist() == []


def test_readings_of_refused_streams_leave_the_others_steps_as_they_are() -> None:
    session, undisturbed = session_of(max_streams=1), session_of(max_streams=1)
    values = noise(120)
    mixed = feed(session, ["a", "\x1b[31m", "late comer", "b"], 0, values)
    expected = feed(undisturbed, ["a"], 0, values)
    assert np.array_equal(mixed.forecast[::4], expected.forecast, equal_nan=True)
    assert (np.delete(mixed.outcome.reshape(-1, 4), 0, axis=1) == Outcome.STREAM_LIMIT).all()
    assert np.isnan(mixed.forecast.reshape(-1, 4)[:, 1:]).all()


def test_a_stream_keeps_to_the_memory_that_the_configuration_tells_its_reader() -> None:
    told = str(StreamSettings.model_fields["max_streams"].description)
    own_kb, fleet_kb = (float(number) for number in re.findall(r"(\d+) KB", told))
    fleet = parse_settings("forecast: {sharing: fleet}", "test")
    own, shared = (State.empty(settings, capacity=10) for settings in (Settings(), fleet))
    bank = empty_bank(10, network_for(Settings().forecast), Settings().forecast.ensemble)
    own_bytes, shared_bytes, bank_bytes = (
        sum(a.nbytes for part in parts for a in part.arrays().values()) / 10
        for parts in (own.parts().values(), shared.parts().values(), [bank])
    )
    assert 0.9 * fleet_kb < shared_bytes / 1000 <= fleet_kb
    assert 0.9 * own_kb < (own_bytes + bank_bytes) / 1000 <= own_kb
