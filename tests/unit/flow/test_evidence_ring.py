"""The evidence of an alert: the readings as they came, with the forecasts that were made before they came."""

import numpy as np
import pytest

from pipeline.core.evidence import Evidence
from pipeline.core.records import F64, Event, Readings, Steps
from pipeline.core.settings import Settings
from pipeline.flow.evidence import DIMENSIONS, N_EVIDENCE, Trail
from pipeline.flow.sharing import evict
from pipeline.flow.snapshot import pack, unpack
from pipeline.runtime.session import Session

N, SPIKE = 700, 650
SETTINGS = Settings.model_validate(
    {"training": {"enabled": False}, "detection": {"n_warmup": 200, "n_settled": 200}, "streams": {"window_len": 128}}
)


def readings(names: list[str], values: F64) -> Readings:
    """Return readings of all streams, one a minute; ``values`` has shape (N, S)."""
    n, n_streams = values.shape
    stream = np.tile(np.arange(n_streams, dtype=np.int32), n)
    time = np.repeat(1.7e9 + 60.0 * np.arange(n), n_streams)
    return Readings(names, stream, time, values.ravel(), np.zeros(n * n_streams, np.uint8))


def spiked(seed: int = 1, offset: float = 0.0) -> F64:
    value = np.random.default_rng(seed).normal(0, 1, N)
    value[SPIKE] += 60
    return offset + value


def played(session: Session, given: Readings, size: int = 37) -> Steps:
    """Return the steps of readings that came in batches; of events, all."""
    parts = [session.process(given.rows(slice(i, i + size)), np.inf) for i in range(0, len(given), size)]
    steps = Steps.blank(len(given))
    for column in ("forecast", "lower", "upper"):
        getattr(steps, column)[:] = np.concatenate([getattr(part, column) for part in parts])
    steps.events = [event for part in parts for event in part.events]
    return steps


def opening(steps: Steps) -> Evidence:
    found = next(event for event in steps.events if event.event is Event.OPEN and event.opened_s >= 1.7e9 + 60 * SPIKE)
    assert found.evidence is not None
    return found.evidence


def test_the_evidence_is_what_was_read_and_foretold_up_to_the_alert() -> None:
    given = readings(["a"], spiked()[:, None])
    steps = played(Session(SETTINGS), given)
    found = opening(steps)
    until = np.searchsorted(given.time, found.time[-1], side="right")
    rows = slice(until - N_EVIDENCE, until)
    assert np.array_equal(found.time, given.time[rows])
    assert np.array_equal(found.value, given.value[rows])
    for column in ("forecast", "lower", "upper"):
        assert getattr(found, column) == pytest.approx(getattr(steps, column)[rows], rel=1e-5, abs=1e-5)


def test_a_counters_readings_are_kept_in_full() -> None:
    total = 1e9 + 0.5 + np.cumsum(np.random.default_rng(2).integers(5, 10, N)).astype(float)
    session = Session(SETTINGS)
    played(session, readings(["meter"], total[:, None]))
    assert session.state.counters.is_counter[0]
    found = session.state.trail.of(session.state.windows, 0)
    assert np.array_equal(found.value, total[-N_EVIDENCE:])
    assert np.abs(found.forecast - found.value).max() < 10


def test_other_streams_do_not_change_the_evidence() -> None:
    both = readings(["a", "b"], np.column_stack((spiked(1), spiked(2, 50.0))))
    alone = readings(["b"], spiked(2, 50.0)[:, None])
    together = next(event for event in played(Session(SETTINGS), both).events if event.stream == "b")
    own = played(Session(SETTINGS), alone).events[0]
    assert own.episode == together.episode
    assert own.evidence is not None
    assert together.evidence is not None
    for one, other in zip(own.evidence.columns(), together.evidence.columns(), strict=True):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-6, nan_ok=True)


def test_a_session_that_is_resumed_gives_the_same_evidence() -> None:
    given = readings(["a"], spiked()[:, None])
    session = Session(SETTINGS)
    played(session, given.rows(slice(0, SPIKE - 20)))
    resumed = Session(SETTINGS)
    resumed.state = unpack(pack(session.state), SETTINGS)
    resumed.model = session.model
    rest = given.rows(slice(SPIKE - 20, None))
    found = opening(played(resumed, rest))
    assert found == opening(played(Session(SETTINGS), given))
    assert len(found) == N_EVIDENCE


def test_a_young_stream_has_as_many_readings_as_it_had_and_an_evicted_one_none() -> None:
    session = Session(SETTINGS)
    played(session, readings(["a"], spiked()[:5, None]))
    found = session.state.trail.of(session.state.windows, 0)
    assert found.value.tolist() == spiked()[:5].tolist()
    assert np.isnan(found.forecast[0])
    evict(session.model, session.state, ["a"])
    assert len(session.state.trail.of(session.state.windows, 0)) == 0


def test_it_takes_one_kib_per_stream() -> None:
    trail = Trail.empty(10, **DIMENSIONS)
    assert sum(array.nbytes for array in trail.arrays().values()) == 10 * 1024


def test_evidence_is_the_same_when_all_its_numbers_are() -> None:
    at = np.array([0.0, 60.0])
    known, missing = np.array([1.0, 2.0]), np.array([1.0, np.nan])
    assert Evidence(at, known, missing, at, at) == Evidence(at, known, missing.copy(), at, at)
    assert Evidence(at, known, missing, at, at) != Evidence(at, known, known, at, at)
    assert hash(Evidence(at, known, missing, at, at)) == hash(Evidence(at, known, missing.copy(), at, at))
    assert Evidence(at, known, known, at, at) != "evidence"
