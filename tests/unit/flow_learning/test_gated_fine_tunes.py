"""The gate in force: what it refuses changes nothing, what proves bad is taken back, faults do not teach."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.columns import AnyArray
from pipeline.core.records import F32, F64, Readings
from pipeline.core.settings import Settings
from pipeline.detect.surprise import MAX_SCORE
from pipeline.forecast.bank import put_by
from pipeline.forecast.moments import unpacked
from pipeline.forecast.network import Network
from pipeline.forecast.training import Weights, Windows
from pipeline.runtime.session import Session

EVERY, N_OUTPUTS = 40, 8
OLD = 320  # readings after which several runs of them were held out
Change = Callable[[F32], None]  # of weights, in place


def settings(ensemble: int = 1, quarantine: float = 31.0) -> Settings:
    return Settings.model_validate(
        {
            "streams": {"window_len": 256},
            "forecast": {"hidden": 4, "ensemble": ensemble},
            "training": {"takeover": 0, "every": EVERY, "window": 32, "steps": 2, "batch": 4},
            "detection": {"n_warmup": 100, "n_kept": 64, "n_quiet": 200, "quarantine_level": quarantine},
        }
    )


def readings(names: list[str], value: F64, first: int = 0) -> Readings:
    """Return the same values for each stream, a minute apart from reading ``first`` on."""
    n = len(names)
    time = np.repeat(60.0 * np.arange(first, first + len(value)), n)
    stream = np.tile(np.arange(n, dtype=np.int32), len(value))
    return Readings(names, stream, time, np.repeat(value, n), np.zeros(len(time), np.uint8))


def wave(n: int) -> F64:
    return np.sin(np.arange(n) / 4) + np.random.default_rng(1).normal(0, 0.2, n)


def trained(n: int = OLD, ensemble: int = 1, names: tuple[str, ...] = ("a", "b"), quarantine: float = 31.0) -> Session:
    """Return a session whose networks are due, fine-tuned every so many readings until then."""
    session, value = Session(settings(ensemble, quarantine)), wave(n)
    for start in range(0, n, EVERY):
        session.fine_tune()
        session.process(readings(list(names), value[start : start + EVERY], start), now=np.inf)
    return session


def go_on(session: Session, n: int = EVERY) -> None:
    """Give the streams their next readings."""
    first = int(session.state.windows.n[0])
    names = [str(name) for name in session.state.table.names]
    session.process(readings(names, wave(first + n)[first:], first), now=np.inf)


@pytest.fixture
def teach_instead(monkeypatch: pytest.MonkeyPatch) -> Callable[[Change], None]:
    """Put something else in the place of optimiser steps: a change of the weights, here on the first network only."""

    def install(change: Change) -> None:
        def fine_tune(_: Network, before: Weights, _windows: Windows, n_batches: int, *_args: object) -> Weights:
            weights = before.weights.copy()
            change(weights[: len(weights) // 2, 0])  # members of the first of two networks
            return replace(
                before, weights=weights, m=2 * before.m, v=4 * before.v, n_steps=before.n_steps + np.int32(n_batches)
            )

        monkeypatch.setattr("pipeline.flow.learning.fine_tune", fine_tune)

    return install


def nothing(_: F32) -> None:
    """Change nothing."""


def wild(weights: F32) -> None:
    """Foretell five units too much."""
    weights[0, -N_OUTPUTS::2] += 5


def unsure(weights: F32) -> None:
    """Blow up the scale: expect anything."""
    weights[0, -N_OUTPUTS + 1 :: 2] += 3


def a_little_unsure(weights: F32) -> None:
    weights[0, -N_OUTPUTS + 1 :: 2] += 0.6


def broken(weights: F32) -> None:
    weights[-1, 7] = np.nan


def outcomes(session: Session) -> dict[str, int]:
    """Fine-tune and return what became of it."""
    before = dict(session.fine_tunes)
    session.fine_tune()
    return {name: n - before[name] for name, n in session.fine_tunes.items() if n != before[name]}


def network_of(session: Session, stream: int) -> dict[str, AnyArray]:
    return session.model.bank.take(session.state.ledger.group[[stream]].astype(np.int64))


@pytest.mark.parametrize("ensemble", [1, 2])
@pytest.mark.parametrize(
    ("change", "allowed"), [(wild, {"hold_out"}), (unsure, {"hold_out", "faults"}), (broken, {"not_finite"})]
)
def test_a_challenger_that_is_refused_leaves_the_weights_in_force_bit_for_bit(
    teach_instead: Callable[[Change], None], ensemble: int, change: Change, allowed: set[str]
) -> None:
    session = trained(ensemble=ensemble)
    before = network_of(session, 0)
    teach_instead(change)
    found = outcomes(session)
    assert found.pop("accepted") == 1, "the other network's"
    assert set(found) <= allowed
    assert sum(found.values()) == 1
    after = network_of(session, 0)
    for name in ("weights", "previous", "m", "v", "n_steps", "key"):
        assert after[name].tobytes() == before[name].tobytes(), name
    assert after["n_rounds"] == before["n_rounds"] + 1, "next time it draws other windows"


def test_a_challenger_that_would_miss_faults_is_refused_though_it_foretells_no_worse(
    teach_instead: Callable[[Change], None],
) -> None:
    session = trained()
    session.model.bank.weights[:, 0, -N_OUTPUTS + 1 :: 2] -= 0.3  # sure enough to find a fault of four spreads
    session.model.bank.previous[:] = put_by(session.model.bank.weights)
    teach_instead(a_little_unsure)
    assert outcomes(session) == {"accepted": 1, "faults": 1}


def test_what_is_accepted_goes_live_and_keeps_what_it_replaced(teach_instead: Callable[[Change], None]) -> None:
    session = trained()
    before = network_of(session, 0)
    teach_instead(nothing)
    assert outcomes(session) == {"accepted": 2}
    after = network_of(session, 0)
    assert after["previous"].tobytes() == put_by(before["weights"]).tobytes()
    assert before["v"].any()
    (m, v), (twice_m, four_v) = (unpacked(found["m"], found["v"]) for found in (before, after))
    assert np.array_equal(twice_m, 2 * m)
    assert np.array_equal(four_v, 4 * v)


def test_after_a_refusal_the_next_fine_tune_is_due_as_usual(teach_instead: Callable[[Change], None]) -> None:
    session = trained()
    teach_instead(wild)
    outcomes(session)
    assert session.training_lag() == 0
    go_on(session, EVERY - 1)
    assert session.fine_tune() == 0
    go_on(session, 1)
    assert session.fine_tune() == 2


def test_weights_that_prove_bad_on_what_came_since_are_taken_back(teach_instead: Callable[[Change], None]) -> None:
    session = trained()
    session.fine_tune()
    before = network_of(session, 0)
    unsure(session.model.bank.weights[session.state.ledger.group[0]])  # as a fine-tune that the gate could not judge
    go_on(session)
    teach_instead(nothing)
    assert outcomes(session) == {"accepted": 2, "rolled_back": 1}
    assert network_of(session, 0)["weights"].tobytes() == before["previous"].astype(np.float32).tobytes()


def test_a_challenger_is_taught_from_what_was_taken_back_and_not_from_the_bad(
    teach_instead: Callable[[Change], None],
) -> None:
    session = trained()
    session.fine_tune()
    good = network_of(session, 0)["previous"]
    unsure(session.model.bank.weights[session.state.ledger.group[0]])
    go_on(session)
    teach_instead(wild)
    assert outcomes(session) == {"accepted": 1, "hold_out": 1, "rolled_back": 1}
    assert network_of(session, 0)["weights"].tobytes() == good.astype(np.float32).tobytes()


def test_weights_so_bad_that_they_open_an_episode_are_taken_back_too(
    teach_instead: Callable[[Change], None],
) -> None:
    session = trained()
    session.fine_tune()
    before = network_of(session, 0)
    wild(session.model.bank.weights[session.state.ledger.group[0]])
    go_on(session)
    teach_instead(nothing)
    outcomes(session)
    assert network_of(session, 0)["weights"].tobytes() == before["previous"].astype(np.float32).tobytes()


def test_good_weights_are_not_taken_back() -> None:
    session = trained()
    for _ in range(5):
        session.fine_tune()
        go_on(session)
    assert session.fine_tunes["rolled_back"] == 0


def test_of_a_young_stream_only_finite_weights_are_asked_for(teach_instead: Callable[[Change], None]) -> None:
    session = trained(2 * EVERY)  # the first readings that are held out are those from 112 on
    teach_instead(wild)
    assert outcomes(session) == {"accepted": 2}
    go_on(session)
    teach_instead(broken)
    assert outcomes(session)["not_finite"] == 1


def stuck(n: int) -> F64:
    return np.full(n, 40.0)


def ramp(n: int) -> F64:
    return np.linspace(40.0, 120.0, n)


def swinging(n: int) -> F64:
    return np.where(np.arange(n) % 2, 31.0, 40.0)


def taught_in(fault: Callable[[int], F64], ensemble: int, quarantine: float) -> F32:
    """Return the weights of a network that was fine-tuned four times in a fault."""
    session = trained(ensemble=ensemble, names=("a",), quarantine=quarantine)
    session.fine_tune()
    n_rounds = session.model.bank.n_rounds[0]
    for start in range(OLD, OLD + 4 * EVERY, EVERY):
        value = fault(4 * EVERY)[start - OLD :][:EVERY]
        session.process(readings(["a"], value, start), now=np.inf)
        assert session.state.quarantine.is_held[0] == (quarantine <= MAX_SCORE)
        assert session.fine_tune() == 1
    assert session.model.bank.n_rounds[0] == n_rounds + 4
    weights: F32 = session.model.bank.weights[0].copy()
    return weights


@pytest.mark.parametrize("ensemble", [1, 2])
@pytest.mark.parametrize("fault", [ramp, swinging])
def test_a_fault_in_quarantine_does_not_teach(fault: Callable[[int], F64], ensemble: int) -> None:
    """Whatever the fault looks like, the networks fine-tuned in it become the same ones."""
    assert np.array_equal(taught_in(stuck, ensemble, quarantine=6.0), taught_in(fault, ensemble, quarantine=6.0))


def test_without_a_quarantine_a_fault_does_teach() -> None:
    assert not np.array_equal(taught_in(ramp, 1, quarantine=31.0), taught_in(swinging, 1, quarantine=31.0))
