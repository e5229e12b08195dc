"""What a network learns, and when it is taken over, is decided by readings: not by who teaches it, nor how fast."""

import numpy as np
import pytest

from pipeline.core.records import F64, I64, Readings
from pipeline.core.settings import Settings
from pipeline.flow.curriculum import Curriculum
from pipeline.flow.learning import part_of, prepare, teach
from pipeline.flow.schedule import due_groups, ripe_groups
from pipeline.flow.sharing import evict
from pipeline.flow.snapshot import fingerprint
from pipeline.runtime.parts import parts
from pipeline.runtime.session import Session

EVERY, TAKEOVER, WINDOW = 20, 6, 16
FIRST = EVERY  # reading at which a network falls due for the first time
NAMES = ["a", "b", "c"]
SETTINGS = Settings.model_validate(
    {
        "streams": {"window_len": 128},
        "forecast": {"hidden": 4, "ensemble": 1},
        "training": {"every": EVERY, "takeover": TAKEOVER, "window": WINDOW, "steps": 2, "batch": 4},
    }
)


def waves(n: int, names: list[str] = NAMES) -> Readings:
    """Return readings of waves with noise, a minute apart."""
    number = np.arange(n)
    noise = np.random.default_rng(1).normal(0, 0.2, (n, len(names)))
    value = np.sin(number / 4)[:, None] + noise
    stream = np.tile(np.arange(len(names), dtype=np.int32), n)
    return Readings(names, stream, np.repeat(number * 60.0, len(names)), value.ravel(), np.zeros(stream.size, np.uint8))


def drive(session: Session, readings: Readings) -> F64:
    """Process readings as a replay does; return their forecasts."""
    forecast = np.empty(len(readings))
    for rows in parts(session, readings):
        forecast[rows] = session.process(readings.rows(rows), now=np.inf).forecast
        session.fine_tune()
    return forecast


def lots(n: int, size: int) -> list[I64]:
    """Return the rows of so many readings of all streams, in lots of so many rows."""
    rows = np.arange(n * len(NAMES))
    return [rows[at : at + size] for at in range(0, len(rows), size)]


@pytest.mark.parametrize("size", [1, 7, 3 * EVERY, 1000])
def test_however_many_readings_come_together_the_forecasts_are_the_same(size: int) -> None:
    readings, n = waves(150), 150
    whole, cut = Session(SETTINGS), Session(SETTINGS)
    expected = drive(whole, readings)
    found = np.concatenate([drive(cut, readings.rows(rows)) for rows in lots(n, size)])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert whole.fine_tunes == cut.fine_tunes
    assert sum(whole.fine_tunes.values()) > 10
    assert cut.fine_tunes["late"] == 0


def test_a_teacher_that_answers_within_the_time_gives_the_networks_of_one_that_answers_at_once() -> None:
    """Lessons made at once, some readings later, or at the last: as a child with other things to do."""
    sessions = [Session(SETTINGS) for _ in range(3)]
    readings = waves(90)
    for delay, session in zip((0, 3, TAKEOVER), sessions, strict=True):
        answers = []
        for i in range(90):
            session.process(readings.rows(slice(3 * i, 3 * i + 3)), now=np.inf)
            due = session.state.due
            slots = np.flatnonzero((due.n > 0) & (session.state.windows.n == due.n + delay))
            if len(slots):
                groups = session.state.ledger.group[slots].astype(np.int64)
                lesson = prepare(session.model, session.state, groups)
                answers.append((lesson.without_readings(), teach(lesson, SETTINGS)))
            for lesson, taught in answers:
                is_now = (lesson.n == session.state.due.n[lesson.slots]) & np.isin(
                    lesson.groups, ripe_groups(session.model, session.state)
                )
                if is_now.any():
                    session.learn(*part_of(lesson, taught, is_now))
        assert session.model.bank.n_rounds.max() >= 2
        assert session.fine_tunes["late"] == 0
    assert len({fingerprint(session.model, session.state) for session in sessions}) == 1


def test_it_is_taken_over_so_many_readings_after_it_fell_due() -> None:
    session, readings = Session(SETTINGS), waves(120, ["a"])
    due_at, taken_at = [], []
    for i in range(120):
        session.process(readings.rows(slice(i, i + 1)), now=np.inf)
        if len(due_groups(session.model, session.state)) and session.state.due.n[0] == i + 1:
            due_at.append(i + 1)
        if session.fine_tune():
            taken_at.append(i + 1)
    assert due_at[0] == FIRST
    assert taken_at == [at + TAKEOVER for at in due_at[: len(taken_at)]]
    assert TAKEOVER < due_at[1] - due_at[0] <= EVERY  # each network has its own turn from then on
    assert np.diff(due_at[1:]).tolist() == [EVERY] * (len(due_at) - 2)


def test_a_teacher_that_is_late_is_counted_and_teaches_what_was_known_then() -> None:
    on_time, late, readings = Session(SETTINGS), Session(SETTINGS), waves(60, ["a"])
    for session, n in ((on_time, FIRST + TAKEOVER), (late, FIRST + TAKEOVER + 5)):
        session.process(readings.rows(slice(0, FIRST)), now=np.inf)
        session.process(readings.rows(slice(FIRST, n)), now=np.inf)
        assert session.fine_tune() == 1
    assert (on_time.fine_tunes["late"], late.fine_tunes["late"]) == (0, 1)
    assert np.array_equal(on_time.model.bank.weights[0], late.model.bank.weights[0])


@pytest.mark.parametrize("n_away", [EVERY + 5, 128 - EVERY, 3 * 128])
def test_after_a_long_time_without_a_teacher_it_learns_from_what_there_is_now(n_away: int) -> None:
    """Of what was known when it fell due, much or all is overwritten in the ring of 128 readings."""
    session, readings = Session(SETTINGS), waves(FIRST + n_away + EVERY, ["a"])
    session.process(readings.rows(slice(0, FIRST)), now=np.inf)
    session.process(readings.rows(slice(FIRST, FIRST + n_away)), now=np.inf)
    lesson = prepare(session.model, session.state, due_groups(session.model, session.state))
    assert (lesson.n_due[0], lesson.n[0]) == (FIRST, FIRST + n_away)
    assert lesson.n_held[0] == min(FIRST + n_away, 128 - TAKEOVER)
    exam = Curriculum(lesson, SETTINGS).hold_out()
    assert np.isfinite(exam.x).all()
    session.learn(lesson, teach(lesson, SETTINGS))
    assert session.model.bank.n_rounds[0] == 1
    assert session.fine_tunes["late"] == 1
    assert session.training_lag() == 0
    for i in range(FIRST + n_away, FIRST + n_away + EVERY):
        session.process(readings.rows(slice(i, i + 1)), now=np.inf)
    assert len(due_groups(session.model, session.state)) == 1


def test_a_lesson_of_a_stream_that_left_meanwhile_teaches_nobody() -> None:
    session = Session(SETTINGS)
    session.process(waves(FIRST), now=np.inf)
    lesson = prepare(session.model, session.state, due_groups(session.model, session.state))
    taught = teach(lesson, SETTINGS)
    evict(session.model, session.state, ["b"])
    session.process(waves(1, ["new"]), now=np.inf)  # takes slot and network of the one who left
    before = session.model.bank.weights[1].copy()
    session.learn(lesson, taught)
    assert session.model.bank.n_rounds[:3].tolist() == [1, 0, 1]
    assert np.array_equal(session.model.bank.weights[1], before)


@pytest.mark.parametrize("sharing", ["stream", "fleet"])
def test_no_network_is_late_in_one_long_batch(sharing: str) -> None:
    session = Session(
        SETTINGS.model_copy(update={"forecast": SETTINGS.forecast.model_copy(update={"sharing": sharing})})
    )
    drive(session, waves(200))
    assert session.fine_tunes["late"] == 0
    assert session.model.bank.n_rounds.max() >= 200 // EVERY - 2


def test_streams_that_share_a_network_are_cut_together_and_a_moment_stays_whole() -> None:
    shared = SETTINGS.model_copy(update={"forecast": SETTINGS.forecast.model_copy(update={"sharing": "fleet"})})
    session, readings = Session(shared), waves(60)
    seen = []
    for rows in parts(session, readings):
        assert np.diff(rows).tolist() == [1] * (len(rows) - 1)
        assert len(rows) % len(NAMES) == 0
        seen += rows.tolist()
        session.process(readings.rows(rows), now=np.inf)
        session.fine_tune()
    assert seen == list(range(180))


@pytest.mark.parametrize("sharing", ["stream", "fleet"])
def test_no_readings_are_one_part_without_rows(sharing: str) -> None:
    shared = SETTINGS.model_copy(update={"forecast": SETTINGS.forecast.model_copy(update={"sharing": sharing})})
    assert [rows.tolist() for rows in parts(Session(shared), waves(0))] == [[]]
