"""Stepping through readings and running the window again agree; fine-tuning leaves rebuilt states."""

from collections.abc import Callable

import numpy as np
import pytest

from pipeline.core.records import F32, F64, Readings
from pipeline.core.settings import Settings
from pipeline.flow.forecasting import rebuild
from pipeline.flow.sharing import admit
from pipeline.forecast.baselines import Forecaster
from pipeline.runtime.session import Session

WINDOW = 64
STREAMS = ("a", "b", "c")
ALL = np.arange(len(STREAMS))
OWN = 3
LEARNT = [Forecaster.LSTM, Forecaster.BLEND]  # forecasts that depend on the networks


def settings(sharing: str, ensemble: int, *, trains: bool) -> Settings:
    return Settings.model_validate(
        {
            "streams": {"window_len": 128},
            "forecast": {"hidden": 8, "sharing": sharing, "ensemble": ensemble},
            "training": {"takeover": 0, "window": WINDOW, "every": 48, "steps": 2, "batch": 4, "enabled": trains},
            "detection": {"n_warmup": 200, "n_kept": 64},
        }
    )


def opened(sharing: str = "stream", ensemble: int = 1, *, trains: bool = True) -> Session:
    """Return a session whose networks let the hidden state be seen in the forecasts, as trained ones do."""
    session = Session(settings(sharing, ensemble, trains=trains))
    admit(session.model, session.state, STREAMS)
    head = session.model.bank.weights[..., session.model.network.stack.n_weights :]
    head += np.random.default_rng(3).normal(0, 0.3, head.shape).astype(np.float32)
    return session


def regular(n: int) -> F64:
    time: F64 = np.arange(n)[:, None] * np.array([1.0, 60.0, 3600.0])
    return time


def irregular(n: int) -> F64:
    intervals = np.random.default_rng(2).uniform(0.3, 3, (n, 3)) * np.array([1.0, 60.0, 3600.0])
    time: F64 = np.cumsum(intervals, axis=0)
    return time


def with_a_gap(n: int) -> F64:
    silence_s: F64 = np.where(np.arange(n) >= n - 20, 1e6, 0.0)
    time: F64 = irregular(n) + silence_s[:, None]
    return time


TIMES = pytest.mark.parametrize("times", [regular, irregular, with_a_gap])


def feed(session: Session, time: F64, start: int = 0) -> None:
    """Feed the readings from ``start`` on; ``time`` has shape (N, S)."""
    rng = np.random.default_rng(1)
    value = np.cumsum(rng.normal(size=time.shape), axis=0) * [0.1, 5, 300] + [0, 20, -4000]
    n = len(time) - start
    stream = np.tile(np.arange(3, dtype=np.int32), n)
    columns = (time[start:].ravel(), value[start:].ravel(), np.zeros(3 * n, np.uint8))
    session.process(Readings(STREAMS, stream, *columns), now=np.inf)


def is_same(a: F32 | F64, b: F32 | F64) -> bool:
    return np.array_equal(a, b, equal_nan=True)


def remembered(session: Session) -> list[F32 | F64]:
    """Return everything that a rebuild replaces; first the ``OWN`` arrays that hold a network's own numbers."""
    pending, league = session.state.pending, session.state.league
    found = (pending.hidden, pending.location, pending.scale, league.location[:, LEARNT], league.scale[:, LEARNT[:1]])
    return [array[ALL].copy() for array in found]


def assert_agree(session: Session, before: list[F32 | F64]) -> None:
    spread = session.state.pending.spread_of_scale[ALL]
    spread = np.where(spread > 0, spread, 1.0)
    for which, (stepped, run) in enumerate(zip(before, remembered(session), strict=True)):
        unit = spread.reshape(-1, *[1] * (stepped.ndim - 1)) if which else 1  # the hidden state has none
        assert np.allclose(run / unit, stepped / unit, rtol=0, atol=1e-5, equal_nan=True)


@TIMES
@pytest.mark.parametrize("ensemble", [1, 2])
@pytest.mark.parametrize("n", [1, 5, 8, 9, 40, 64])
def test_stepping_and_running_the_window_agree(times: Callable[[int], F64], ensemble: int, n: int) -> None:
    session = opened(ensemble=ensemble, trains=False)
    feed(session, times(n))
    before = remembered(session)
    assert n < 9 or np.abs(before[0]).max() > 1e-3
    rebuild(session.model, session.state, ALL)
    assert_agree(session, before)


def test_they_agree_in_a_run_since_a_gap_that_the_window_holds() -> None:
    session = opened(trains=False)
    feed(session, with_a_gap(180))  # the ring has wrapped; 20 readings since the gap
    assert session.state.pending.n_since[ALL].tolist() == [20, 20, 20]
    before = remembered(session)
    rebuild(session.model, session.state, ALL)
    assert_agree(session, before)


@TIMES
def test_leaving_out_the_newest_reading_is_the_state_before_it(times: Callable[[int], F64]) -> None:
    session = opened(trains=False)
    time = times(60)
    feed(session, time[:59])
    before = remembered(session)[:1]
    feed(session, time, start=59)
    after = remembered(session)
    session.state.pending.n_since[ALL] -= 1  # as in the engine, where the step over the newest is still to come
    rebuild(session.model, session.state, ALL, n_newest=1)
    for expected, found in zip(before, remembered(session)[:1], strict=True):
        assert np.allclose(found, expected, rtol=0, atol=1e-5)
    assert all(is_same(a, b) for a, b in zip(after[1:], remembered(session)[1:], strict=True))


def test_rebuilding_twice_changes_nothing_more() -> None:
    session = opened()
    feed(session, irregular(120))
    rebuild(session.model, session.state, ALL)
    before = remembered(session)
    rebuild(session.model, session.state, ALL)
    assert all(is_same(a, b) for a, b in zip(before, remembered(session), strict=True))


def test_a_rebuild_touches_the_streams_it_is_given_only() -> None:
    session = opened()
    feed(session, irregular(120))
    before = remembered(session)
    session.model.bank.weights += 0.1
    rebuild(session.model, session.state, np.array([1]))
    assert not any(is_same(a[1], b[1]) for a, b in zip(before[:OWN], remembered(session)[:OWN], strict=True))
    for a, b in zip(before, remembered(session), strict=True):
        assert is_same(a[[0, 2]], b[[0, 2]])


@pytest.mark.parametrize("sharing", ["stream", "fleet"])
def test_after_fine_tuning_states_and_next_forecasts_are_those_of_a_rebuild(sharing: str) -> None:
    session = opened(sharing)
    feed(session, irregular(100))
    before = remembered(session)
    assert session.fine_tune() == (3 if sharing == "stream" else 1)
    after = remembered(session)
    assert not any(is_same(a, b) for a, b in zip(before[:OWN], after[:OWN], strict=True))
    rebuild(session.model, session.state, ALL)
    assert all(is_same(a, b) for a, b in zip(after, remembered(session), strict=True))


def test_fine_tuning_sets_the_scale_of_today() -> None:
    session = opened()
    feed(session, irregular(100))
    scale = session.state.pending.location_of_scale
    before = scale[ALL].copy()  # of reading 64
    session.fine_tune()
    assert (scale[ALL] != before).all()
    assert np.array_equal(scale[ALL], session.state.scaling.mean[ALL])


def test_fine_tuning_lets_forecasts_made_earlier_stand() -> None:
    session = opened()
    feed(session, irregular(100))
    before = session.state.pending.location[ALL].copy()
    session.fine_tune()
    changed = ~np.isclose(session.state.pending.location[ALL], before, rtol=0, atol=0, equal_nan=True)
    assert (changed.sum(axis=2) == 4).all()  # of each member one per target: those made after the newest reading


def test_a_fine_tuned_session_steps_on_without_a_seam() -> None:
    session = opened()
    past = with_a_gap(180)
    time = np.concatenate((past, past[-1] + 1 + regular(30)))
    feed(session, time[:180])
    assert session.fine_tune() == 3
    feed(session, time, start=180)
    assert session.state.pending.n_since[ALL].tolist() == [50, 50, 50]
    before = remembered(session)
    rebuild(session.model, session.state, ALL)
    assert_agree(session, before)
