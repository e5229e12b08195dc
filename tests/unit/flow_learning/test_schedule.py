"""When networks are fine-tuned, and that nothing but seed and readings decides what they become."""

import numpy as np
import pytest

from pipeline.core.records import F32, Readings
from pipeline.core.settings import Settings
from pipeline.flow.schedule import due_groups
from pipeline.flow.sharing import evict
from pipeline.forecast.baselines import Forecaster
from pipeline.runtime.session import Session

EVERY, WINDOW = 40, 16


def settings(*, seed: int = 1, sharing: str = "stream", enabled: bool = True, every: int = EVERY) -> Settings:
    return Settings.model_validate(
        {
            "streams": {"window_len": 128},
            "forecast": {"hidden": 4, "seed": seed, "sharing": sharing},
            "training": {"takeover": 0, "every": every, "window": WINDOW, "steps": 2, "batch": 4, "enabled": enabled},
        }
    )


def feed(session: Session, name: str, n: int) -> None:
    """Give a stream its next ``n`` readings: noise of its own, a minute apart."""
    start = 0
    if name in session.state.table:
        start = int(session.state.windows.n[session.state.table.names.index(name)])
    noise = np.random.default_rng(len(name)).normal(size=start + n)[start:]
    time = np.arange(start, start + n, dtype=np.float64) * 60
    session.process(Readings([name], np.zeros(n, np.int32), time, noise, np.zeros(n, np.uint8)), now=np.inf)


def due(session: Session) -> list[str]:
    """Return the streams whose networks are due, in order; for sessions with a network per stream."""
    state = session.state
    of_group = {int(state.ledger.group[slot]): str(state.table.names[slot]) for slot in state.table.live}
    return [of_group[int(group)] for group in due_groups(session.model, state)]


def weights(session: Session, name: str) -> F32:
    state = session.state
    found: F32 = session.model.bank.weights[state.ledger.group[state.table.names.index(name)]]
    return found.copy()


def test_a_network_is_due_exactly_every_so_many_readings() -> None:
    session = Session(settings())
    tuned_at = []
    for n in range(1, 4 * EVERY + 10):
        feed(session, "s", 1)
        if session.fine_tune():
            tuned_at.append(n)
    assert tuned_at == [EVERY, 2 * EVERY, 3 * EVERY, 4 * EVERY]
    assert session.model.bank.n_rounds[0] == sum(session.fine_tunes.values()) == 4


def test_the_first_fine_tune_waits_for_a_whole_window_and_its_target() -> None:
    session = Session(settings(every=8))
    for _ in range(23):
        feed(session, "s", 1)
        assert due(session) == []  # a window and its target take 18 readings, and it is looked at every 8
    feed(session, "s", 1)
    assert due(session) == ["s"]


def test_the_largest_debt_comes_first_and_the_older_group_on_a_tie() -> None:
    session = Session(settings())
    for name, n in (("a", 45), ("bb", 90), ("ccc", 45), ("dddd", 39), ("eeeee", 60)):
        feed(session, name, n)
    assert due(session) == ["bb", "eeeee", "a", "ccc"]


def test_a_bounded_fine_tune_takes_the_largest_debts_and_leaves_the_rest_due() -> None:
    session = Session(settings())
    for name, n in (("a", 45), ("bb", 90), ("ccc", 60)):
        feed(session, name, n)
    before = weights(session, "a")
    assert session.fine_tune(max_groups=2) == 2
    assert due(session) == ["a"]
    assert np.array_equal(weights(session, "a"), before)


def test_training_that_is_disabled_is_never_due() -> None:
    session = Session(settings(enabled=False))
    feed(session, "s", 200)
    assert due(session) == []
    assert session.fine_tune() == 0
    assert not session.model.bank.n_rounds.any()


def test_no_streams_no_debt() -> None:
    session = Session(settings())
    assert due(session) == []
    assert session.fine_tune() == 0


def test_an_evicted_streams_network_is_not_due() -> None:
    session = Session(settings())
    feed(session, "a", 60)
    feed(session, "bb", 60)
    evict(session.model, session.state, ["a"])
    assert due(session) == ["bb"]


def test_a_fleet_is_due_when_its_most_indebted_stream_is() -> None:
    session = Session(settings(sharing="fleet"))
    feed(session, "a", EVERY - 1)
    feed(session, "bb", 10)
    assert due_groups(session.model, session.state).tolist() == []
    feed(session, "a", 1)
    assert due_groups(session.model, session.state).tolist() == [0]
    session.fine_tune()
    assert due_groups(session.model, session.state).tolist() == []
    feed(session, "bb", EVERY)
    assert due_groups(session.model, session.state).tolist() == [0]


def test_a_fleets_fine_tune_gives_no_scale_to_a_stream_too_young_for_one() -> None:
    session = Session(settings(sharing="fleet"))
    feed(session, "bb", 3)
    feed(session, "a", 60)
    assert session.fine_tune() == 1
    spread = session.state.pending.spread_of_scale
    young, old = (session.state.table.names.index(name) for name in ("bb", "a"))
    assert spread[young] == 0
    assert spread[old] > 0
    feed(session, "bb", 1)
    foretold = np.isfinite(session.state.league.location[:, Forecaster.LSTM])
    assert (foretold[young], foretold[old]) == (False, True)


def test_a_young_network_takes_twice_the_steps() -> None:
    session = Session(settings())
    feed(session, "s", 499)
    session.fine_tune()
    assert session.model.bank.n_steps[0] == 4
    feed(session, "s", EVERY)
    session.fine_tune()
    assert session.model.bank.n_steps[0] == 6


def test_more_networks_than_are_trained_at_once_are_all_trained() -> None:
    session = Session(settings())
    n_streams, n = 70, EVERY
    names = [f"s{i}" for i in range(n_streams)]
    rng = np.random.default_rng(1)
    stream = np.tile(np.arange(n_streams, dtype=np.int32), n)
    time = np.repeat(np.arange(n) * 60.0, n_streams)
    value = rng.normal(size=n * n_streams)
    session.process(Readings(names, stream, time, value, np.zeros(len(value), np.uint8)), now=np.inf)
    assert session.fine_tune() == n_streams
    assert (session.model.bank.n_steps[:n_streams] == 4).all()
    assert due(session) == []


def trained(seed: int = 1, *names: str) -> Session:
    session = Session(settings(seed=seed))
    for _ in range(2):
        for name in names or ("s",):
            feed(session, name, 45)
        session.fine_tune()
    return session


def test_the_same_seed_gives_the_same_weights() -> None:
    assert np.array_equal(weights(trained(1), "s"), weights(trained(1), "s"))


def test_another_seed_gives_other_weights() -> None:
    assert not np.allclose(weights(trained(1), "s"), weights(trained(2), "s"))


def test_other_streams_do_not_change_a_streams_weights() -> None:
    alone, among = trained(1, "s"), trained(1, "tt", "s", "uuu")
    assert among.model.bank.capacity > 1
    assert np.allclose(weights(alone, "s"), weights(among, "s"), rtol=0, atol=1e-6)


@pytest.mark.parametrize("sharing", ["stream", "fleet"])
def test_weights_that_are_not_finite_are_refused_and_the_session_goes_on(
    sharing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(settings(sharing=sharing))
    feed(session, "s", 60)
    monkeypatch.setattr("pipeline.flow.learning.unpacked", lambda _, v: 2 * (np.full(v.shape, np.nan, np.float32),))
    before = weights(session, "s")
    assert session.fine_tune() == 1
    assert {name: n for name, n in session.fine_tunes.items() if n} == {"not_finite": 1}
    assert np.array_equal(weights(session, "s"), before)
    feed(session, "s", 30)
    assert np.isfinite(session.state.ledger.forecast[0])
