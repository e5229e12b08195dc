import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.simulator import STEP_S, Plant, simulate
from pipeline.sources.simulator_devices import SENSORS
from pipeline.sources.simulator_faults import MIN_STEPS, schedule

START_S = 1772323200  # a midnight, UTC
COUNTERS = ("boiler/gas_m3", "chiller/energy_kwh", "tank/water_litres", "compressor/air_m3", "meter/energy_kwh")
N = 3600
NAMES = [fault.stream for _, fault in schedule(N)]


@pytest.fixture(scope="module")
def clean() -> Plant:
    return simulate(1, N, START_S, faulty=False)


@pytest.fixture(scope="module")
def faulty() -> Plant:
    return simulate(1, N, START_S)


def all_messages(plant: Plant) -> list[tuple[str, bytes]]:
    return [message for step in range(plant.n) for message in plant.messages(step)]


def test_there_are_at_least_28_sensors_on_8_devices(clean: Plant) -> None:
    assert len(clean.values) >= 28
    assert len({stream.split("/")[0] for stream in clean.values}) == 8


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert all_messages(simulate(7, 400, START_S)) == all_messages(simulate(7, 400, START_S))


def test_another_seed_gives_other_readings() -> None:
    assert all_messages(simulate(7, 50, START_S)) != all_messages(simulate(8, 50, START_S))


@given(st.integers(0, 2**32 - 1), st.integers(0, 120), st.integers(0, 120))
def test_more_steps_do_not_change_earlier_ones(seed: int, n: int, more: int) -> None:
    short, long = (simulate(seed, length, START_S, faulty=False) for length in (n, n + more))
    assert all_messages(short) == [message for step in range(n) for message in long.messages(step)]


def test_every_message_is_flat_json_with_its_event_time(clean: Plant) -> None:
    for step in (0, 1, 2, 700):
        for device, payload in clean.messages(step):
            fields = json.loads(payload)
            assert fields.pop("time") == START_S + step * STEP_S
            assert fields
            assert all(f"{device}/{sensor}" in SENSORS and isinstance(fields[sensor], float) for sensor in fields)


def test_messages_hold_every_reading_that_is_counted(faulty: Plant) -> None:
    n_readings = sum(len(json.loads(payload)) - 1 for _, payload in all_messages(faulty))
    assert n_readings == faulty.n_readings


@pytest.mark.parametrize("stream", COUNTERS)
def test_counters_never_fall_not_even_in_a_fault(clean: Plant, faulty: Plant, stream: str) -> None:
    for plant in (clean, faulty):
        assert (np.diff(plant.values[stream]) >= 0).all()
        assert plant.values[stream][-1] > plant.values[stream][0]


def test_report_on_change_sensors_send_only_changes(clean: Plant) -> None:
    for stream, sensor in SENSORS.items():
        if sensor.deadband:
            sent = clean.values[stream][clean.reading_steps(stream)]
            assert (np.abs(np.diff(sent)) >= sensor.deadband - 1e-9).all()
            assert 1 < len(sent) < clean.n


def test_all_values_are_finite_and_no_larger_than_a_meter_shows(faulty: Plant) -> None:
    for values in faulty.values.values():
        assert np.isfinite(values).all()
        assert np.abs(values).max() < 1e7


def test_the_ground_truth_names_each_stream_once_and_keeps_them_apart(faulty: Plant) -> None:
    assert len(faulty.faults) >= 12
    assert len({fault.stream for fault in faulty.faults}) == len(faulty.faults)
    assert {"spike", "step", "ramp", "stuck", "noise_up", "lost_cycle", "unit", "dropout"} == {
        fault.kind for fault in faulty.faults
    }
    assert all(later.start - earlier.start >= 150 for earlier, later in pairwise(faulty.faults))


def test_faults_that_move_the_same_stream_are_far_apart(faulty: Plant) -> None:
    for stream in SENSORS:
        moving = [fault for fault in faulty.faults if stream in (fault.stream, *fault.affected)]
        assert all(later.start >= earlier.end + 200 for earlier, later in pairwise(moving))


@given(st.integers(MIN_STEPS, 50_000))
def test_every_fault_starts_after_the_warm_up_and_can_be_found_before_the_end(n: int) -> None:
    faults = [fault for _, fault in schedule(n)]
    assert all(fault.start >= 500 for fault in faults)
    assert all(fault.end + 80 < n for fault in faults if fault.stream.startswith("weather/"))
    assert all(fault.end + 45 < n for fault in faults)


def test_a_run_too_short_to_be_scored_has_no_faults() -> None:
    assert simulate(1, MIN_STEPS - 1, START_S).faults == ()


@pytest.mark.parametrize("stream", NAMES)
def test_a_fault_alters_readings_in_its_interval_and_nowhere_else(clean: Plant, faulty: Plant, stream: str) -> None:
    fault = next(fault for fault in faulty.faults if fault.stream == stream)
    for moved in (stream, *fault.affected):
        altered = np.flatnonzero(clean.values[moved] != faulty.values[moved])
        within = altered[(altered >= fault.start) & (altered < fault.end)]
        assert len(within) > 0.5 * (fault.end - fault.start)
        assert within[0] <= fault.start + 5
        elsewhere = set(altered) - set(within)
        others = [each for each in faulty.faults if each is not fault and moved in (each.stream, *each.affected)]
        assert all(any(each.start <= step < each.end for each in others) for step in elsewhere)


def test_streams_that_no_fault_names_stay_healthy(clean: Plant, faulty: Plant) -> None:
    named = {stream for fault in faulty.faults for stream in (fault.stream, *fault.affected)}
    for stream in set(SENSORS) - named:
        assert np.array_equal(clean.values[stream], faulty.values[stream])


def test_step_after_counts_the_readings_of_the_stream_itself(clean: Plant) -> None:
    assert clean.step_after("meter/voltage", 10, 1) == 10
    assert clean.step_after("meter/voltage", 10, 5) == 14
    assert clean.step_after("weather/outside_temperature", 10, 5) == 18
    assert clean.step_after("meter/voltage", 10, N) == N - 1
