"""Surprise: rarer is higher, on both sides, about calibrated, not masked by glitches, and scoring changes nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F64
from pipeline.detect.history import BLOCK
from pipeline.detect.surprise import MAX_SCORE, N_REMEMBERED, N_SHARES, Statistics, Surprise
from pipeline.detect.views import N_OF_FORECASTS, N_VIEWS, Found, View

N_TAUGHT = 1000
ONE = np.array([0])
SIZES = slice(N_VIEWS, N_VIEWS + 2)
N_NUMBERS = N_VIEWS + 2  # of a reading: its views, then its two sizes


def empty(n_streams: int = 1, kept: int = 128, n_members: int = 1) -> Surprise:
    return Surprise.empty(n_streams, tails=Statistics(n_members).n_tails, shares=N_SHARES, kept=kept)


def found_of(numbers: F64) -> Found:
    """Return numbers of shape (A, 9) as what the views show."""
    return Found(numbers[:, None, :N_OF_FORECASTS], numbers[:, N_OF_FORECASTS:N_VIEWS], numbers[:, SIZES])


def play(surprise: Surprise, numbers: F64, *, teaches: bool = True, age: int = N_TAUGHT) -> F64:
    """Score, then learn, numbers of shape (T, A, 9); return the decades of every view, shape (T, A, 8)."""
    n_streams = numbers.shape[1]
    ix, slots, n = slice(0, n_streams), np.arange(n_streams), np.full(n_streams, age)
    decades = np.empty((*numbers.shape[:2], len(View)))
    for t, row in enumerate(numbers):
        decades[t] = surprise.score(ix, found_of(row), n)[1]
        surprise.learn(ix, slots, found_of(row), np.full(n_streams, teaches))
    return decades


def noise(n: int, n_streams: int = 1, *, seed: int = 1, kind: str = "normal") -> F64:
    """Return views of noise and sizes of its size, shape (n, S, 9)."""
    numbers: F64 = getattr(np.random.default_rng(seed), kind)(size=(n, n_streams, N_NUMBERS))
    numbers[..., SIZES] = np.maximum(np.abs(numbers[..., SIZES]), 0.02)
    return numbers


def scored(surprise: Surprise, numbers: F64, age: int = N_TAUGHT) -> tuple[float, F64]:
    """Return score and decades of one stream's reading, numbers of shape (9,)."""
    score, decades = surprise.score(slice(0, 1), found_of(numbers[None]), np.array([age]))
    return float(score[0]), decades[0]


def with_view(view: View, value: float) -> F64:
    """Return a reading that shows one thing, and else what is quite usual."""
    numbers = np.array([0.2] * N_VIEWS + [0.5, 0.5])
    numbers[view] = value
    return numbers


@pytest.mark.parametrize("degrees", [3, 100])
def test_the_recent_mean_alone_shows_another_level_however_heavy_the_tails(degrees: int) -> None:
    rng = np.random.default_rng(2)
    numbers = noise(BLOCK * 200)
    numbers[..., View.LEVEL] = rng.standard_t(degrees, numbers.shape[:2])
    means = np.convolve(numbers[:, 0, View.LEVEL], np.ones(60) / 60, "same")
    numbers[:, 0, -1] = np.maximum(np.abs(means), 0.02)
    surprise = empty()
    play(surprise, numbers)
    usual = with_view(View.LEVEL, 0.2)
    usual[-1] = 3.0  # times what is usual of a reading, some twenty times what is usual of the mean
    assert scored(surprise, usual)[1][View.LEVEL] > 5
    usual[-1] = np.nan
    assert scored(surprise, usual)[1][View.LEVEL] < 1


OWN_VIEWS = list(View)[:N_VIEWS]


@pytest.fixture(scope="module")
def taught() -> Surprise:
    """What a stream of white noise has taught; tests only score with it."""
    surprise = empty()
    play(surprise, noise(N_TAUGHT))
    return surprise


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.sampled_from([-1, 1]), st.sampled_from(OWN_VIEWS))
def test_what_is_rarer_is_never_less_surprising_on_either_side(
    taught: Surprise, one: float, other: float, side: int, view: View
) -> None:
    nearer, farther = sorted((one, other))
    before, after = (scored(taught, with_view(view, side * size)) for size in (nearer, farther))
    assert 0 <= before[1][view] <= after[1][view] <= MAX_SCORE
    assert before[0] <= after[0]


@given(st.floats(0.02, 1e6), st.floats(0.02, 1e6), st.integers(0, 1))
def test_a_larger_size_never_takes_from_the_vote(taught: Surprise, one: float, other: float, which: int) -> None:
    smaller, larger = with_view(View.LEVEL, 2.0), with_view(View.LEVEL, 2.0)
    smaller[N_VIEWS + which], larger[N_VIEWS + which] = sorted((one, other))
    assert scored(taught, smaller)[1][View.VOTE] <= scored(taught, larger)[1][View.VOTE]


@pytest.mark.parametrize("view", OWN_VIEWS)
@pytest.mark.parametrize("side", [-1, 1])
def test_the_rarest_view_is_named_and_gives_the_score(taught: Surprise, view: View, side: int) -> None:
    score, decades = scored(taught, with_view(view, side * 8.0))
    assert View(int(decades.argmax())) == view
    assert score == decades[view]
    assert score > 4


def test_three_views_that_are_each_a_little_unusual_are_outdone_by_their_vote(taught: Surprise) -> None:
    score, decades = scored(taught, np.array([0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 3.5, 4.0, 4.0]))
    assert View(int(decades.argmax())) == View.VOTE
    assert score > decades[:N_VIEWS].max() + 0.5
    alone, _ = scored(taught, np.array([0.2] * N_VIEWS + [4.0, 0.5]))
    assert alone < 0.7 * score


def test_a_side_that_is_always_far_does_not_make_the_other_usual() -> None:
    surprise = empty()
    numbers = noise(N_TAUGHT)
    numbers[..., View.LEVEL] = 50 + numbers[..., View.LEVEL]
    play(surprise, numbers)
    assert scored(surprise, with_view(View.LEVEL, 50.0))[1][View.LEVEL] < 1
    assert scored(surprise, with_view(View.LEVEL, 0.0))[1][View.LEVEL] > 4
    assert scored(surprise, with_view(View.LEVEL, 100.0))[1][View.LEVEL] > 4


@pytest.mark.parametrize("n", [N_TAUGHT, 3 * N_TAUGHT])
def test_about_one_block_in_a_hundred_shows_what_one_in_a_hundred_shows(n: int) -> None:
    """Exponential noise, whose tail is the one that is fitted: fifty streams, then 100 blocks of each.

    Of the age that costs nothing, and by the view of the residual.
    """
    n_streams, n_blocks = 50, 100
    surprise = empty(n_streams)
    numbers = noise(n + n_blocks * BLOCK, n_streams, kind="exponential")
    decades = play(surprise, numbers)[n:, :, View.RESIDUAL]
    in_blocks = decades.reshape(n_blocks, BLOCK, n_streams).max(axis=1)
    assert 0.006 < (in_blocks >= 2).mean() < 0.016


def test_a_longer_past_asks_for_more(taught: Surprise) -> None:
    reading = with_view(View.RESIDUAL, 6.0)
    young, middle, old = (scored(taught, reading, age)[0] for age in (100, 2000, 1_000_000))
    assert young > middle > old
    assert scored(taught, reading, 10**12)[0] == old  # and no more than that


@pytest.mark.parametrize("at", [100, 995])
def test_one_glitch_does_not_mask_a_fault_a_thousand_readings_later(at: int) -> None:
    """Thirty streams of noise with and without one reading of a million spreads, then one of ten."""
    n_streams = 30
    numbers = noise(N_TAUGHT + 1000, n_streams)
    calm, disturbed = empty(n_streams), empty(n_streams)
    play(calm, numbers)
    numbers[at] = 1e6
    play(disturbed, numbers)
    fault = found_of(np.repeat(with_view(View.RESIDUAL, 10.0)[None], n_streams, axis=0))
    age = np.full(n_streams, N_TAUGHT)
    expected, found = (each.score(slice(0, n_streams), fault, age)[0] for each in (calm, disturbed))
    assert np.median(expected) > 7
    assert (found > 0.5 * expected).all()
    assert (found > 4).all()


def test_what_comes_often_stops_to_surprise() -> None:
    surprise = empty()
    numbers = noise(2 * N_TAUGHT)
    play(surprise, numbers[:N_TAUGHT])
    assert scored(surprise, with_view(View.RESIDUAL, 20.0))[0] > 8
    numbers[N_TAUGHT::20, :, View.RESIDUAL] = 20.0
    play(surprise, numbers[N_TAUGHT:])
    assert scored(surprise, with_view(View.RESIDUAL, 20.0))[0] < 2


@pytest.mark.parametrize("size", [0.0, 1.5, np.nan, 1e9, -1e9])
def test_scoring_changes_nothing(taught: Surprise, size: float) -> None:
    before = taught.take(ONE)
    scored(taught, with_view(View.NEXT_READING, size))
    for name, row in taught.take(ONE).items():
        assert (row == before[name]).all(), name


def test_readings_that_do_not_teach_change_nothing() -> None:
    surprise = empty()
    play(surprise, noise(N_TAUGHT + 5))
    before = surprise.take(ONE)
    play(surprise, 50 + noise(100), teaches=False)
    for name, row in surprise.take(ONE).items():
        assert (row == before[name]).all(), name


def test_a_young_stream_has_no_score_and_an_older_one_has() -> None:
    surprise = empty()
    play(surprise, noise(5 * BLOCK))
    assert np.isnan(scored(surprise, with_view(View.RESIDUAL, 1e6))[0])
    play(surprise, noise(15 * BLOCK))
    assert scored(surprise, with_view(View.RESIDUAL, 1e6))[0] > 2


def test_a_view_without_a_forecast_leaves_the_others_theirs(taught: Surprise) -> None:
    reading = with_view(View.RESIDUAL, 6.0)
    whole, _ = scored(taught, reading)
    reading[[View.NEXT_LONG, View.ACTIVITY]] = np.nan
    score, decades = scored(taught, reading)
    assert score == whole
    assert decades[View.NEXT_LONG] <= 0.5
    assert np.isfinite(decades).all()


def test_a_view_that_never_was_there_surprises_nobody_when_it_comes() -> None:
    numbers = noise(N_TAUGHT)
    numbers[..., View.NEXT_LONG] = np.nan
    surprise = empty()
    play(surprise, numbers)
    assert scored(surprise, with_view(View.NEXT_LONG, 1e6))[1][View.NEXT_LONG] == 0


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_what_is_always_the_same_surprises_nobody(view: float, size: float) -> None:
    surprise = empty(kept=32)
    play(surprise, np.tile(np.array([view] * N_VIEWS + [size] * 2), (12 * BLOCK, 1, 1)))
    score, _ = scored(surprise, np.array([view] * N_VIEWS + [size] * 2))
    assert 0 <= score < 2


@pytest.mark.parametrize("unit", [2.0**-20, 2.0**10])
def test_the_unit_of_a_view_does_not_matter(unit: float) -> None:
    """What is remembered is rounded, alike for units a power of two apart; others never come, see ``measured_in``."""
    one, other = empty(), empty()
    numbers = noise(N_TAUGHT)
    expected, found = play(one, numbers), play(other, unit * numbers)
    assert found[200:] == pytest.approx(expected[200:], abs=1e-3)


def test_streams_do_not_teach_each_other() -> None:
    together, alone = empty(3), empty(1)
    numbers = noise(500, 3)
    decades = play(together, numbers)
    assert (play(alone, numbers[:, 1:2])[:, 0] == decades[:, 1]).all()


def test_what_is_remembered_is_bounded_in_time_and_space() -> None:
    surprise = empty(kept=32)
    n_bytes = sum(array.nbytes for array in surprise.arrays().values())
    surprise.n_blocks[:] = N_REMEMBERED - 1
    play(surprise, noise(3 * BLOCK))
    assert surprise.n_blocks[0] < N_REMEMBERED
    assert sum(array.nbytes for array in surprise.arrays().values()) == n_bytes


def test_a_stream_put_back_goes_on_as_if_nothing_had_happened() -> None:
    through, before, after = empty(), empty(), empty()
    numbers = noise(700)
    expected = play(through, numbers)
    play(before, numbers[:333])
    after.put(ONE, before.take(ONE))
    assert (play(after, numbers[333:]) == expected[333:]).all()


def test_the_surprise_of_an_ensemble_is_the_mean_of_its_members_each_against_its_own_past() -> None:
    numbers, other = noise(N_TAUGHT, seed=1), noise(N_TAUGHT, seed=2)
    other[..., :N_OF_FORECASTS] *= 100  # the other network is always far off: what it gets wrong is no news from it
    other[..., N_OF_FORECASTS:] = numbers[..., N_OF_FORECASTS:]
    other[..., N_VIEWS] = 100 * numbers[..., N_VIEWS]
    one, two, both = empty(), empty(), empty(n_members=2)
    expected = 0.5 * (play(one, numbers) + play(two, other))
    for t, (first, second) in enumerate(zip(numbers, other, strict=True)):
        members = np.stack((first[:, :N_OF_FORECASTS], second[:, :N_OF_FORECASTS]), axis=1)
        sizes = np.column_stack((first[:, N_VIEWS], second[:, N_VIEWS], first[:, N_VIEWS + 1]))
        found = Found(members, first[:, N_OF_FORECASTS:N_VIEWS], sizes)
        decades = both.score(slice(0, 1), found, np.array([N_TAUGHT]))[1]
        is_shown = (decades > 0) & (decades < 10) & (expected[t] > 0)  # decades end at 0 and at 30
        assert decades[is_shown] == pytest.approx(expected[t][is_shown], abs=1.0)
        both.learn(slice(0, 1), np.arange(1), found, np.ones(1, bool))
    fault = Found(np.full((1, 2, N_OF_FORECASTS), 8.0), np.full((1, 2), 0.2), np.full((1, 3), 0.5))
    of_one = one.score(
        slice(0, 1),
        Found(np.full((1, 1, N_OF_FORECASTS), 8.0), np.full((1, 2), 0.2), np.full((1, 2), 0.5)),
        np.array([N_TAUGHT]),
    )[1]
    of_both = both.score(slice(0, 1), fault, np.array([N_TAUGHT]))[1]
    assert of_both[0, View.RESIDUAL] == pytest.approx(
        0.5 * of_one[0, View.RESIDUAL], abs=0.3
    )  # 8 is nothing to the other
