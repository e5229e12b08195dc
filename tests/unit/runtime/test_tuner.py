"""Lessons as bytes, the gate's last word on bad ones, and when the parent sends what."""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.columns import AnyArray
from pipeline.core.records import Readings
from pipeline.core.settings import Settings
from pipeline.flow.learning import Taught, prepare, teach
from pipeline.flow.lesson_bytes import max_answer_bytes, pack_lesson, pack_taught, unpack_lesson, unpack_taught
from pipeline.flow.lessons import Lesson
from pipeline.flow.schedule import due_groups
from pipeline.flow.sealing import SnapshotError
from pipeline.flow.snapshot import pack, pack_model
from pipeline.forecast.gate import Outcome
from pipeline.runtime.session import Session
from pipeline.runtime.tuner import FIRST_PAUSE_S, LONGEST_PAUSE_S, Tuner
from pipeline.runtime.tuner_child import Child, Failure

#: Cannot be started.
NOWHERE = ("no-such-program-anywhere",)


def settings_with(**training: object) -> Settings:
    return Settings.model_validate(
        {
            "streams": {"window_len": 256},
            "forecast": {"hidden": 6},
            "training": {"window": 32, "steps": 4, "batch": 4} | training,
        }
    )


SETTINGS = settings_with()


def fed(settings: Settings, n_streams: int = 3, n: int = 250) -> Session:
    """Return a session that has seen waves with noise."""
    session = Session(settings)
    noise = np.random.default_rng(1).normal(size=(n, n_streams)) * 0.1
    value = np.sin(np.arange(n) / 5)[:, None] + noise
    stream, time = np.tile(np.arange(n_streams, dtype=np.int32), n), np.repeat(np.arange(n) * 60.0, n_streams)
    names = [f"s{i}" for i in range(n_streams)]
    session.process(Readings(names, stream, time, value.ravel(), np.zeros(stream.size, np.uint8)), now=np.inf)
    return session


def lesson_of(session: Session) -> Lesson:
    return prepare(session.model, session.state, due_groups(session.model, session.state))


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    """A lesson of three networks that have been fine-tuned before."""
    session = fed(SETTINGS, n=200)
    session.fine_tune()
    session.process(
        Readings(
            ["s0", "s1", "s2"],
            np.repeat(np.arange(3, dtype=np.int32), 60),
            np.tile(np.arange(200, 260) * 60.0, 3),
            np.tile(np.sin(np.arange(200, 260) / 5), 3),
            np.zeros(180, np.uint8),
        ),
        now=np.inf,
    )
    return lesson_of(session)


@pytest.fixture(scope="module")
def taught(lesson: Lesson) -> Taught:
    return teach(lesson, SETTINGS)


def same(a: Lesson | Taught, b: Lesson | Taught) -> bool:
    """Whether two have the same bits, dtypes and shapes."""
    pairs = [(getattr(a, field.name), getattr(b, field.name)) for field in fields(a)]
    return all(x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in pairs)


def test_a_lesson_packed_and_unpacked_is_the_same_lesson_and_teaches_the_same(lesson: Lesson, taught: Taught) -> None:
    back = unpack_lesson(pack_lesson(lesson))
    assert same(back, lesson)
    assert all(getattr(back, field.name).flags.writeable for field in fields(back))
    assert same(teach(back, SETTINGS), taught)


def test_an_answer_packed_and_unpacked_is_the_same_answer(lesson: Lesson, taught: Taught) -> None:
    data = pack_taught(taught, 0.1)
    back, cpu_s = unpack_taught(data, lesson)
    assert same(back, taught)
    assert cpu_s == 0.1
    assert len(data) <= max_answer_bytes(lesson)


@given(st.data())
def test_a_flipped_bit_or_a_cut_is_refused(lesson: Lesson, taught: Taught, data: st.DataObject) -> None:
    for packed in (pack_lesson(lesson), pack_taught(taught, 0.1)):
        bad = bytearray(packed)
        at = data.draw(st.integers(0, len(bad) - 1) | st.integers(0, 2000))
        bad[at] ^= 1 << data.draw(st.integers(0, 7))
        for bytes_ in (bytes(bad), packed[:at]):
            with pytest.raises(SnapshotError):
                unpack_lesson(bytes_)
            with pytest.raises(SnapshotError):
                unpack_taught(bytes_, lesson)


@given(st.binary(max_size=300))
def test_garbage_is_refused(lesson: Lesson, garbage: bytes) -> None:
    with pytest.raises(SnapshotError):
        unpack_lesson(garbage)
    with pytest.raises(SnapshotError):
        unpack_taught(garbage, lesson)


def with_value(array: AnyArray, value: float) -> AnyArray:
    changed = array.copy()
    changed.flat[-1] = value
    return changed


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda t: replace(t, weights=with_value(t.weights, np.nan)), "weights: not finite"),
        (lambda t: replace(t, previous=with_value(t.previous, np.inf)), "previous: not finite"),
        (lambda t: replace(t, v=t.v.astype(np.float32)), "v: expected uint16"),
        (lambda t: replace(t, outcome=with_value(t.outcome, 99)), "an outcome that there is not"),
        (lambda t: replace(t, weights=t.weights[:2]), "weights: expected float32"),
        (lambda t: replace(t, weights=t.weights.astype(np.float64)), "got float64"),
        (lambda t: replace(t, n_steps=t.n_steps[:, None]), "n_steps: expected int32"),
        (lambda t: replace(t, is_rolled_back=t.outcome), "is_rolled_back: expected bool"),
    ],
)
def test_an_answer_that_does_not_fit_or_is_not_finite_is_refused(
    lesson: Lesson, taught: Taught, spoil: Callable[[Taught], Taught], complaint: str
) -> None:
    with pytest.raises(SnapshotError, match=complaint):
        unpack_taught(pack_taught(spoil(taught), 0.1), lesson)


@pytest.mark.parametrize("cpu_s", [np.nan, np.inf, -1.0])
def test_a_processor_time_that_is_none_is_refused(lesson: Lesson, taught: Taught, cpu_s: float) -> None:
    with pytest.raises(SnapshotError, match="processor time"):
        unpack_taught(pack_taught(taught, cpu_s), lesson)


def test_a_lesson_is_no_answer_and_an_answer_no_lesson(lesson: Lesson, taught: Taught) -> None:
    with pytest.raises(SnapshotError):
        unpack_taught(pack_lesson(lesson), lesson)
    with pytest.raises(SnapshotError):
        unpack_lesson(pack_taught(taught, 0.1))


def unchanged(lesson: Lesson, taught: Taught) -> bool:
    """Whether every network is as it was, bit for bit."""
    names = ("weights", "previous", "m", "v", "n_steps")
    return all(getattr(taught, name).tobytes() == getattr(lesson, name).tobytes() for name in names)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lesson: replace(
            lesson, weights=np.full_like(lesson.weights, np.nan), previous=np.full_like(lesson.previous, np.nan)
        ),
        lambda lesson: replace(lesson, middle=np.full_like(lesson.middle, np.nan)),
        lambda lesson: replace(lesson, value=np.full_like(lesson.value, np.nan)),
    ],
    ids=["weights not a number", "scale not a number", "no readings"],
)
def test_a_lesson_that_would_make_weights_infinite_changes_nothing(
    lesson: Lesson, spoil: Callable[[Lesson], Lesson]
) -> None:
    bad = spoil(lesson)
    with np.errstate(all="ignore"):
        answer = teach(bad, SETTINGS)
    assert set(answer.outcome) == {Outcome.NOT_FINITE}
    assert unchanged(bad, answer)


def test_weights_in_force_that_are_no_numbers_are_taken_back(lesson: Lesson) -> None:
    broken = replace(lesson, weights=np.full_like(lesson.weights, np.nan))
    with np.errstate(all="ignore"):
        answer = teach(broken, SETTINGS)
    assert answer.is_rolled_back.all()
    assert np.isfinite(answer.weights).all()


def test_steps_so_large_that_forecasts_break_are_refused(lesson: Lesson) -> None:
    answer = teach(lesson, settings_with(learning_rate=0.99))
    assert set(answer.outcome) <= {Outcome.HOLD_OUT, Outcome.FAULTS}
    assert unchanged(lesson, answer)


def test_readings_of_any_size_leave_finite_weights(lesson: Lesson) -> None:
    wild = np.where(np.arange(lesson.value.shape[1]) % 7 == 0, 1e15, lesson.value)
    answer = teach(replace(lesson, value=wild), SETTINGS)
    assert all(np.isfinite(a).all() for a in (answer.weights, answer.previous))


def test_a_network_trained_on_a_fault_is_refused_because_it_no_longer_finds_faults(lesson: Lesson) -> None:
    held = (np.arange(lesson.value.shape[1]) // 16) % 8 == 7
    jumps = np.random.default_rng(3).normal(size=lesson.value.shape) * 30
    fault = replace(lesson, value=np.where(held, lesson.value, lesson.value + jumps))
    answer = teach(fault, settings_with(steps=50, learning_rate=0.05))
    assert Outcome.FAULTS in answer.outcome
    assert Outcome.ACCEPTED not in answer.outcome
    assert unchanged(lesson, answer)


def test_a_child_that_cannot_be_started_costs_nothing_but_its_lesson(caplog: pytest.LogCaptureFixture) -> None:
    session, twin = fed(SETTINGS), fed(SETTINGS)
    tuner = Tuner(SETTINGS, command=NOWHERE)
    with caplog.at_level(logging.WARNING):
        tuner.turn(session)
    assert tuner.lost == {"died": 3, "timeout": 0, "invalid": 0}
    assert (pack(session.state), pack_model(session.model)) == (pack(twin.state), pack_model(twin.model))
    assert set(session.fine_tunes.values()) == {0}
    assert session.training_lag() == 5
    (record,) = caplog.records
    line = vars(record)["fields"]
    assert (line["outcome"], line["n_networks"], line["pause_s"]) == ("died", 3, FIRST_PAUSE_S)
    assert NOWHERE[0] in line["stderr"]
    tuner.close()


def test_the_pause_doubles_with_each_failure_in_a_row_and_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 1000.0
    session = fed(SETTINGS)
    tuner = Tuner(SETTINGS, command=NOWHERE, monotonic_s=lambda: now_s)
    with caplog.at_level(logging.WARNING):
        for _ in range(2000):
            tuner.turn(session)
            now_s += 1.0
    pauses = [vars(record)["fields"]["pause_s"] for record in caplog.records]
    assert pauses[:10] == [1, 2, 4, 8, 16, 32, 64, 128, 256, LONGEST_PAUSE_S]
    assert set(pauses[9:]) == {LONGEST_PAUSE_S}


def test_after_a_failure_other_networks_get_their_turn() -> None:
    now_s = 0.0
    session = fed(SETTINGS, n_streams=40)
    tuner = Tuner(SETTINGS, command=NOWHERE, monotonic_s=lambda: now_s)
    lost = []
    for _ in range(4):
        tuner.turn(session)
        lost.append(tuner.lost["died"])
        now_s += LONGEST_PAUSE_S
    assert np.diff([0, *lost]).tolist() == [32, 8, 32, 8]


def test_a_lesson_holds_networks_of_like_numbers_of_streams_only() -> None:
    shared = SETTINGS.model_copy(update={"forecast": SETTINGS.forecast.model_copy(update={"sharing": "group"})})
    session = Session(shared)
    names = [f"d{i}/big" for i in range(10)] + [f"d{i}/k{i}" for i in range(6)]
    stream, time_s = np.tile(np.arange(16, dtype=np.int32), 100), np.repeat(np.arange(100) * 60.0, 16)
    value = np.random.default_rng(1).normal(size=1600)
    session.process(Readings(names, stream, time_s, value, np.zeros(1600, np.uint8)), now=np.inf)
    tuner = Tuner(shared, command=NOWHERE)
    tuner.turn(session)
    assert tuner.lost["died"] == 6  # of seven networks, those of one stream each; the one of ten is a lesson of its own
    tuner.close()


def test_without_anything_due_no_child_is_started() -> None:
    session = fed(SETTINGS, n=20)
    tuner = Tuner(SETTINGS, command=NOWHERE)
    tuner.turn(session)
    assert (tuner.is_busy, tuner.pid) == (False, None)
    assert set(tuner.lost.values()) == {0}
    tuner.close()


def test_an_error_in_the_parent_is_logged_and_no_exception_reaches_the_worker(
    caplog: pytest.LogCaptureFixture,
) -> None:
    session = fed(SETTINGS)
    del session.model  # whatever a bug may leave behind
    tuner = Tuner(SETTINGS, command=NOWHERE)
    tuner.turn(session)
    assert "AttributeError" in vars(caplog.records[-1])["fields"]["stderr"]
    tuner.close()


def test_a_child_gets_no_more_of_the_environment_than_it_needs(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETELL_PASSWORD", "secret")
    child = Child((sys.executable, "-c", "import os, sys; print(sorted(os.environ), file=sys.stderr)"), SETTINGS)
    child.send(lesson)
    while (failure := child.answer()) is None:
        time.sleep(0.01)
    assert failure is Failure.DIED
    assert "PYTHONPATH" in child.last_words
    assert "FORETELL_PASSWORD" not in child.last_words
    child.close()


def test_only_the_last_words_of_a_child_are_kept_and_not_much_of_them(lesson: Lesson) -> None:
    chatter = "import sys; [print('x' * 2000, file=sys.stderr) for _ in range(100)]; sys.exit('bye')"
    child = Child((sys.executable, "-c", chatter), SETTINGS)
    child.send(lesson)
    while child.answer() is None:
        time.sleep(0.01)
    assert child.last_words.endswith("\nbye\nexit code 1")
    assert len(child.last_words) < 2000
    child.close()
