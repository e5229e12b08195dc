"""The records between stages: columns of one length, stable names for incidents and findings."""

from dataclasses import fields

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import EpisodeEvent, Event, Flag, Health, Outcome, Readings, Steps, episode_id


def test_blank_steps_have_one_row_per_reading_in_which_nothing_happened() -> None:
    steps = Steps.blank(3)
    columns = {
        f.name: getattr(steps, f.name) for f in fields(steps) if f.name not in {"events", "health_events", "detail"}
    }
    assert {len(column) for column in columns.values()} == {3}
    assert not any(np.shares_memory(steps.forecast, column) for name, column in columns.items() if name != "forecast")
    assert np.isnan(steps.score).all()
    assert (steps.event == Event.NONE).all()
    assert steps.events == []
    assert steps.health_events == []
    assert steps.detail is None


def test_rows_keeps_columns_aligned() -> None:
    n = np.arange(5)
    readings = Readings(("a", "b"), (n % 2).astype(np.int32), n.astype(float), n.astype(float) * 10, n.astype(np.uint8))
    picked = readings.rows(np.array([4, 1]))
    assert len(picked) == 2
    assert picked.names == ("a", "b")
    assert list(zip(picked.stream, picked.time, picked.value, picked.flags, strict=True)) == [
        (0, 4.0, 40.0, 4),
        (1, 1.0, 10.0, 1),
    ]


@given(st.sets(st.sampled_from(list(Health))))
def test_health_text_names_every_finding_once(findings: set[Health]) -> None:
    health = Health(0)
    for finding in findings:
        health |= finding
    assert health.text().split("|") == ([str(h.name).lower() for h in Health if h in findings] or [""])


def test_codes_fit_the_columns_that_carry_them() -> None:
    assert max(Outcome) <= np.iinfo(np.int8).max
    assert max(Event) <= np.iinfo(np.int8).max
    assert max(Flag) <= np.iinfo(np.uint8).max
    assert max(Health) <= np.iinfo(np.uint16).max


@given(st.text("ab/", max_size=3), st.text("ab/", max_size=3), st.floats(0, 2e9), st.floats(0, 2e9))
def test_an_episode_id_is_stable_and_tells_incidents_apart(one: str, other: str, at: float, later: float) -> None:
    same_incident = (one, at) == (other, later)
    assert (episode_id(one, at) == episode_id(other, later)) == same_incident
    assert len(episode_id(one, at)) == 16


def test_the_residual_is_reading_minus_forecast() -> None:
    event = EpisodeEvent(
        Event.OPEN,
        "pump",
        "0123456789abcdef",
        opened_s=0.0,
        at_s=0.0,
        peak_score=5.0,
        peak_s=0.0,
        value=3.0,
        forecast=5.0,
        lower=4.0,
        upper=6.0,
        level=4.5,
        view="one step",
    )
    assert event.residual == -2.0
