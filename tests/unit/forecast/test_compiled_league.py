"""The compiled league beside numpy's: the same state to the last bit, but for what a logarithm or exponential is in."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.records import F64, I64, Slots
from pipeline.forecast.compiled import league as helper
from pipeline.forecast.league import League, empty_league

SOURCE = Path(helper.__file__).with_suffix(".c")


def ticks(league: League, ix: Slots, slots: I64, n_ticks: int, seed: int) -> list[F64]:
    """Drive streams of all kinds through a league; return everything it said."""
    rng, n, told = np.random.default_rng(seed), len(slots), []
    sizes, season = 10.0 ** rng.integers(-6, 7, n), np.full(n, np.nan)
    for t in range(n_ticks):
        value = np.where(np.arange(n) % 3 == 0, np.round(rng.normal(size=n)), rng.standard_t(2, n)) * sizes
        value[np.arange(n) % 5 == 4] = 7.0  # at rest
        spread = np.where(np.arange(n) % 7 == 6, 1e-12, sizes)
        told += [part.astype(np.float64).ravel() for part in league.shown(ix)]
        league.learn(ix, slots, value, spread)
        before, season = season, np.where(rng.random(n) < 0.3, np.nan, value + rng.normal(size=n))
        told.append(league.foretell(ix, slots, value, before, season).ravel())
        location = np.where(rng.random(n) < 0.2, np.nan, value + sizes * rng.normal(size=n))
        league.join(ix, value, location, np.where(np.isnan(location), np.nan, sizes * rng.random(n)))
        if t % 50 == 49:
            league.forget(slots[rng.random(n) < 0.3])
    return told


@pytest.mark.skipif(not helper.serves(), reason="the compiled helper was not built: no C compiler")
@pytest.mark.parametrize(
    "slots", [np.arange(37), np.array([5]), np.array([0, 3, 9, 30]), np.arange(4, 9)], ids=["all", "one", "some", "run"]
)
def test_a_league_is_the_same_with_and_without_it(monkeypatch: pytest.MonkeyPatch, slots: I64) -> None:
    ix = slice(int(slots[0]), int(slots[-1]) + 1) if np.ptp(slots) + 1 == len(slots) else slots
    ours, theirs = empty_league(40), empty_league(40)
    told = ticks(ours, ix, slots, 400, len(slots))
    monkeypatch.setattr(helper, "serves", lambda: False)
    for one, other in zip(told, ticks(theirs, ix, slots, 400, len(slots)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)
    for name, array in theirs.arrays().items():
        assert np.array_equal(array, getattr(ours, name), equal_nan=array.dtype.kind == "f"), name
    assert (ours.n_mood_errors[slots, 1] > 0).any() or len(slots) == 1, "no shock came"


@pytest.mark.skipif(not helper.serves(), reason="the compiled helper was not built: no C compiler")
@pytest.mark.parametrize("value", [np.inf, np.nan, 1e308, 0.0])
def test_values_that_cannot_be_are_met_alike(monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    ours = empty_league(3)
    ix, slots, one = slice(0, 3), np.arange(3), np.ones(3)
    ticks(ours, ix, slots, 60, 1)
    theirs = copy.deepcopy(ours)

    def extreme(league: League) -> None:
        with np.errstate(all="ignore"):
            for _ in range(3):
                league.learn(ix, slots, value * one, one)
                league.foretell(ix, slots, value * one, one, value * one)
                league.join(ix, value * one, value * one, one)

    extreme(ours)
    monkeypatch.setattr(helper, "serves", lambda: False)
    extreme(theirs)
    for name, array in theirs.arrays().items():
        assert np.array_equal(array, getattr(ours, name), equal_nan=array.dtype.kind == "f"), name


def test_a_copy_has_arrays_of_its_own() -> None:
    league = empty_league(2)
    place = league.table(helper.LAYOUT)[0]
    for other in (copy.deepcopy(league), copy.copy(league)):
        assert other.table(helper.LAYOUT)[0] == other.location.ctypes.data
    assert copy.deepcopy(league).table(helper.LAYOUT)[0] != place
    league.grow(4)
    assert league.table(helper.LAYOUT)[0] == league.location.ctypes.data != place


@pytest.mark.skipif(not helper.serves(), reason="the compiled helper was not built: no C compiler")
def test_streams_that_are_not_there_and_columns_too_short_are_refused() -> None:
    league, one = empty_league(3), np.ones(1)
    for ix in (np.array([3]), np.array([-1]), slice(3, 4)):
        with pytest.raises(IndexError, match="not there"):
            helper.learn(league, ix, one, one)
    with pytest.raises(ValueError, match="do not fit"):
        helper.learn(league, slice(0, 1), one, np.ones(2))
    with pytest.raises(ValueError, match="do not fit"):
        helper.learn(league, slice(0, 2), one, one)
    league.error = league.error.astype(np.float32)
    with pytest.raises(ValueError, match=r"League\.error"):
        helper.learn(league, slice(0, 1), one, one)


def test_columns_are_in_the_order_of_the_c_structure() -> None:
    text = re.search(r"typedef struct \{(.*?)\} League;", SOURCE.read_text(), re.DOTALL)
    assert text
    lines = re.findall(r"(double|float|int32_t|int8_t|uint8_t) (.*?);", text[1])
    columns = [(kind, name.strip(" *")) for kind, names in lines for name in names.split(",")]
    kinds = {np.float64: "double", np.float32: "float", np.int32: "int32_t", np.int8: "int8_t", np.bool_: "uint8_t"}
    assert columns == [(kinds[dtype], name) for name, (dtype, _) in helper.LAYOUT.items()]
    league = empty_league(2)
    assert set(league.arrays()) == set(helper.LAYOUT)
    league.table(helper.LAYOUT)
