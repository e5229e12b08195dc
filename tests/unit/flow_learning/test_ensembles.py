"""Ensembles, cells and layers in a whole session: members differ, each learns as it would alone, all is kept."""

import numpy as np
import pytest

from pipeline.core.records import F32, F64, I64, Readings, Steps
from pipeline.core.settings import Settings
from pipeline.flow import compiled
from pipeline.flow.snapshot import pack, pack_model, unpack, unpack_model
from pipeline.forecast.pending import Pending
from pipeline.forecast.targets import Horizons
from pipeline.runtime.session import Session

CHUNK, NAMES = 48, ["a", "b"]
Network = dict[str, int | float | str]


def session_of(**network: float | str) -> Session:
    return Session(
        Settings.model_validate(
            {
                "streams": {"window_len": 256},
                "forecast": {"hidden": 6, **network},
                "training": {"takeover": 0, "window": 32, "steps": 2, "batch": 8, "every": CHUNK},
                "detection": {"n_warmup": 100, "n_kept": 64},
            }
        )
    )


def readings(first: int, last: int) -> Readings:
    number = np.arange(first, last)
    noise = np.random.default_rng(3).normal(0, 0.1, (2, 1000))[:, first:last]
    value: F64 = np.sin(number / np.array([[3.0], [5.0]])) + noise
    stream = np.tile(np.arange(2, dtype=np.int32), len(number))
    return Readings(NAMES, stream, np.repeat(60.0 * number, 2), value.T.ravel(), np.zeros(2 * len(number), np.uint8))


def play(session: Session, first: int, n_chunks: int) -> list[Steps]:
    parts = []
    for start in range(first, first + n_chunks * CHUNK, CHUNK):
        parts.append(session.process(readings(start, start + CHUNK), now=np.inf))
        session.fine_tune()
    return parts


def skill(session: Session) -> float:
    """Return the LSTM's error over that of persistence, the mean of the streams."""
    view = session.view()
    return float(view.skill_ratio[:, view.forecasters.index("lstm")].mean())


def test_members_start_unlike_and_stay_unlike_in_training() -> None:
    session = session_of(ensemble=2)
    for n_chunks in (1, 4):
        play(session, int(session.state.windows.n[0]), n_chunks)
        members = session.model.bank.weights[:2]
        assert np.abs(members[:, 0] - members[:, 1]).max() > 0.1
    assert not np.allclose(*session.state.pending.hidden[:2].swapaxes(0, 1))


def test_the_first_member_learns_as_a_network_alone_would() -> None:
    both, alone = session_of(ensemble=2), session_of(ensemble=1)
    for session in (both, alone):
        play(session, 0, 2)
        assert session.fine_tunes["accepted"] == sum(session.fine_tunes.values())
    assert np.allclose(both.model.bank.weights[:2, 0], alone.model.bank.weights[:2, 0], rtol=0, atol=1e-5)


def test_the_forecast_of_an_ensemble_is_that_of_its_members_combined() -> None:
    session = session_of(ensemble=2)
    play(session, 0, 3)
    outs: list[F32] = []
    combined: list[tuple[F64, F64]] = []
    foretell = Pending.foretell

    def watched(pending: Pending, slots: I64, number: I64, out: F32, horizons: Horizons) -> tuple[F64, F64]:
        outs.append(out.copy())
        combined.append(foretell(pending, slots, number, out, horizons))
        return combined[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "serves", lambda _: False)  # goes another way
        patch.setattr(Pending, "foretell", watched)
        session.process(readings(3 * CHUNK, 3 * CHUNK + 1), now=np.inf)
    (out,), ((location, _),) = outs, combined
    assert out.shape[1] == 2
    pending = session.state.pending
    z = np.arcsinh((location - pending.location_of_scale[:2]) / pending.spread_of_scale[:2])
    assert z == pytest.approx(out[..., 0].mean(axis=1), abs=1e-5)


@pytest.mark.parametrize(
    "network",
    [
        {"cell": "gru"},
        {"cell": "peephole", "layers": 2},
        {"cell": "coupled", "dropout": 0.1, "layers": 2},
        {"cell": "rnn", "ensemble": 2},
        {"cell": "gru", "layers": 2, "recurrent_dropout": 0.2, "ensemble": 2},
    ],
    ids=str,
)
def test_a_session_runs_learns_and_resumes_with_any_network(network: Network) -> None:
    session = session_of(**network)
    play(session, 0, 6)
    assert session.fine_tunes["accepted"] >= 6
    assert skill(session) < 1
    resumed = session_of(**network)
    resumed.state = unpack(pack(session.state), session.settings)
    resumed.model = unpack_model(pack_model(session.model), session.settings)
    for found, expected in zip(*(play(each, 6 * CHUNK, 2) for each in (resumed, session)), strict=True):
        assert np.isfinite(found.forecast).all()
        assert np.array_equal(found.forecast, expected.forecast)
        assert np.array_equal(found.score, expected.score)
    assert pack(resumed.state) == pack(session.state)
    assert pack_model(resumed.model) == pack_model(session.model)


def test_dropout_is_drawn_by_each_network_for_itself() -> None:
    together, alone = (session_of(dropout=0.2, recurrent_dropout=0.2, layers=2) for _ in range(2))
    play(together, 0, 3)
    for start in range(0, 3 * CHUNK, CHUNK):
        own = readings(start, start + CHUNK).rows(np.arange(1, 2 * CHUNK, 2))
        alone.process(Readings(["b"], np.zeros(CHUNK, np.int32), own.time, own.value, own.flags), now=np.inf)
        alone.fine_tune()
    assert np.allclose(together.model.bank.weights[1], alone.model.bank.weights[0], rtol=0, atol=1e-6)
