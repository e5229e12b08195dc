"""Readings of an uncertain time are scored and not learnt: nobody knows when they were true."""

import numpy as np

from pipeline.core.records import F64, Flag, Outcome, Readings, Steps
from pipeline.core.settings import Settings
from pipeline.runtime.session import Session

N = 300
BURST = slice(200, 240)
QUICK = {"forecast": {"hidden": 4, "ensemble": 1}, "training": {"enabled": False}, "detection": {"n_warmup": 100}}


def run(flag: Flag, value: F64) -> tuple[Session, Steps]:
    """Score a noisy stream of which a stretch carries a flag."""
    flags = np.zeros(N, np.uint8)
    flags[BURST] = flag
    readings = Readings(["t"], np.zeros(N, np.int32), np.arange(1e9, 1e9 + 60 * N, 60.0), value, flags)
    session = Session(Settings.model_validate(QUICK))
    return session, session.process(readings, now=2e9)


def noise() -> F64:
    value = np.random.default_rng(1).normal(size=N)
    value[BURST] += 4.0
    return value


def test_uncertain_readings_are_accepted_and_scored() -> None:
    _, steps = run(Flag.TIME_UNCERTAIN, noise())
    assert (steps.outcome == Outcome.ACCEPTED).all()
    assert np.isfinite(steps.score[BURST]).all()
    assert steps.score[BURST].max() > steps.score[150:200].max()


def test_they_are_in_no_training_window_and_in_no_history_of_scores() -> None:
    uncertain, _ = run(Flag.TIME_UNCERTAIN, noise())
    certain, _ = run(Flag(0), noise())
    taught = uncertain.state.windows.is_taught[0, :N]
    assert not taught[BURST].any()
    assert taught[:200].sum() == certain.state.windows.is_taught[0, :200].sum() > 100


def test_what_was_learnt_of_the_usual_interval_does_not_change() -> None:
    session = Session(Settings.model_validate(QUICK))
    time = np.r_[60.0 * np.arange(100), 6000.0 + 0.01 * np.arange(20)] + 1e9
    flags = np.r_[np.zeros(100, np.uint8), np.full(20, Flag.TIME_UNCERTAIN, np.uint8)]
    value = np.random.default_rng(1).normal(size=120)
    session.process(Readings(["t"], np.zeros(120, np.int32), time, value, flags), now=2e9)
    assert session.state.cadence.step_s[0] == 60.0
