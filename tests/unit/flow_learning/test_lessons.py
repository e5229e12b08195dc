"""Lessons: copies that nothing later touches, examined on what was not taught, applied only to whom they belong."""

from dataclasses import fields

import numpy as np
import pytest

from pipeline.core.records import F64, I64, Bool, Readings
from pipeline.core.settings import Settings
from pipeline.flow.curriculum import Curriculum, is_held_out
from pipeline.flow.learning import apply, fine_tune_groups, prepare, teach
from pipeline.flow.lessons import Lesson
from pipeline.flow.schedule import make_due
from pipeline.flow.sharing import admit, evict, merge_kinds
from pipeline.flow.snapshot import pack, pack_model
from pipeline.forecast.features import unsquash
from pipeline.forecast.targets import NEXT
from pipeline.forecast.training import N_SETTLING, Windows
from pipeline.runtime.session import Session

WINDOW, KEPT, N = 32, 256, 390
NAMES = ["plant/1/flow", "plant/2/flow", "hall/heat"]


def session_of(n: int = N, sharing: str = "stream") -> Session:
    """Return a session of three streams whose readings are named by their values, never fine-tuned."""
    settings = Settings.model_validate(
        {
            "streams": {"window_len": KEPT},
            "forecast": {"hidden": 4, "sharing": sharing},
            "training": {"takeover": 0, "every": 40, "window": WINDOW, "steps": 4, "batch": 16},
        }
    )
    session = Session(settings)
    feed(session, NAMES, 0, n)
    return session


def feed(session: Session, names: list[str], first: int, n: int) -> None:
    """Give each stream readings ``first .. first + n - 1``: reading k is -k; rising ones would be a counter's."""
    number = np.arange(first, first + n, dtype=np.float64)
    value = np.repeat(-number, len(names))
    stream = np.tile(np.arange(len(names), dtype=np.int32), n)
    session.process(
        Readings(names, stream, np.repeat(number * 60, len(names)), value, np.zeros(n * len(names), np.uint8)), np.inf
    )


def lesson_of(session: Session) -> Lesson:
    make_due(session.model, session.state)
    return prepare(session.model, session.state, np.unique(session.state.ledger.group[:3]).astype(np.int64))


def next_numbers(lesson: Lesson, windows: Windows) -> I64:
    """Return which reading is foretold next at each place of the windows of the first network."""
    values: F64 = unsquash(windows.x[0, ..., 0].astype(np.float64), lesson.middle[0], lesson.spread[0])
    return -values.round().astype(np.int64) + 1


def counted(windows: Windows) -> Bool:
    """Return where the next reading counts."""
    return windows.is_known[0, ..., NEXT]


def bytes_of(lesson: Lesson) -> dict[str, bytes]:
    return {field.name: getattr(lesson, field.name).tobytes() for field in fields(lesson)}


def test_the_last_run_of_sixteen_readings_in_every_eight_is_held_out() -> None:
    assert np.flatnonzero(is_held_out(np.arange(300))).tolist() == [*range(112, 128), *range(240, 256)]


def test_held_out_readings_are_never_taught_and_all_others_are() -> None:
    lesson = lesson_of(session := session_of())
    windows = Curriculum(lesson, session.settings).minibatches(150, slice(None))
    taught = set(next_numbers(lesson, windows)[counted(windows)].tolist())
    assert taught == {number for number in range(N - KEPT + 2, N) if number % 128 < 112}


def test_the_examination_is_on_held_out_readings_only_and_on_the_newest_of_them() -> None:
    lesson = lesson_of(session := session_of())
    exam = Curriculum(lesson, session.settings).hold_out()
    asked = set(next_numbers(lesson, exam)[counted(exam)].tolist())
    assert asked == {*range(240, 256), *range(368, 384)}, "the run before has left the window"


@pytest.mark.parametrize("n", [60, 127])
def test_a_stream_too_young_for_a_held_out_run_has_no_examination(n: int) -> None:
    lesson = lesson_of(session := session_of(n))
    assert not Curriculum(lesson, session.settings).hold_out().is_known.any()


def test_the_short_windows_of_a_fleet_always_hold_an_examination_however_late_the_lesson() -> None:
    every = 60
    training = {"takeover": 0, "every": every, "window": WINDOW, "enabled": False}
    shared = {"hidden": 4, "sharing": "fleet", "ensemble": 1}
    session = Session(Settings.model_validate({"forecast": shared, "training": training}))
    assert session.state.windows.value.shape[1] == session.settings.window_len == 256
    feed(session, NAMES, 0, 256 + every)
    make_due(session.model, session.state)
    for n in range(256 + every, 384 + every, 11):
        session.state.windows.n[:3], session.state.due.n[:3] = n, n - every
        lesson = prepare(session.model, session.state, np.zeros(1, np.int64))
        assert lesson.n[0] == n - every, "as of when it fell due"
        assert counted(Curriculum(lesson, session.settings).hold_out()).any(), n


def test_before_the_first_fine_tune_nothing_is_unseen() -> None:
    lesson = lesson_of(session := session_of())
    assert not Curriculum(lesson, session.settings).unseen().is_known.any()


@pytest.mark.parametrize("n_since", [1, 20, 40])
def test_weights_in_force_are_judged_by_readings_since_the_last_fine_tune_only(n_since: int) -> None:
    session = session_of()
    assert session.fine_tune() == 3
    feed(session, NAMES, N, n_since)
    lesson = lesson_of(session)
    trial = Curriculum(lesson, session.settings).unseen()
    judged = next_numbers(lesson, trial)[counted(trial)].tolist()
    assert judged == list(range(max(N, N + n_since - WINDOW), N + n_since)), "each once"
    assert min(WINDOW, n_since) > N_SETTLING or n_since == 1


def test_a_lesson_is_a_copy() -> None:
    session = session_of()
    lesson = lesson_of(session)
    before = bytes_of(lesson)
    feed(session, NAMES, N, 80)
    session.fine_tune()
    for array in session.model.bank.arrays().values():
        array[:] = 1
    for part in session.state.parts().values():
        for array in part.arrays().values():
            array[:] = 1
    assert bytes_of(lesson) == before


def test_teaching_changes_neither_its_lesson_nor_its_answer() -> None:
    session = session_of()
    lesson = lesson_of(session)
    before, state = bytes_of(lesson), pack(session.state)
    one, two = teach(lesson, session.settings), teach(lesson, session.settings)
    assert all(np.array_equal(getattr(one, name), getattr(two, name)) for name in ("weights", "m", "v", "outcome"))
    assert bytes_of(lesson) == before
    assert pack(session.state) == state


def test_preparing_teaching_and_applying_apart_is_a_fine_tune() -> None:
    apart, at_once = session_of(), session_of()
    lesson = lesson_of(apart)
    apply(apart.model, apart.state, lesson, teach(lesson, apart.settings))
    fine_tune_groups(at_once.model, at_once.state, lesson.groups)
    assert pack_model(apart.model) == pack_model(at_once.model)
    assert pack(apart.state) == pack(at_once.state)


def test_a_lesson_taught_while_readings_went_on_counts_up_to_where_it_was_made() -> None:
    session = session_of()
    lesson = lesson_of(session)
    feed(session, NAMES, N, 25)
    apply(session.model, session.state, lesson, teach(lesson, session.settings))
    assert (session.model.bank.n_rounds[:3] == 1).all()
    assert session.state.ledger.n_trained[:3].tolist() == [N, N, N]
    feed(session, NAMES, N + 25, 14)
    assert session.fine_tune() == 0
    feed(session, NAMES, N + 39, 1)
    assert session.fine_tune() == 3


def untouched(session: Session, name: str) -> tuple[bytes, bytes]:
    """Return all that a stream and its network are."""
    slot = session.state.table.names.index(name)
    network = session.model.bank.take(session.state.ledger.group[[slot]].astype(np.int64))
    return pack(session.state, [name]), b"".join(array.tobytes() for array in network.values())


def test_a_stream_that_took_the_place_of_one_evicted_meanwhile_is_left_alone() -> None:
    session = session_of()
    lesson = lesson_of(session)
    taught = teach(lesson, session.settings)
    evict(session.model, session.state, ["plant/2/flow"])
    assert admit(session.model, session.state, ["new"]).tolist() == [1]
    feed(session, ["new"], 0, 70)
    before = untouched(session, "new")
    apply(session.model, session.state, lesson, taught)
    assert untouched(session, "new") == before
    assert np.array_equal(session.model.bank.weights[[0, 2]], taught.weights[[0, 2]])


def test_a_stream_that_left_and_came_back_meanwhile_is_left_alone() -> None:
    session = session_of()
    session.fine_tune()
    feed(session, NAMES, N, 40)
    lesson = lesson_of(session)
    taught = teach(lesson, session.settings)
    evict(session.model, session.state, ["plant/2/flow"])
    feed(session, ["plant/2/flow"], 0, 70)
    before = untouched(session, "plant/2/flow")
    apply(session.model, session.state, lesson, taught)
    assert untouched(session, "plant/2/flow") == before


def test_networks_merged_meanwhile_are_left_alone_and_others_are_not() -> None:
    session = session_of(sharing="auto")
    lesson = lesson_of(session)
    taught = teach(lesson, session.settings)
    assert merge_kinds(session.model, session.state, 2) == 1  # the two of flow
    before = [untouched(session, name) for name in NAMES[:2]]
    apply(session.model, session.state, lesson, taught)
    assert [untouched(session, name) for name in NAMES[:2]] == before
    group = session.state.ledger.group[2]
    assert np.array_equal(session.model.bank.weights[group], taught.weights[2])


def test_networks_trained_meanwhile_are_left_alone() -> None:
    session = session_of()
    lesson = lesson_of(session)
    taught = teach(lesson, session.settings)
    fine_tune_groups(session.model, session.state, np.array([0, 2]))
    before = [untouched(session, name) for name in NAMES]
    apply(session.model, session.state, lesson, taught)
    after = [untouched(session, name) for name in NAMES]
    assert [a == b for a, b in zip(after, before, strict=True)] == [True, False, True]


def test_a_network_of_very_many_streams_learns_from_a_fresh_sample_each_time() -> None:
    session = session_of(sharing="fleet")
    names = [f"s{i}" for i in range(90)]
    feed(session, names, 0, 60)
    make_due(session.model, session.state)
    pupils = []
    for n_rounds in (3, 3, 4):
        session.model.bank.n_rounds[:] = n_rounds
        lesson = prepare(session.model, session.state, np.zeros(1, np.int64))
        pupils.append(lesson.slots.tolist())
        assert (np.diff(lesson.slots) > 0).all()
    assert [len(slots) for slots in pupils] == [64, 64, 64]
    assert pupils[0] == pupils[1]
    assert pupils[0] != pupils[2]
