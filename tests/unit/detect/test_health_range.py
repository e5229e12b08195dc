"""Out of range: beyond given limits at once, beyond learnt ones when it is no glitch."""

import numpy as np
import pytest

from pipeline.core.records import F64
from pipeline.detect.health_range import EVERY, Reach

N_BELIEVED = 90
MARGIN = 2.0


def follow(value: F64, reach: Reach, n_accepted: int = 1000) -> list[tuple[int, str]]:
    """Return at which readings the verdict on one stream was raised and cleared, and why."""
    slots, is_held, found = np.array([0]), False, list[tuple[int, str]]()
    for n, reading in enumerate(value.tolist()):
        one, time = np.array([reading]), np.array([60.0 * n])
        change = reach.step(slots, slice(0, 1), time, one, np.array([is_held]), n_accepted)
        if len(change.raised):
            found.append((n, f"raised {reach.why(0, reading)}"))
        if len(change.cleared):
            found.append((n, f"cleared {reach.end(0, reading)}"))
        is_held = bool(len(change.raised)) or (is_held and not len(change.cleared))
        if (n + 1) % EVERY == 0:
            recent = value[None, n + 1 - EVERY : n + 1]
            reach.learn(slots, recent, np.array([not is_held]), N_BELIEVED, MARGIN)
    return found


def noise(n: int = 4000) -> F64:
    return 20 + np.random.default_rng(1).uniform(-1, 1, n)


def test_readings_far_from_all_before_raise_and_readings_inside_clear() -> None:
    value = noise()
    value[2000:2100] = 85.0
    (raised, why), (cleared, end) = follow(value, Reach.empty(1))
    assert raised == 2002
    assert why.startswith("raised reads 85, far from all before: 19.0")
    assert cleared == 2115
    assert end.endswith("inside again")


@pytest.mark.parametrize("n_off", [1, 2])
def test_a_glitch_is_not_out_of_range_and_teaches_nothing(n_off: int) -> None:
    value = noise()
    value[200::400] = 85.0
    value[2000 : 2000 + n_off] = -127.0
    reach = Reach.empty(1)
    assert follow(value, reach) == []
    assert reach.high[0] < 22


def test_a_level_that_lasts_is_the_new_normal() -> None:
    value = noise()
    value[2000:] += 60
    (_, _), (cleared, end) = follow(value, Reach.empty(1))
    assert cleared == 2002 + 1000
    assert end == "cleared has become usual: it is judged by what it does now"


def test_what_wanders_or_steps_within_the_margin_is_in_range() -> None:
    walk = np.cumsum(np.random.default_rng(3).normal(size=40_000))
    assert follow(walk, Reach.empty(1)) == []
    value = noise()
    value[2000:] += 3.0
    assert follow(value, Reach.empty(1)) == []


def test_a_stream_that_mostly_rests_has_no_learnt_range() -> None:
    value = np.zeros(4000)
    value[:3000:500] = 0.5
    value[3500:3600] = 40.0
    assert follow(value, Reach.empty(1)) == []


@pytest.mark.parametrize(
    ("low", "high", "outside", "words"),
    [
        (0.0, 100.0, 101.0, "raised reads 101, outside the limits given: 0 to 100"),
        (0.0, None, -1.0, "raised reads -1, outside the limits given: at least 0"),
        (None, 30.0, 31.0, "raised reads 31, outside the limits given: at most 30"),
    ],
)
def test_given_limits_are_taken_at_their_word_from_the_first_reading_on(
    low: float | None, high: float | None, outside: float, words: str
) -> None:
    reach = Reach.empty(1)
    reach.give(0, low, high)
    value = noise(100)
    value[5] = outside
    (raised, why), (cleared, _) = follow(value, reach, n_accepted=10)
    assert (raised, why) == (5, words)
    assert cleared == 21


def test_given_limits_are_never_replaced_by_learnt_ones() -> None:
    reach = Reach.empty(1)
    reach.give(0, -1000.0, 1000.0)
    value = noise()
    value[2000:] += 500
    assert follow(value, reach) == []
    reach.forget(np.array([0]))
    assert (reach.floor[0], reach.ceiling[0]) == (-1000.0, 1000.0)


def test_a_range_that_is_no_longer_given_is_learnt() -> None:
    reach = Reach.empty(1)
    reach.give(0, 0.0, 1.0)
    reach.give(0, None, None)
    value = noise()
    value[2000:] = 85.0
    assert len(follow(value, reach, n_accepted=10_000)) == 1
