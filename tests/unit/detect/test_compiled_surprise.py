"""The compiled histories and scores beside numpy's: the same state to the last bit, but for what a logarithm is in."""

import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.records import F64, I64, Slots
from pipeline.detect import compiled
from pipeline.detect.history import History
from pipeline.detect.surprise import N_SHARES, Statistics, Surprise
from pipeline.detect.views import N_OF_FORECASTS, Found

SOURCE = Path(compiled.__file__).with_name("surprise.c")
N_PLACES = 16  # few, so that lists are full soon
if not compiled.serves(N_PLACES):
    pytestmark = pytest.mark.skip(reason="the compiled helper was not built: no C compiler")


def found_by(rng: np.random.Generator, n: int, n_members: int, t: int) -> Found:
    """Return what views might show of streams of all kinds: tame, wild, at rest, on a grid, missing."""
    of_forecasts = rng.standard_t(2, (n, n_members, N_OF_FORECASTS))
    of_past, sizes = rng.normal(size=(n, 2)), np.abs(rng.standard_t(2, (n, n_members + 1))) + 1e-9
    kind = np.arange(n) % 6
    for array in (of_forecasts, of_past, sizes):
        array[kind == 1] = np.round(array[kind == 1])
        array[kind == 2] = 0.0
        array[kind == 3] *= 1e30 if t % 37 == 36 else 1e-30
    of_past[kind == 2], sizes[kind == 1] = -1.0, np.maximum(sizes[kind == 1], 1e-3)
    sizes[kind == 2] = 1e-12
    of_forecasts[rng.random(n) < 0.1] = np.nan
    sizes[rng.random((n, n_members + 1)) < 0.05] = np.nan
    return Found(of_forecasts, of_past, sizes)


def ticks(surprise: Surprise, ix: Slots, slots: I64, n_ticks: int) -> list[F64]:
    """Score and learn; return all scores and decades."""
    rng, n = np.random.default_rng(len(slots)), len(slots)
    told: list[F64] = []
    for t in range(n_ticks):
        found = found_by(rng, n, surprise.statistics.n_members, t)
        told += surprise.score(ix, found, np.full(n, t * 40))
        surprise.learn(ix, slots, found, rng.random(n) < 0.9)
    return told


def assert_alike(one: History, other: History, *, exact: bool = True) -> None:
    for name, array in one.arrays().items():
        assert np.allclose(array, getattr(other, name), rtol=0 if exact else 1e-6, atol=0, equal_nan=True), name


@pytest.mark.parametrize("n_members", [1, 3])
@pytest.mark.parametrize(
    "slots", [np.arange(24), np.array([5]), np.array([0, 3, 9, 20]), np.arange(4, 9)], ids=["all", "one", "some", "run"]
)
def test_surprise_is_the_same_with_and_without_it(monkeypatch: pytest.MonkeyPatch, slots: I64, n_members: int) -> None:
    ix = slice(int(slots[0]), int(slots[-1]) + 1) if np.ptp(slots) + 1 == len(slots) else slots
    dims = {"tails": Statistics(n_members).n_tails, "kept": N_PLACES, "shares": N_SHARES}
    ours, theirs = Surprise.empty(24, **dims), Surprise.empty(24, **dims)
    told = ticks(ours, ix, slots, 400)
    monkeypatch.setattr(compiled, "serves", lambda *_: False)
    for one, other in zip(told, ticks(theirs, ix, slots, 400), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
    sizes = ours.statistics.sizes
    np.testing.assert_allclose(ours.excess[:, sizes], theirs.excess[:, sizes], rtol=1e-6)
    ours.excess[:, sizes] = theirs.excess[:, sizes]  # the mean of logarithms
    assert_alike(ours, theirs)
    assert np.isfinite(told[-2]).any()
    assert (ours.n_blocks[slots] > N_PLACES).all(), "lists are full"


def test_memories_are_thinned_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    slots, rng = np.arange(5), np.random.default_rng(3)
    ours, theirs = (History.empty(5, tails=3, kept=N_PLACES) for _ in range(2))
    statistics = np.round(rng.standard_t(2, (2000, 5, 3)), 1).astype(np.float32)
    statistics[:, 2, 1] = -np.inf
    is_counted = rng.random((2000, 5)) < [1, 0.9, 0.5, 0.1, 0]

    def drive(history: History) -> list[list[int]]:
        rows = zip(statistics, is_counted, strict=True)
        return [history.take_in(slice(0, 5), slots, *row, n_remembered=24).tolist() for row in rows]

    done = drive(ours)
    monkeypatch.setattr(compiled, "serves", lambda *_: False)
    assert done == drive(theirs)
    assert_alike(ours, theirs)
    assert ours.n_blocks[0] < 24 < len([each for each in done if 0 in each]), "it was thinned"


def test_streams_that_are_not_there_and_columns_too_short_are_refused() -> None:
    surprise = Surprise.empty(3, tails=Statistics(1).n_tails, kept=N_PLACES, shares=N_SHARES)
    one = found_by(np.random.default_rng(1), 1, 1, 0)
    for ix in (np.array([3]), np.array([-1]), slice(3, 4)):
        with pytest.raises(IndexError, match="not there"):
            surprise.score(ix, one, np.array([5]))
        with pytest.raises(IndexError, match="not there"):
            surprise.learn(ix, np.array([3]), one, np.ones(1, np.bool_))
    with pytest.raises(ValueError, match="do not fit"):
        surprise.score(slice(0, 2), one, np.array([5, 5]))
    with pytest.raises(ValueError, match="do not fit"):
        surprise.score(slice(0, 1), found_by(np.random.default_rng(1), 1, 2, 0), np.array([5]))


def test_columns_are_in_the_order_of_the_c_structures() -> None:
    kinds = {np.float32: "float", np.int32: "int32_t", np.int64: "int64_t", np.uint16: "uint16_t", np.int8: "int8_t"}
    found = {}
    for path in sorted(SOURCE.parent.glob("*.[hc]")):
        for text, name in re.findall(r"typedef struct \{([^}]*)\} (\w+);", path.read_text()):
            lines = re.findall(r"(double|float|int8_t|int32_t|int64_t|uint16_t) (.*?);", text)
            found[name] = [(kind, each.strip(" *")) for kind, names in lines for each in names.split(",")]
    for name, layout in (("Surprise", compiled.surprise_layout(16, N_PLACES)), ("Budget", compiled.budget_layout(128))):
        columns = found["History"] + found[name]
        assert columns == [(kinds[dtype], each) for each, (dtype, _) in layout.items()]
    assert list(compiled.history_layout(16, N_PLACES)) == [name for _, name in found["History"]]


@pytest.mark.parametrize(("n_places", "n_members"), [(256, 1), (12, 1), (8, 1), (128, 8)])
def test_other_histories_are_not_its_business(n_places: int, n_members: int) -> None:
    assert not compiled.serves(n_places, n_members)
