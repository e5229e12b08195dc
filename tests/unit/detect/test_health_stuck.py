"""Stuck: found within tens of readings where a stream never rests, and never where resting is its way."""

import numpy as np
import pytest

from pipeline.core.records import F64
from pipeline.detect.health_stuck import DIMENSIONS, About, Runs

STEP_S = 60.0
DAY = 1440
N_BUDGET = 300.0 * DAY  # readings


def follow(
    value: F64, *, low: float = -np.inf, high: float = np.inf, n_budget: float = N_BUDGET, runs: Runs | None = None
) -> list[tuple[int, str]]:
    """Return at which readings the verdict on one stream was raised and cleared."""
    runs = runs or Runs.empty(1, **DIMENSIONS)
    slots, is_stuck, found = np.array([0]), False, list[tuple[int, str]]()
    for n, reading in enumerate(value.tolist()):
        held, time = np.array([is_stuck]), np.array([n * STEP_S])
        step = runs.step(slice(0, 1), slots, time, np.array([reading]), np.array([n]), held)
        change = runs.judge(step, About(np.array([low]), np.array([high]), np.array([n_budget])))
        if len(change.raised):
            found.append((n, f"raised {runs.why(0)}"))
            assert change.since_s[0] == (n + 1 - int(runs.n[0])) * STEP_S
        if len(change.cleared):
            found.append((n, f"cleared {runs.end(0)}"))
        is_stuck = bool(len(change.raised)) or (is_stuck and not len(change.cleared))
    return found


def noise(n: int, seed: int = 1) -> F64:
    return 20 + np.random.default_rng(seed).normal(size=n)


def test_a_noisy_stream_that_stands_still_is_stuck_until_it_has_moved_a_few_times() -> None:
    value = noise(3000)
    value[2000:2500] = 21.4
    (raised, why), (cleared, _) = follow(value)
    assert 2011 <= raised < 2040
    assert why == f"raised has not moved from 21.4 for {raised - 1999} readings; it never rested longer than 1"
    assert cleared == 2502


def test_one_glitch_does_not_set_a_stuck_sensor_free() -> None:
    value = noise(3000)
    value[2000:] = 21.4
    value[2300] = 85.0
    assert len(follow(value)) == 1


def test_a_coarse_sensor_is_given_the_time_that_it_takes() -> None:
    rng = np.random.default_rng(2)
    slow = np.zeros(20_000)
    for i, shock in enumerate(rng.normal(size=20_000)[1:].tolist(), 1):
        slow[i] = 0.98 * slow[i - 1] + 0.2 * shock
    coarse = np.round(2 * slow) / 2
    longest = int(np.diff(np.flatnonzero(np.diff(coarse))).max())
    assert longest > 20
    assert follow(coarse) == []
    coarse[15_000:] = coarse[15_000]
    ((raised, _),) = follow(coarse)
    assert 2 * longest < raised - 15_000 < 20 * longest


@pytest.mark.parametrize("seed", range(3))
def test_a_pump_that_rests_is_not_stuck(seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts = [part for _ in range(300) for part in (np.full(rng.integers(40, 80), 1.2), 90 + rng.normal(size=20))]
    assert follow(np.concatenate(parts)) == []


@pytest.mark.parametrize("level", [21.4, 0.0])
def test_a_constant_is_not_stuck(level: float) -> None:
    assert follow(np.full(20_000, level)) == []


def test_a_set_point_that_is_moved_now_and_then_is_not_stuck() -> None:
    rng = np.random.default_rng(3)
    value = np.repeat(rng.choice([18.0, 19.0, 21.0, 22.5], 150), rng.exponential(100, 150).astype(int) + 1)
    assert follow(value) == []


def test_what_rests_at_its_end_may_sleep_for_the_first_week() -> None:
    """A solar cell's first night comes after a day of noise, and so does a machine's first weekend."""
    value = noise(14 * DAY)
    value[: 14 * DAY].reshape(14, DAY)[:, 1000:] = 0.0
    assert follow(value, low=0.0) == []
    dead = noise(14 * DAY)
    dead[8 * DAY :] = 0.0
    ((raised, _),) = follow(dead, low=0.0)
    assert raised < 8 * DAY + 30


def test_a_budget_of_fewer_false_verdicts_takes_longer() -> None:
    value = noise(2000)
    value[300:] = 5.0
    soon, late = (follow(value, n_budget=n_budget)[0][0] - 300 for n_budget in (N_BUDGET, 1e7))
    assert late > 2 * soon


def test_what_was_called_stuck_teaches_some_patience_but_not_for_ever() -> None:
    value = noise(9000)
    value[2000:4000] = 21.4
    value[6000:8000] = 21.4
    raised = [n for n, text in follow(value) if text.startswith("raised")]
    assert raised[0] < 2040
    assert raised[0] - 2000 < raised[1] - 6000 < 500


def test_years_of_one_value_do_not_overflow_a_count() -> None:
    runs = Runs.empty(1, **DIMENSIONS)
    assert follow(noise(300), runs=runs) == []
    runs.n += 2**40
    runs.value[:] = 5.0
    assert follow(np.append(np.full(5, 5.0), noise(50)), runs=runs) == []
    assert runs.longest[0] == 2**40 + 6
