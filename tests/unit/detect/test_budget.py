"""The budget: levels that a stream reaches by chance as often as it may, by its own scores or, while young, a prior."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F64, Bool
from pipeline.core.short_floats import shortened_up
from pipeline.detect.budget import DIMENSIONS, MAX_LEVEL, MIN_LEVEL, N_WAITING, Budget, decades_of
from pipeline.detect.history import BLOCK

KEPT = 128
DECADES = 2.5
DAY = 86_400.0


def empty(n_streams: int = 1) -> Budget:
    return Budget.empty(n_streams, kept=KEPT, **DIMENSIONS)


def levels(budget: Budget, decades: float = DECADES) -> F64:
    """Return the levels of all streams."""
    n_streams = budget.capacity
    return budget.level(slice(0, n_streams), np.full(n_streams, decades))


def teach(budget: Budget, scores: F64, *, decades: float = DECADES, settled: Bool | None = None) -> Budget:
    """Take in scores of shape (T, S) under the levels that they lead to."""
    n_streams = scores.shape[1]
    is_settled = np.ones(n_streams, np.bool_) if settled is None else settled
    for row in scores:
        budget.learn(slice(0, n_streams), np.arange(n_streams), row, levels(budget, decades), is_settled)
    return budget


def chance(n: int, n_streams: int, kind: str = "exponential", seed: int = 1) -> F64:
    """Return scores of streams where nothing happens: log10 of how rare white noise is, or with other tails."""
    rng = np.random.default_rng(seed)
    if kind == "exponential":
        return rng.exponential(1 / np.log(10), (n, n_streams))
    if kind == "gumbel":
        return np.maximum(rng.gumbel(0.5, 0.5, (n, n_streams)), 0)
    return np.abs(rng.normal(0, 1.2, (n, n_streams)))


@pytest.fixture(scope="module")
def taught() -> Budget:
    """Twenty streams after 3,000 readings by chance; tests do not change it."""
    return teach(empty(20), chance(3000, 20))


@given(st.floats(0, 8), st.floats(0, 8))
def test_fewer_false_alarms_ask_for_a_higher_level(taught: Budget, one: float, other: float) -> None:
    more, fewer = sorted((one, other))
    for budget in (taught, empty(20)):
        assert (levels(budget, more) <= levels(budget, fewer)).all()
        assert (levels(budget, fewer) >= MIN_LEVEL).all()
        assert (levels(budget, fewer) <= MAX_LEVEL).all()
    assert (levels(taught, 2.0) < levels(taught, 4.0)).all()


@pytest.mark.parametrize("kind", ["exponential", "normal", "gumbel"])
@pytest.mark.parametrize("n_blocks", [100, 300])
def test_as_many_blocks_are_beyond_the_level_as_were_promised(kind: str, n_blocks: int) -> None:
    """Two hundred streams, each judged by 400 more blocks than it has learnt from.

    The promise is that of the level itself, as ``odds`` tells it: what the budget is spent on counts as kept.
    """
    n_streams, n_judged = 200, 400
    budget = teach(empty(n_streams), chance(n_blocks * BLOCK, n_streams, kind))
    level = levels(budget)
    later = chance(n_judged * BLOCK, n_streams, kind, seed=2).reshape(n_judged, BLOCK, n_streams).max(axis=1)
    promised = np.mean([BLOCK / budget.odds(slot, float(level[slot])) for slot in range(n_streams)])
    assert 0.5 < (later >= level).mean() / promised < 2
    assert 10**-DECADES / 2 < promised < 2 * 10**-DECADES


def test_levels_of_alike_streams_are_alike_once_they_know_themselves() -> None:
    found = levels(teach(empty(100), chance(5000, 100)), 3.5)
    assert np.quantile(found, 0.95) - np.quantile(found, 0.05) < 3


def test_of_a_young_stream_the_level_is_the_cautious_one_of_all() -> None:
    budget = empty(3)
    prior = levels(budget)
    assert not budget.is_fitted(slice(0, 3)).any()
    assert (prior == prior[0]).all()
    teach(budget, chance(5 * BLOCK, 3))
    assert (levels(budget) == prior).all()
    teach(budget, chance(300 * BLOCK, 3))
    assert budget.is_fitted(slice(0, 3)).all()
    assert len(set(levels(budget).tolist())) == 3
    assert prior[0] > np.median(levels(budget))


def test_the_prior_follows_the_budget() -> None:
    budget = empty()
    assert levels(budget, 5.0)[0] == pytest.approx(levels(budget, 3.0)[0] + 2)


@pytest.mark.parametrize("n_alerts", [1, 4])
@pytest.mark.parametrize("score", [15.0, 30.0])
def test_own_alerts_raise_the_level_only_so_far(n_alerts: int, score: float) -> None:
    """An incident of some blocks, as a level shift is one: the same again must still be an alert."""
    scores = chance(2000, 50)
    calm = levels(teach(empty(50), scores))
    scores[1000 : 1000 + n_alerts * BLOCK] = score
    stirred = levels(teach(empty(50), scores))
    assert (stirred < score - 2).all()
    assert np.median(stirred - calm) < 3


def test_what_is_beyond_the_level_counts_as_being_at_it() -> None:
    """However far beyond: a stream whose alerts are strong is not deafer than one whose alerts are weak."""
    found = []
    for score in (12.0, 30.0):
        scores = chance(2000, 5)
        scores[1000:1003] = score
        found.append(levels(teach(empty(5), scores)))
    assert found[0] == pytest.approx(found[1], abs=1e-4)


def test_what_grows_slowly_teaches_the_level_nothing_of_its_own_beginning() -> None:
    """Scores that rise, each block a little above the last: the level stays until the first of them has waited."""
    budget, n_rising = teach(empty(20), chance(1500, 20)), N_WAITING * BLOCK
    before = levels(budget)
    rising = chance(n_rising, 20, seed=3) + np.linspace(0, 3, n_rising)[:, None]
    teach(budget, rising[: -BLOCK // 2])
    assert np.median(np.abs(levels(budget) - before)) < 0.3, "what waited was by chance"
    teach(budget, rising)
    assert np.median(levels(budget) - before) > 0.5, "now it counts"


def test_blocks_wait_in_turn_and_none_is_lost() -> None:
    budget = teach(empty(), chance(1500, 1))
    n_before, steady = int(budget.n_blocks[0]), np.full((BLOCK, 1), 0.5)
    odd = shortened_up(np.array([2.5], np.float32))
    n_odd = np.count_nonzero(budget.largest == odd)
    teach(budget, np.full((BLOCK, 1), 2.5))
    for _ in range(N_WAITING - 1):
        teach(budget, steady)
        assert np.count_nonzero(budget.largest == odd) == n_odd
    teach(budget, steady)
    assert np.count_nonzero(budget.largest == odd) == n_odd + 1
    assert budget.n_blocks[0] == n_before + N_WAITING + 1


@given(st.floats(1.5, 5))
def test_odds_and_level_are_inverse_up_to_the_margin(taught: Budget, decades: float) -> None:
    level = levels(taught, decades)
    inner = np.flatnonzero((level > MIN_LEVEL) & (level < MAX_LEVEL))
    margins = [decades - np.log10(taught.odds(int(slot), float(level[slot])) / BLOCK) for slot in inner]
    assert min(margins) >= 0
    assert np.median(margins) < 0.5  # a heavy tail's level is bounded: more may be asked for than it gives


def test_what_is_rarer_has_longer_odds(taught: Budget) -> None:
    for budget in (taught, empty(20)):
        odds = [budget.odds(0, score) for score in (0.0, 1.0, 3.0, 6.0, 10.0)]
        assert (np.diff(odds) >= 0).all()
        assert odds[0] >= BLOCK
        assert odds[-1] > 1e3 * odds[0]
        assert np.isfinite(budget.odds(0, MAX_LEVEL))


def test_unsettled_readings_and_missing_scores_teach_nothing() -> None:
    budget = teach(empty(2), chance(500, 2))
    before = {name: array.copy() for name, array in budget.arrays().items()}
    teach(budget, 9 + chance(50, 2), settled=np.zeros(2, np.bool_))
    teach(budget, np.full((50, 2), np.nan))
    for name, array in budget.arrays().items():
        assert (array == before[name]).all(), name


@pytest.mark.parametrize("score", [0.0, 1.0, 30.0])
def test_scores_that_are_always_the_same_give_a_level_and_odds(score: float) -> None:
    budget = teach(empty(), np.full((40 * BLOCK, 1), score))
    assert MIN_LEVEL <= levels(budget)[0] <= MAX_LEVEL
    assert np.isfinite(budget.odds(0, score))


def test_streams_do_not_teach_each_other() -> None:
    scores = chance(600, 3)
    together, alone = teach(empty(3), scores), teach(empty(1), scores[:, 1:2])
    assert levels(together)[1] == levels(alone)[0]


def test_a_budget_is_counted_in_blocks_of_ten_readings() -> None:
    every = np.array([1.0, 60.0, 300.0, 3600.0])
    assert decades_of(30 * DAY, every) == pytest.approx(np.log10(30 * DAY / (BLOCK * every)))


def test_of_a_stream_whose_cadence_is_not_known_the_level_is_a_high_one() -> None:
    unknown, usual = decades_of(30 * DAY, np.array([np.nan, 60.0]))
    assert unknown > usual


@pytest.mark.parametrize("step_s", [0.0, 1e-9, 1e9, np.inf])
def test_any_cadence_gives_a_finite_budget(step_s: float) -> None:
    assert 0 <= decades_of(30 * DAY, np.array([step_s]))[0] < 12
