"""The session: one step per reading whatever comes, outcomes counted by name, and a view of the fleet."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import Flag, Health, Outcome, Readings
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.session import Session

INF, NAN = float("inf"), float("nan")
Row = tuple[str, float, float, int]


def light(text: str = "") -> Settings:
    base = "streams: {window_len: 128, max_streams: 3}\nforecast: {hidden: 4}\ntraining: {takeover: 0, window: 32}\n"
    return parse_settings(base + text, "test")


def readings_of(rows: list[Row]) -> Readings:
    """Return (stream, time, value, flags) as readings."""
    names = list(dict.fromkeys(row[0] for row in rows))
    return Readings(
        names,
        np.array([names.index(row[0]) for row in rows], np.int32),
        np.array([row[1] for row in rows], np.float64),
        np.array([row[2] for row in rows], np.float64),
        np.array([row[3] for row in rows], np.uint8),
    )


def test_outcomes_are_counted_by_name() -> None:
    session = Session(light())
    rows = [("a", 10.0, 1.0, 0), ("a", 20.0, 1.0, 0), ("b", 20.0, 1.0, 0)]
    session.process(readings_of(rows), now=100.0)
    more = [("a", 20.0, 1.0, 0), ("a", 15.0, 1.0, 0), ("a", 30.0, NAN, 0), ("b", 30.0, 1e300, 0), ("b", 161.0, 1.0, 0)]
    more += [("b", 30.0, 1.0, int(Flag.RETAINED)), ("no name", 30.0, 1.0, 0), ("c", 30.0, 1.0, 0), ("d", 30.0, 1.0, 0)]
    steps = session.process(readings_of(more), now=100.0)
    assert [Outcome(o).name for o in steps.outcome] == [
        "DUPLICATE", "LATE", "NOT_FINITE", "OUT_OF_RANGE", "FUTURE", "RETAINED", "STREAM_LIMIT", "ACCEPTED",
        "STREAM_LIMIT",
    ]  # fmt: skip
    assert session.counts == {
        "accepted": 4, "late": 1, "duplicate": 1, "future": 1, "not_finite": 1, "out_of_range": 1, "retained": 1,
        "stream_limit": 2,
    }  # fmt: skip


def test_no_readings_give_no_steps_and_change_nothing() -> None:
    session = Session(light())
    assert len(session.process(readings_of([]), now=0.0).outcome) == 0
    assert session.view().names == ()
    assert set(session.counts.values()) == {0}
    assert session.fine_tune() == 0


ANY = st.floats(allow_nan=True, allow_infinity=True)
HOSTILE = st.tuples(
    st.sampled_from(["a", "b", "c", "d"]) | st.text(max_size=140), ANY | st.floats(0, 1e4), ANY, st.integers(0, 255)
)


@given(st.lists(st.lists(HOSTILE, max_size=30), max_size=4))
def test_whatever_comes_there_is_one_step_per_reading_and_no_more_streams_than_allowed(
    batches: list[list[Row]],
) -> None:
    session = Session(light())
    for rows in batches:
        steps = session.process(readings_of(rows), now=5e3)
        assert len(steps.outcome) == len(steps.score) == len(rows)
    assert sum(session.counts.values()) == sum(map(len, batches))
    view = session.view()
    assert len(view.names) <= 3
    assert np.isfinite(view.value[view.n_readings > 0]).all()
    assert (view.time[view.n_readings > 0] <= 5e3 + 60).all()


def test_the_view_shows_the_last_step_of_every_stream() -> None:
    session = Session(light("detection: {n_warmup: 100}"))
    rng = np.random.default_rng(1)
    rows: list[Row] = []
    for i in range(400):
        rows += [("wave", 60.0 * i, float(np.sin(i / 5) + 0.1 * rng.normal()), 0), ("flat", 60.0 * i + 1, 7.0, 0)]
    steps = session.process(readings_of(rows), now=INF)
    session.process(readings_of([("new", 0.0, 3.0, 0), ("flat", 5.0, 7.0, 0)]), now=INF)
    view = session.view()
    assert view.names == ("wave", "flat", "new")
    assert view.n_readings.tolist() == [400, 400, 1]
    assert view.time.tolist() == [60.0 * 399, 60.0 * 399 + 1, 0.0]
    assert view.value.tolist() == [rows[-2][2], 7.0, 3.0]
    for name in ("forecast", "lower", "upper", "score"):
        assert getattr(view, name)[:2].tolist() == getattr(steps, name)[-2:].tolist()
        assert np.isnan(getattr(view, name)[2])
    assert (view.lower[:2] <= view.forecast[:2]).all()
    assert (view.forecast[:2] <= view.upper[:2]).all()
    assert view.level[:2].tolist() == steps.level[-2:].tolist()
    assert (view.level > 0).all()
    assert view.is_open.tolist() == [False] * 3
    assert view.health.tolist() == [0, Health.LATE, 0]
    assert view.skill_ratio.shape == (3, len(view.forecasters))
    assert view.skill_ratio[0, view.forecasters.index("persistence")] == 1
    assert 0 < view.skill_ratio[0, view.forecasters.index("lstm")] < 1.5
    assert view.forecasters[view.shown[0]] != "persistence"  # a sine with little noise
    assert (view.shown < len(view.forecasters)).all()
    assert np.isnan(view.skill_ratio[1:]).all()  # nobody errs on a flat line; of a first reading nothing is known


def test_a_view_is_a_copy_and_an_open_episode_shows() -> None:
    session = Session(light("detection: {n_warmup: 100}"))
    noise = np.random.default_rng(1).normal(size=400)
    session.process(readings_of([("a", 60.0 * i, float(v), 0) for i, v in enumerate(noise)]), now=INF)
    before = session.view()
    session.process(readings_of([("a", 60.0 * 400, 40.0, 0)]), now=INF)
    assert before.value.tolist() == [noise[-1]]
    assert before.is_open.tolist() == [False]
    assert session.view().is_open.tolist() == [True]
    assert session.view().score[0] >= session.view().level[0]


@pytest.mark.parametrize("limit", [None, 1])
def test_fine_tunes_are_counted_and_limited(limit: int | None) -> None:
    session = Session(light())
    rows = [(name, 60.0 * i, float(np.sin(i)), 0) for i in range(60) for name in ("a", "b")]
    session.process(readings_of(rows), now=INF)
    n_first = session.fine_tune(limit)
    assert n_first == (2 if limit is None else 1)
    assert session.fine_tune(limit) == 2 - n_first
    assert session.fine_tune(limit) == 0
    assert {name: n for name, n in session.fine_tunes.items() if n} == {"accepted": 2}
