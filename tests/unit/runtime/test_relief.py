"""With ``sharing: auto``, streams of one kind begin to share a network when a budget runs out."""

import numpy as np

from pipeline.core.records import Readings
from pipeline.core.settings import Settings
from pipeline.runtime.session import Session

NAMES = [f"press-{i}/temperature" for i in range(6)] + [f"press-{i}/power" for i in range(3)]


def session_with(n_readings: int, **forecast: object) -> Session:
    settings = Settings.model_validate({"forecast": {"sharing": "auto", **forecast}})
    session = Session(settings)
    n = len(NAMES)
    time = np.repeat(np.arange(n_readings) * 60.0, n)
    value = np.random.default_rng(2).normal(size=n * n_readings)
    stream = np.tile(np.arange(n, dtype=np.int32), n_readings)
    session.process(Readings(NAMES, stream, time, value, np.zeros(len(time), np.uint8)), np.inf)
    return session


def test_within_the_budgets_every_stream_keeps_its_own_network() -> None:
    session = session_with(100)
    assert session.relieve() == 0
    assert session.n_networks() == len(NAMES)


def test_beyond_max_networks_the_largest_kind_shares_first() -> None:
    session = session_with(100, max_networks=4)
    assert session.relieve() == 5
    groups = session.state.ledger.group[: len(NAMES)]
    assert len(set(groups[:6].tolist())) == 1
    assert len(set(groups[6:].tolist())) == 3


def test_training_that_lags_far_behind_makes_kinds_share_and_then_starts_without_debt() -> None:
    session = session_with(48 * 14)
    assert session.training_lag() > 10
    assert session.relieve() == 5
    assert session.n_networks() == 4
    merged = session.state.ledger.group[0]
    session.fine_tune()
    assert session.training_lag() == 0
    assert session.model.bank.n_rounds[merged] <= 1


def test_other_sharings_never_merge() -> None:
    session = session_with(48 * 14, sharing="stream", max_networks=2)
    assert session.relieve() == 0
    assert session.n_networks() == len(NAMES)
