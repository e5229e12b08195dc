"""The flow's compiled helper beside numpy's: the same to the last bit, but for exponentials and the like."""

import copy
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.columns import SlotArrays
from pipeline.core.records import F64, I64, Readings, Slots
from pipeline.core.settings import Settings
from pipeline.detect.views import Recent
from pipeline.flow import compiled
from pipeline.flow.arrival import Arrival
from pipeline.flow.engine import _learn_usual
from pipeline.flow.forecasting import advance
from pipeline.flow.scoring import _look
from pipeline.flow.state import Model, State
from pipeline.forecast.features import N_OUTLOOK
from pipeline.runtime.session import Session

HEADER = Path(compiled.__file__).with_name("tick.h")
SETTINGS = {
    "streams": {"window_len": 128},
    "forecast": {"horizon_long": 40, "ensemble": 2, "context": [{"stream": "s1", "inputs": ["s0"]}]},
}
N_STREAMS, N_READINGS = 12, 300
WHO = [np.arange(N_STREAMS), np.array([3]), np.array([0, 2, 7, 11]), np.arange(4, 9)]
needs_helper = pytest.mark.skipif(
    not compiled.serves(Session(Settings()).model), reason="the compiled helper was not built: no C compiler"
)


def signals() -> F64:
    """Return readings of all kinds, a quarter of an hour apart, NaN where there is none, shape (T, S)."""
    rng, t = np.random.default_rng(5), np.arange(N_READINGS)
    found = rng.normal(size=(N_READINGS, N_STREAMS))
    found[:, 1] += 5 * np.sin(2 * np.pi * t / 96)
    found[:, 2] = 3.5  # at rest
    found[:, 3] = np.cumsum(rng.poisson(2, N_READINGS)) * 1e6  # a counter
    found[:, 4] = np.where(rng.random(N_READINGS) < 0.03, 1e9, found[:, 4] * 1e-6)
    found[:, 5] = np.round(found[:, 5]) - 4
    found[:270, 6] = np.nan  # young
    found[-1:, 7] = np.nan  # one reading fewer
    found[200:260, 8] = np.nan  # a gap
    found[:-3, 9] = np.nan  # younger
    found[:, 10] = 10 * (t % 96 > 40) + 0.01 * found[:, 10]
    return found


@pytest.fixture(name="driven", scope="module")
def _driven() -> tuple[Model, State]:
    session = Session(Settings.model_validate(SETTINGS))
    names, values = [f"s{i}" for i in range(N_STREAMS)], signals()
    for part in np.array_split(np.arange(N_READINGS), 20):
        row, stream = np.nonzero(~np.isnan(values[part]))
        time: F64 = 1.7e9 + 900.0 * part[row].astype(np.float64)
        flags = np.zeros(len(row), np.uint8)
        session.process(Readings(names, stream.astype(np.int32), time, values[part][row, stream], flags), now=np.inf)
    assert (session.state.season.n_bins[:4] > 0).any()
    return session.model, session.state


def run_of(slots: I64) -> Slots:
    return slice(int(slots[0]), int(slots[-1]) + 1) if np.ptp(slots) + 1 == len(slots) else slots


def arrival(state: State, slots: I64) -> Arrival:
    """Return the next readings of some streams."""
    n, rng = len(slots), np.random.default_rng(1)
    value, ix = rng.normal(size=n) * 3, run_of(slots)
    time = state.windows.newest[slots] + rng.choice([900.0, 450.0, 1e7], n)
    interval = time - state.windows.newest[slots]
    never, always, before = np.zeros(n, np.bool_), np.ones(n, np.bool_), state.windows.n[slots].copy()
    return Arrival(np.arange(n), ix, slots, time, value, np.zeros(n), value, before, interval, never, always)


def assert_alike(one: State, other: State, *, rtol: float) -> None:
    for stage, part in one.parts().items():
        for name, array in part.arrays().items():
            theirs = other.parts()[stage].arrays()[name]
            assert np.allclose(array, theirs, rtol=rtol, atol=0, equal_nan=True), f"{stage}.{name}"


@needs_helper
@pytest.mark.parametrize("slots", WHO, ids=["all", "one", "some", "run"])
def test_what_is_looked_at_is_the_same(driven: tuple[Model, State], slots: I64) -> None:
    model, state = driven[0], copy.deepcopy(driven[1])
    theirs, readings = copy.deepcopy(state), arrival(state, slots)
    ours = compiled.look(model, state, readings.ix, readings.time, readings.value)
    found, recent, previous, is_still = _look(model, theirs, readings)
    assert_alike(state, theirs, rtol=0)
    for name in ("of_past", "sizes", "next_reading"):
        assert np.array_equal(getattr(ours[0], name), getattr(found, name), equal_nan=True), name
    for name in ("of_forecasts", "sides"):
        np.testing.assert_allclose(getattr(ours[0], name), getattr(found, name), rtol=1e-11, err_msg=name)
    for name in ("value", "mean", "deviation"):
        assert np.array_equal(getattr(ours[1], name), getattr(recent, name)), name
    assert np.array_equal(ours[2], previous)
    assert np.array_equal(ours[3], is_still)


@needs_helper
@pytest.mark.parametrize("slots", WHO, ids=["all", "one", "some", "run"])
def test_networks_are_advanced_alike(driven: tuple[Model, State], slots: I64, monkeypatch: pytest.MonkeyPatch) -> None:
    model, state = driven[0], copy.deepcopy(driven[1])
    readings = arrival(state, slots)
    compiled.look(model, state, readings.ix, readings.time, readings.value)
    theirs, context = copy.deepcopy(state), np.ones((len(slots), 1), np.float32)
    known = (readings.ix, slots, readings.value - 1, np.where(slots % 5 == 4, np.nan, readings.interval), context)
    advance(model, state, *known)
    monkeypatch.setattr(compiled, "serves", lambda _: False)
    advance(model, theirs, *known)
    assert_alike(state, theirs, rtol=1e-6)
    for name in ("outlook", "context", "value"):
        assert np.array_equal(getattr(state.windows, name), getattr(theirs.windows, name), equal_nan=True), name
    assert np.allclose(state.pending.location, theirs.pending.location, rtol=1e-9, atol=1e-12, equal_nan=True)
    seasons = [
        state.season.ahead(slots, slots, state.windows.newest[slots] + 900.0),
        compiled.ahead(state, slots, len(slots)),
    ]
    assert np.isfinite(seasons[0][0]).any() or len(slots) == 1, "there was a season to look back to"


@needs_helper
@pytest.mark.parametrize("slots", WHO, ids=["all", "one", "some", "run"])
def test_what_is_usual_is_learnt_alike(driven: tuple[Model, State], slots: I64) -> None:
    state, rng = copy.deepcopy(driven[1]), np.random.default_rng(len(slots))
    theirs = copy.deepcopy(state)
    for t in range(300):
        readings = arrival(state, slots)
        jump = rng.choice([0.3, 1.0, 1.0, 1.0, 3.0, 60.0, 500.0], len(slots)) * 900.0
        readings = replace(readings, value=rng.standard_t(2, len(slots)), time=state.season.newest_s[slots] + jump)
        deviation = np.where(rng.random(len(slots)) < 0.2, 0.0, rng.random(len(slots)))
        recent, is_taught = Recent(readings.value, readings.value / 2, deviation), rng.random(len(slots)) < 0.9
        before = readings.n if t % 10 else np.ones_like(readings.n)
        ours = compiled.learn(state, readings.ix, readings.time, readings.value, before, recent, is_taught)
        assert np.array_equal(ours, _learn_usual(theirs, replace(readings, n=before), recent, is_taught))
    assert_alike(state, theirs, rtol=0)
    assert np.array_equal(np.isnan(state.season.ring), np.isnan(theirs.season.ring))


@needs_helper
def test_streams_that_are_not_there_and_columns_too_short_are_refused(driven: tuple[Model, State]) -> None:
    model, state = driven[0], copy.deepcopy(driven[1])
    one = np.ones(1)
    for ix in (np.array([state.capacity]), np.array([-1]), slice(state.capacity, state.capacity + 1)):
        with pytest.raises(IndexError, match="not there"):
            compiled.look(model, state, ix, one, one)
    with pytest.raises(ValueError, match="do not fit"):
        compiled.look(model, state, slice(0, 2), one, one)
    with pytest.raises(ValueError, match="do not fit"):
        compiled.inputs(state, slice(0, 1), np.ones((1, N_OUTLOOK)), np.ones((1, 2), np.float32), one, one)
    with pytest.raises(ValueError, match="do not fit"):
        compiled.foretell(model, state, slice(0, 1), np.ones((1, 3, 8), np.float32))


def test_columns_are_in_the_order_of_the_c_structures(driven: tuple[Model, State]) -> None:
    state, kinds = driven[1], {"d": "double", "f": "float", "l": "int64_t", "i": "int32_t", "?": "uint8_t"}
    layouts: Mapping[str, tuple[SlotArrays, compiled.Layout]] = {
        "Windows": (state.windows, compiled.windows_layout(128, N_OUTLOOK, 1)),
        "Pending": (state.pending, compiled.pending_layout(*state.pending.location.shape[1:])),
        "Scaling": (state.scaling, compiled.SCALING),
        "Usual": (state.usual, compiled.USUAL),
        "Season": (state.season, compiled.season_layout(state.season.ring.shape[1])),
    }
    structures = dict(re.findall(r"typedef struct \{([^}]*)\} (\w+);", HEADER.read_text()))
    assert {name: text for text, name in structures.items()}.keys() == layouts.keys()
    for text, name in structures.items():
        lines = re.findall(r"(\w+) (.*?);", text)
        columns = [(kind, each.strip(" *")) for kind, names in lines for each in names.split(",")]
        part, layout = layouts[name]
        assert columns == [(kinds[np.dtype(dtype).char], each) for each, (dtype, _) in layout.items()]
        assert len(part.table(layout)) == len(columns)
