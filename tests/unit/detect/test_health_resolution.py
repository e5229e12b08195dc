"""Resolution: coarser and finer steps are found when they last, on a grid or off it, at any level of the readings."""

import numpy as np
import pytest

from pipeline.core.records import F64
from pipeline.detect.health_resolution import EVERY, Grain, Held

N, BEGIN = 6400, 4000


def follow(value: F64, n_accepted: int = 1_000_000) -> list[tuple[int, str]]:
    """Return at which readings the verdict on one stream was raised and cleared, and why."""
    grain, slots, is_held, found = Grain.empty(1), np.array([0]), False, list[tuple[int, str]]()
    for n in range(EVERY, len(value) + 1, EVERY):
        held = Held(np.array([is_held]), 1440 // EVERY, n_accepted // EVERY)
        recent, size = value[None, n - EVERY : n], np.abs(value[n - 1 : n])
        change = grain.step(slots, recent, size, np.array([60.0 * n]), held)
        if len(change.raised):
            found.append((n, f"raised {grain.why(0)}"))
            assert change.since_s[0] <= 60.0 * n
        if len(change.cleared):
            found.append((n, f"cleared {grain.end(0)}"))
        is_held = bool(len(change.raised)) or (is_held and not len(change.cleared))
    return found


def to(value: F64, step: float) -> F64:
    return np.round(value / step) * step if step else value


def changed(before: float, after: float, *, memory: float = 0.0, level: float = 20.0) -> F64:
    """Return a stream whose instrument rounds to another step from a reading on; 0 for none."""
    noise = np.random.default_rng(1).normal(size=N)
    for i in range(1, N):
        noise[i] = memory * noise[i - 1] + np.sqrt(1 - memory**2) * noise[i]
    return level + np.concatenate((to(noise[:BEGIN], before), to(noise[BEGIN:], after)))


@pytest.mark.parametrize("memory", [0.0, 0.9])
@pytest.mark.parametrize("level", [20.0, -1e6])
@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (0.1, 1.0, "raised moves in steps of 1, where they were 0.1 at most"),
        (0.1, 0.18, "raised moves in steps of 0.18, where they were 0.1 at most"),
        (1.0, 0.1, "raised moves in steps of 0.1, where they were 1 at least"),
        (0.5, 0.25, "raised moves in steps of 0.25, where they were 0.5 at least"),
    ],
)
def test_another_resolution_is_found_within_320_readings(
    before: float, after: float, words: str, level: float, memory: float
) -> None:
    ((raised, why),) = follow(changed(before, after, memory=memory, level=level))
    assert BEGIN < raised <= BEGIN + 320
    assert why == words


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.5), (0.5, 0.0)])
def test_from_no_resolution_to_one_and_back(before: float, after: float) -> None:
    assert [text.split()[0] for _, text in follow(changed(before, after))] == ["raised"]


def test_it_is_cleared_when_the_old_steps_are_back() -> None:
    value = changed(0.1, 1.0)
    value[5000:] = to(value[5000:] + np.random.default_rng(2).normal(size=N - 5000), 0.1)
    (_, _), (cleared, end) = follow(value)
    assert 5000 < cleared <= 5000 + 320
    assert end == "cleared moves in steps of 0.1, as before"


def test_it_is_cleared_when_the_new_steps_have_become_usual() -> None:
    (_, _), (_, end) = follow(changed(0.1, 1.0), n_accepted=1280)
    assert end == "cleared has become usual: it is judged by what it does now"


@pytest.mark.parametrize("step", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("factor", [0.3, 10.0])
def test_more_or_less_noise_is_no_other_resolution(step: float, factor: float) -> None:
    noise = np.random.default_rng(4).normal(size=N)
    noise[BEGIN:] *= factor
    assert follow(20 + to(3 * noise, step)) == []


def test_one_finer_reading_is_no_other_resolution() -> None:
    value = changed(1.0, 1.0)
    value[[4010, 4100, 4300]] += 0.123
    assert follow(value) == []


def test_a_constant_and_a_switch_have_none() -> None:
    assert follow(np.full(N, 3.0)) == []
    assert follow(np.where(np.arange(N) % 300 < 100, 5.0, 0.0)) == []
