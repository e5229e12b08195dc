"""Whatever a sensor sends, the engine neither raises nor warns, and what it says stays finite or missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike

from pipeline.core.records import Outcome, Readings
from pipeline.core.settings import Settings, parse_settings
from pipeline.flow.snapshot import pack, unpack
from pipeline.runtime.session import Session

SMALL = """
streams: {window_len: 128}
forecast: {hidden: 4}
training: {every: 32, steps: 1, batch: 2, window: 16}
detection: {n_warmup: 100, n_kept: 64, n_quiet: 4, n_quarantine: 20}
"""
N = 330
EXTREMES = [0.0, -0.0, 5e-324, 1e-300, 1e-9, 1.0, -1.0, 1e9, 1e15, -1e15]
REFUSED = [np.nan, np.inf, -np.inf, 1e16, -1e300]


def small() -> Settings:
    return parse_settings(SMALL, "test")


def feed(session: Session, time: ArrayLike, value: ArrayLike) -> None:
    n = np.size(value)
    readings = Readings(
        ["s"], np.zeros(n, np.int32), np.asarray(time, float), np.asarray(value, float), np.zeros(n, np.uint8)
    )
    steps = session.process(readings, now=1e12)
    for column in (steps.forecast, steps.lower, steps.upper, steps.score):
        assert not np.isinf(column).any()
    session.fine_tune()


@settings(max_examples=25)
@given(st.data())
def test_any_values_at_any_times(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    pool = data.draw(st.lists(st.sampled_from(EXTREMES + REFUSED) | st.floats(), min_size=1, max_size=6))
    calm = data.draw(st.sampled_from([0.0, 0.1, 0.9, 0.99]))
    value = np.where(rng.random(N) < calm, rng.normal(20, 1, N), rng.choice(pool, N))
    step = rng.choice(
        data.draw(st.lists(st.sampled_from([0.0, 1e-6, 1.0, 60.0, 1e6, -30.0]), min_size=1, max_size=4)), N
    )
    time = 1e9 + np.cumsum(step)
    session = Session(small())
    for start in range(0, N, 32):
        feed(session, time[start : start + 32], value[start : start + 32])
    assert sum(session.counts.values()) == N
    assert pack(unpack(pack(session.state), small())) == pack(session.state)


@pytest.mark.parametrize("value", EXTREMES)
def test_a_stream_of_one_value_is_foretold_exactly(value: float) -> None:
    session = Session(small())
    feed(session, 1e9 + 60.0 * np.arange(N), np.full(N, value))
    assert session.view().forecast[0] == pytest.approx(value, rel=1e-3, abs=1e-3)
    assert not session.view().is_open[0]


@pytest.mark.parametrize("value", REFUSED)
def test_a_value_that_is_refused_leaves_the_state_as_it_was(value: float) -> None:
    session = Session(small())
    feed(session, 1e9 + 60.0 * np.arange(N), np.sin(np.arange(N)))
    before = session.state.windows.take(np.array([0]))
    feed(session, [1e9 + 60.0 * N], [value])
    assert all(
        np.array_equal(rows, before[name], equal_nan=True)
        for name, rows in session.state.windows.take(np.array([0])).items()
    )
    assert session.counts["accepted"] == N
    assert session.counts[Outcome.NOT_FINITE.name.lower()] + session.counts[Outcome.OUT_OF_RANGE.name.lower()] == 1
