"""What the next batch is, and that it is the same when it is planned again."""

from pathlib import Path

import numpy as np

from pipeline.core.records import Readings
from pipeline.core.settings import Settings
from pipeline.flow.state import new_model
from pipeline.scaleout.planner import Offset, Planner, Task
from pipeline.scaleout.segments import Logged, write_segment
from pipeline.scaleout.weights import publish, read_weights, versions

SETTINGS = Settings.model_validate({"forecast": {"sharing": "fleet"}})


def _write(folder: Path, first: int, n: int = 10) -> None:
    zeros = np.zeros(n)
    readings = Readings(["a"], np.zeros(n, np.int32), zeros, zeros, np.zeros(n, np.uint8))
    write_segment(folder, Logged(np.arange(first, first + n), zeros, readings))


def _planner(folder: Path, n_segments: int) -> Planner:
    for i in range(n_segments):
        _write(folder / "log", 10 * i)
    return Planner(folder / "log", folder / "weights")


def test_batches_hold_whole_segments_up_to_the_limit(tmp_path: Path) -> None:
    planner, at, seen = _planner(tmp_path, 5), Offset(), []
    while (end := planner.next(at, 25)) != at:
        seen.append([task.first for task in planner.tasks(at, end)])
        at = end
    assert seen == [[0, 10], [20, 30], [40]]


def test_a_segment_beyond_the_limit_is_a_batch_of_its_own(tmp_path: Path) -> None:
    planner = _planner(tmp_path, 2)
    assert planner.next(Offset(), 3) == Offset(1)


def test_the_end_of_a_job_holds_although_the_log_goes_on(tmp_path: Path) -> None:
    planner = _planner(tmp_path, 2)
    until = planner.end()
    _write(tmp_path / "log", 20)
    assert planner.next(Offset(), None, until) == until
    assert planner.next(until, None, until) == until
    assert planner.next(until, None) == Offset(21)


def test_an_empty_log_has_no_batch(tmp_path: Path) -> None:
    assert Planner(tmp_path / "log", tmp_path / "weights").next(Offset(), 10) == Offset()


def test_networks_are_in_force_from_their_position_on_and_only_if_they_were_known(tmp_path: Path) -> None:
    planner = _planner(tmp_path, 4)
    early = publish(tmp_path / "weights", new_model(SETTINGS), 10)
    end = planner.next(Offset(), None)
    assert end == Offset(31, early.name)
    late = publish(tmp_path / "weights", new_model(SETTINGS), 25)
    before = planner.tasks(Offset(), end)
    assert [task.model for task in before] == ["", early.name, early.name, early.name]
    after = planner.tasks(Offset(), Offset(31, late.name))
    assert [task.model for task in after] == ["", early.name, early.name, late.name]
    assert before[0] == Task(0, str(tmp_path / "log" / "segment-00000000000000000000.parquet"), "")


def test_offsets_are_what_they_were_after_json() -> None:
    assert Offset.from_dict(Offset(7, "a").as_dict()) == Offset(7, "a")


def test_networks_are_read_as_they_were_written(tmp_path: Path) -> None:
    model = new_model(SETTINGS)
    model.bank.grow(1)
    model.bank.initialise(model.network, np.zeros(1, np.int64), np.array([5], np.uint64))
    version = publish(tmp_path, model, 3)
    assert versions(tmp_path) == [version]
    again = read_weights(tmp_path, SETTINGS, version.name)
    assert again.bank.weights.tobytes() == model.bank.weights.tobytes()
