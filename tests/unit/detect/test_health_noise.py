"""Too quiet and noisy: found against a stream's own past, cleared when it is usual again or has become so."""

import numpy as np
import pytest

from pipeline.core.records import F64
from pipeline.detect.health_noise import DIMENSIONS, EVERY, WINDOW, Flutter, Held

N = 6000
BEGIN = 4000


def follow(value: F64, n_accepted: int = 2000, *, is_at_edge: bool = False) -> list[tuple[int, str, str]]:
    """Return at which readings which verdict on one stream was raised or cleared, and why."""
    flutter, slots, found = Flutter.empty(1, **DIMENSIONS), np.array([0]), list[tuple[int, str, str]]()
    held = {"quiet": False, "noisy": False}
    for n in range(EVERY * (WINDOW // EVERY + 1), len(value) + 1, EVERY):
        state = Held(
            np.array([held["quiet"]]),
            np.array([held["noisy"]]),
            np.array([is_at_edge]),
            np.array([False]),
            1440 // EVERY,
            n_accepted // EVERY,
        )
        quiet, noisy = flutter.step(slots, value[None, n - WINDOW : n], np.array([60.0 * n]), state)
        for name, change, why in (("quiet", quiet, flutter.why_quiet), ("noisy", noisy, flutter.why_noisy)):
            if len(change.raised):
                found.append((n, f"{name} raised", why(0)))
            if len(change.cleared):
                found.append((n, f"{name} cleared", flutter.end(0)))
            held[name] = bool(len(change.raised)) or (held[name] and not len(change.cleared))
    return found


def noise(n: int = N, seed: int = 1) -> F64:
    return np.random.default_rng(seed).normal(size=n)


@pytest.mark.parametrize("factor", [3.0, 10.0])
def test_noise_that_grows_is_found_and_cleared_when_it_is_over(factor: float) -> None:
    value = noise()
    value[BEGIN : BEGIN + 600] *= factor
    (raised, what, _), (cleared, ended, _) = follow(value)
    assert (what, ended) == ("noisy raised", "noisy cleared")
    assert BEGIN < raised <= BEGIN + 130
    assert BEGIN + 600 < cleared <= BEGIN + 600 + 2 * WINDOW


def test_noise_far_beyond_all_before_is_told_by_one_measurement() -> None:
    value = noise()
    value[BEGIN - 8 :] *= 20  # so that the first measurement after it sees a little of it, and the second much
    raised = follow(value)[0][0]
    value[BEGIN - 8 :] /= 20 / 3
    assert raised < follow(value)[0][0]
    assert raised <= BEGIN + EVERY


@pytest.mark.parametrize("factor", [0.25, 0.01])
def test_a_stream_that_hardly_flutters_any_more_is_too_quiet(factor: float) -> None:
    value = 20 + np.sin(np.arange(N) / 200)  # how it moves slowly does not matter
    value += 0.1 * np.where(np.arange(N) < BEGIN, 1.0, factor) * noise()
    found = follow(value, n_accepted=10_000)
    assert [what for _, what, _ in found] == ["quiet raised"]
    assert BEGIN < found[0][0] <= BEGIN + 200


def test_what_lasts_becomes_usual_and_is_the_new_yardstick() -> None:
    value = noise(12_000)
    value[BEGIN:] *= 3
    found = follow(value)
    assert [what for _, what, _ in found] == ["noisy raised", "noisy cleared"]
    assert found[1][2] == "has become usual: it is judged by what it does now"


def test_the_words_name_what_was_and_what_is() -> None:
    value = noise()
    value[BEGIN:] *= 4
    text = follow(value)[0][2]
    assert text.startswith("jitters by ")
    now, before = (float(text.split(" from ")[0].split()[-1]), float(text.split()[-1]))
    assert 3 < now < 10
    assert 1 < before < 3


@pytest.mark.parametrize("seed", range(5))
def test_clean_noise_of_any_tail_raises_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    assert follow(rng.normal(size=40_000)) == []
    assert follow(rng.standard_t(3, 40_000)) == []


def test_glitches_and_steps_are_no_noise() -> None:
    value = noise()
    value[BEGIN::25] += 50 * (np.arange(len(value[BEGIN::25])) < 1)
    value[BEGIN + 200 :] += 40
    assert follow(value) == []


def test_noise_that_comes_and_goes_every_day_is_usual() -> None:
    by_day = (np.arange(14 * 1440) % 1440) < 600
    assert follow(noise(14 * 1440) * np.where(by_day, 10.0, 1.0)) == []


def test_a_stream_that_usually_rests_is_neither_noisy_nor_too_quiet() -> None:
    value = np.zeros(N)
    value[BEGIN:] = noise(N - BEGIN)
    value[:BEGIN:700] = 1.0
    assert follow(value) == []


def test_a_stream_at_its_edge_is_not_too_quiet() -> None:
    value = noise()
    value[BEGIN:] *= 0.05
    assert follow(value)
    assert follow(value, is_at_edge=True) == []
