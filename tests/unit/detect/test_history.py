"""Histories: the largest block maxima, exact while they fit, thinned evenly after, in bounded memory."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.records import F32, F64, Bool
from pipeline.core.short_floats import lengthened, shortened_up
from pipeline.detect.history import BLOCK, History, inserted, merged

N_KEPT = 16
FOREVER = 10**9  # blocks: the memory is never thinned
ONE = np.array([0])
FEW = settings(max_examples=25)  # each takes in hundreds of readings


def empty(n_streams: int = 1, kept: int = N_KEPT, tails: int = 1) -> History:
    return History.empty(n_streams, tails=tails, kept=kept)


def teach(history: History, values: F64, *, remembered: int = FOREVER, counted: Bool | None = None) -> History:
    """Take in one statistic of one stream, shape (N,)."""
    is_counted = np.ones(len(values), np.bool_) if counted is None else counted
    for value, counts in zip(values.astype(np.float32), is_counted, strict=True):
        history.take_in(slice(0, 1), ONE, np.array([[value]]), np.array([counts]), remembered)
    return history


def block_maxima(values: F64) -> F32:
    """Return the maxima of all complete blocks as they are kept, ascending."""
    whole = values[: len(values) // BLOCK * BLOCK].astype(np.float32)
    return lengthened(shortened_up(np.sort(whole.reshape(-1, BLOCK).max(axis=1))))


def teach_blocks(history: History, maxima: F64, remembered: int = FOREVER) -> History:
    """Take in whole blocks of all streams by their maxima, shape (N, S), or (N,) of one stream."""
    n_streams = len(history.n_blocks)
    all_count = np.ones(n_streams, np.bool_)
    for block in maxima.reshape(len(maxima), n_streams, 1).astype(np.float32):
        history.n_in_block[:] = BLOCK - 1
        history.take_in(slice(0, n_streams), np.arange(n_streams), block, all_count, remembered)
    return history


def kept(history: History, slot: int = 0) -> list[float]:
    """Return what a stream's memory of its first statistic holds, ascending."""
    found = lengthened(history.largest[slot, 0])
    values: list[float] = found[len(found) - int(history.n_kept[slot]) :].tolist()
    return values


def noise(n: int, seed: int = 1) -> F64:
    return np.random.default_rng(seed).normal(size=n)


#: A few values only, so that ties are common; and any.
VALUES = st.lists(st.sampled_from([-2.0, 0.0, 0.1, 3.0]) | st.floats(-1e6, 1e6), max_size=35 * BLOCK)


@FEW
@given(VALUES)
def test_the_largest_block_maxima_are_kept_all_of_them_while_they_fit(values: list[float]) -> None:
    found = teach(empty(), np.array(values))
    maxima = block_maxima(np.array(values))
    assert found.n_blocks[0] == len(maxima)
    assert found.n_kept[0] == min(len(maxima), N_KEPT)
    assert kept(found) == maxima[-N_KEPT:].tolist()
    assert np.isneginf(lengthened(found.largest[0, 0, : N_KEPT - found.n_kept[0]])).all()


@FEW
@given(VALUES, st.lists(st.booleans(), min_size=35 * BLOCK, max_size=35 * BLOCK))
def test_what_does_not_count_is_as_if_it_had_not_come(values: list[float], counted: list[bool]) -> None:
    is_counted = np.array(counted[: len(values)], np.bool_)
    found = teach(empty(), np.array(values), counted=is_counted)
    alone = teach(empty(), np.array(values)[is_counted])
    for name, array in found.arrays().items():
        assert (array == alone.arrays()[name]).all(), name


@FEW
@given(st.integers(1, 60), st.integers(0, 60), st.integers(0, 2**32 - 1))
def test_two_memories_merge_into_the_memory_of_both(n_one: int, n_other: int, seed: int) -> None:
    one, other = noise(n_one * BLOCK, seed), noise(n_other * BLOCK, seed + 1)
    found = merged(*(lengthened(teach(empty(), own).largest[0, 0]) for own in (one, other)))
    both = teach(empty(), np.concatenate((one, other)))
    assert (found == lengthened(both.largest[0, 0])).all()


@given(st.lists(st.floats(-100, 100, width=32), min_size=4, max_size=4), st.floats(-100, 100, width=32))
def test_what_is_let_in_finds_its_place_and_the_smallest_goes(values: list[float], value: float) -> None:
    before = np.sort(np.array(values, np.float32))
    found = inserted(before, np.array(value, np.float32))
    assert found.tolist() == np.sort(np.append(before, np.float32(value)))[1:].tolist()


def test_thinning_keeps_every_second_of_the_largest_and_halves_the_counts() -> None:
    history = teach_blocks(empty(kept=8), np.arange(1.0, 12.0), 12)
    assert (kept(history), history.n_blocks[0]) == ([4, 5, 6, 7, 8, 9, 10, 11], 11)
    teach_blocks(history, np.array([12.0]), 12)  # the twelfth block: of 5 to 12 every second goes
    assert kept(history) == [5, 7, 9, 11]
    assert (history.n_blocks[0], history.n_kept[0]) == (6, 4)


def test_a_thinned_memory_that_kept_every_block_still_ranks_every_one() -> None:
    history = teach_blocks(empty(kept=32), np.arange(20.0), 20)
    assert kept(history) == np.arange(0.0, 20.0, 2).tolist()
    teach_blocks(history, np.array([0.5, 30.0]), 20)
    assert kept(history) == [0.0, 0.5, *np.arange(2.0, 20.0, 2).tolist(), 30.0]
    assert history.n_blocks[0] == 12


def test_memory_is_bounded_and_so_are_the_counts() -> None:
    history, n_bytes = empty(kept=32), sum(array.nbytes for array in empty(kept=32).arrays().values())
    for start in range(20):
        teach_blocks(history, noise(100, start), 128)
        assert 64 <= history.n_blocks[0] < 128
        assert 16 <= history.n_kept[0] <= 32
    assert sum(array.nbytes for array in history.arrays().values()) == n_bytes


def test_a_thinned_memory_follows_when_the_stream_becomes_calmer() -> None:
    history = teach_blocks(empty(kept=32), 100 + noise(300), 128)
    assert min(kept(history)) > 90
    teach_blocks(history, noise(1000, 2), 128)
    assert max(kept(history)) < 10


@pytest.mark.parametrize("n_blocks", [400, 520, 600, 700, 850, 1000])
def test_the_tail_is_that_of_the_stream_whenever_it_was_last_thinned(n_blocks: int) -> None:
    """Forty streams of exponential noise whose memory is thinned at 512 blocks: of each the same tail is expected.

    The largest of ten is beyond x with probability 1 - (1 - exp(-x))^10, and has a mean excess of about 1.
    """
    n_streams, share = 40, 0.2
    values = np.random.default_rng(3).exponential(size=(n_blocks, n_streams))
    maxima = -np.log(-np.expm1(0.1 * np.log1p(-np.exp(-values))))  # of ten, by their distribution function
    history = teach_blocks(empty(n_streams, kept=64), maxima, 512)
    tails = history.tails(np.arange(n_streams), slice(0, 1), share)
    rarity = -np.log10(-np.expm1(10 * np.log1p(-np.exp(-tails.threshold[:, 0]))))
    assert np.median(tails.decades(tails.n_tail) - rarity) == pytest.approx(0, abs=0.05)
    assert np.median(tails.mean_excess()[:, 0]) == pytest.approx(1, abs=0.15)


def test_a_tail_begins_where_so_many_are_beyond() -> None:
    history = teach_blocks(empty(kept=64), np.arange(100.0))
    tails = history.tails(ONE, slice(0, 1), 0.2)
    assert (tails.n[0], tails.n_tail[0], tails.n_body[0]) == (100, 20, 50)
    assert (tails.threshold[0, 0], tails.low[0, 0]) == (80, 50)
    assert tails.mean_excess()[0, 0] == pytest.approx(np.arange(20).mean())
    assert tails.mean_log_excess()[0, 0] == pytest.approx(np.log(np.arange(80, 100) / 80).mean())
    assert tails.decades(tails.n_tail)[0] == pytest.approx(-math.log10(21 / 102))


@pytest.mark.parametrize("n_blocks", [2, 3, 9, 11])
def test_a_short_memory_has_a_tail_of_what_it_has(n_blocks: int) -> None:
    tails = teach_blocks(empty(), np.arange(1.0, n_blocks + 1)).tails(ONE, slice(0, 1), 0.2)
    assert 1 <= tails.n_tail[0] < n_blocks
    assert np.isfinite([tails.threshold[0, 0], tails.low[0, 0], tails.mean_excess()[0, 0]]).all()
    assert tails.low[0, 0] <= tails.threshold[0, 0]


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0, 1e15])
def test_of_what_is_always_the_same_the_tail_is_short_but_there(value: float) -> None:
    tails = teach_blocks(empty(), np.full(30, value)).tails(ONE, slice(0, 1), 0.2)
    assert tails.threshold[0, 0] == tails.low[0, 0] >= np.float32(value), "it is not beyond what it always was"
    assert tails.threshold[0, 0] == pytest.approx(value, rel=0.008)
    assert 0 < tails.mean_excess()[0, 0] <= max(0.01 * abs(value), 1e-9)
    assert tails.mean_log_excess()[0, 0] > 0


def test_one_glitch_widens_the_tail_by_a_bounded_factor_only() -> None:
    maxima = np.abs(noise(100)) + 1
    calm = teach_blocks(empty(kept=64), maxima).tails(ONE, slice(0, 1), 0.2)
    maxima[50] = 1e9
    wild = teach_blocks(empty(kept=64), maxima).tails(ONE, slice(0, 1), 0.2)
    assert wild.mean_excess()[0, 0] < 3 * calm.mean_excess()[0, 0]
    assert wild.mean_log_excess()[0, 0] < 3 * calm.mean_log_excess()[0, 0]


def test_many_large_ones_are_no_glitch_and_widen_the_tail() -> None:
    maxima = np.abs(noise(100)) + 1
    maxima[::10] = 1e3
    tails = teach_blocks(empty(kept=64), maxima).tails(ONE, slice(0, 1), 0.2)
    assert tails.mean_excess()[0, 0] > 100


@FEW
@given(st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_a_memory_put_back_goes_on_as_if_nothing_had_happened(cut: int, seed: int) -> None:
    values = noise(401, seed)
    through = teach(empty(), values, remembered=24)
    before, after = teach(empty(), values[:cut], remembered=24), empty()
    after.put(ONE, before.take(ONE))
    teach(after, values[cut:], remembered=24)
    for name, array in after.arrays().items():
        assert (array == through.arrays()[name]).all(), name


def test_streams_and_statistics_do_not_meet() -> None:
    n_streams, n_tails = 3, 2
    together = empty(n_streams, tails=n_tails)
    values = np.random.default_rng(2).normal(size=(250, n_streams, n_tails)).astype(np.float32)
    counted = np.random.default_rng(3).random((250, n_streams)) < np.array([1.0, 0.7, 0.4])
    for row, counts in zip(values, counted, strict=True):
        together.take_in(slice(0, n_streams), np.arange(n_streams), row, counts, 16)
    for stream in range(n_streams):
        for tail in range(n_tails):
            alone = teach(
                empty(), values[:, stream, tail].astype(np.float64), counted=counted[:, stream], remembered=16
            )
            assert (together.largest[stream, tail] == alone.largest[0, 0]).all()
            assert together.n_blocks[stream] == alone.n_blocks[0]


def test_streams_whose_block_is_complete_are_named() -> None:
    history = empty(3)
    history.n_in_block[:] = [BLOCK - 1, 0, BLOCK - 1]
    counted = np.array([True, True, False])
    done = history.take_in(slice(0, 3), np.arange(3), np.ones((3, 1), np.float32), counted, FOREVER)
    assert done.tolist() == [0]
    assert history.n_in_block.tolist() == [0, 1, BLOCK - 1]
