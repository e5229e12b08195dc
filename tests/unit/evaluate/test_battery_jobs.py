"""Jobs of the battery: clean streams do not know of branches, and faults are found where they are planted."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings
from pipeline.evaluate.battery import jobs, run_battery
from pipeline.evaluate.battery_job import Job, Outcome, Plan, run_job

QUICK = Settings.model_validate({"training": {"enabled": False}, "detection": {"n_warmup": 200}})
PLAN = Plan(QUICK, ["white"], ["spike"], n_streams=3, n_faulty=2, days=3)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return run_job(jobs(PLAN)[0])


def test_every_stream_of_every_kind_is_in_one_job_of_bounded_size() -> None:
    plan = replace(PLAN, kinds=["white", "ar1"], n_streams=60)
    streams = [(job.kind, i) for job in jobs(plan) for i in job.streams]
    assert streams == [(kind, i) for kind in plan.kinds for i in range(60)]
    assert max(len(job.streams) for job in jobs(plan)) <= 25


def test_every_fault_and_size_is_planted_in_the_faulty_streams_only(outcome: Outcome) -> None:
    cases = [(planting.fault, planting.size, planting.stream) for planting in outcome.planted]
    assert cases == [("spike", size, stream) for size in (4.0, 8.0, 16.0) for stream in (0, 1)]


def test_large_spikes_are_found_at_once(outcome: Outcome) -> None:
    large = [planting for planting in outcome.planted if planting.size == 16.0]
    assert [planting.delay for planting in large if not planting.is_masked] == [1.0, 1.0]


def test_a_silence_is_told_by_a_verdict_with_the_first_reading_after_it() -> None:
    found = run_job(Job(replace(PLAN, faults=["dropout"], n_faulty=1), "white", range(1))).planted
    assert [(planting.size, planting.verdict) for planting in found if planting.size > 10] == [(30, 31), (100, 101)]


def test_clean_streams_are_counted_after_warm_up_and_know_nothing_of_branches(outcome: Outcome) -> None:
    alone = run_job(Job(replace(PLAN, faults=[], n_faulty=0), "white", range(3)))
    assert alone.clean == outcome.clean
    assert alone.planted == ()
    assert [stream.n_readings for stream in alone.clean] == [864] * 3
    assert alone.clean[0].days == pytest.approx((863 - QUICK.detection.n_warmup) * 300 / 86_400)
    assert outcome.n_readings > alone.n_readings == 3 * 864


def test_parting_streams_into_other_jobs_gives_the_same_outcome(outcome: Outcome) -> None:
    parts = [run_job(Job(PLAN, "white", streams)) for streams in (range(1), range(1, 3))]
    assert tuple(stream for part in parts for stream in part.clean) == outcome.clean
    found = {(p.fault, p.size, p.stream): p.delay for part in parts for p in part.planted}
    expected = {(p.fault, p.size, p.stream): p.delay for p in outcome.planted}
    assert found.keys() == expected.keys()
    assert np.allclose([found[case] for case in expected], list(expected.values()), equal_nan=True)


def test_progress_tells_streams_and_settings_that_cannot_work_are_refused_first() -> None:
    told: list[tuple[str, int]] = []
    plan = replace(PLAN, faults=[], n_streams=2, n_faulty=0, days=3)
    assert len(run_battery(plan, 1, lambda work, n: told.append((work, n))).clean) == 2
    assert told == [("battery", 2)]
    fleet = Settings.model_validate({"forecast": {"sharing": "fleet"}})
    with pytest.raises(UsageError, match="streams touch each other"):
        run_battery(replace(plan, settings=fleet), 1)
