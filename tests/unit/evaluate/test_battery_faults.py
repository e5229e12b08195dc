"""Faults of the battery: nothing before them changes, and each is as large as it says."""

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import Health
from pipeline.evaluate.battery_faults import FAULTS, RAMP, apply, invisible, is_possible
from pipeline.evaluate.battery_signals import KINDS, Series, clean

AT = 6000
POSSIBLE = [(kind, fault) for kind in KINDS for fault in FAULTS if is_possible(kind, fault)]


def one(kind: str) -> Series:
    return clean(kind, 1, 1)[0]


def change(kind: str, fault: str, size: float) -> tuple[Series, np.ndarray]:
    """Return a clean series, and by how much a fault changes its true values from the onset on."""
    series = one(kind)
    return series, apply(fault, size, series, AT).series.truth[AT:] - series.truth[AT:]


@pytest.mark.parametrize(("kind", "fault"), POSSIBLE)
def test_readings_before_the_onset_stay_and_those_after_it_change(kind: str, fault: str) -> None:
    series = one(kind)
    time, value = series.readings()
    for size in FAULTS[fault].sizes:
        planted = apply(fault, size, series, AT)
        new_time, new_value = planted.series.readings()
        n = int(np.searchsorted(time, planted.start_s))
        assert planted.start_s == series.time[AT]
        assert np.array_equal(new_time[:n], time[:n])
        assert np.array_equal(new_value[:n], value[:n])
        assert not (np.array_equal(new_time[n:], time[n:]) and np.array_equal(new_value[n:], value[n:]))
        assert np.isfinite(new_value).all()


def test_a_spike_is_one_reading_and_a_step_stays() -> None:
    series, off = change("daily", "spike", 8.0)
    assert abs(off[0]) == pytest.approx(8 * series.sd)
    assert not off[1:].any()
    series, off = change("daily", "step", 4.0)
    assert np.allclose(off, off[0])
    assert abs(off[0]) == pytest.approx(4 * series.sd)


def test_a_ramp_rises_evenly_and_stays() -> None:
    series, off = change("white", "ramp", 6.0)
    assert np.abs(off[[RAMP // 2 - 1, RAMP - 1, -1]]) == pytest.approx(np.array([3, 6, 6]) * series.sd)


def test_directions_differ_from_place_to_place_but_counters_only_count_up() -> None:
    white, counter = one("white"), one("counter")
    for series, directions in ((white, {-1.0, 1.0}), (counter, {1.0})):
        offs = [apply("step", 2.0, series, AT, seed=i).series.truth[AT] - series.truth[AT] for i in range(20)]
        assert set(np.sign(offs)) == directions


def test_noise_is_multiplied_and_the_level_stays() -> None:
    series, off = change("daily", "noise_up", 3.0)
    assert np.std(off) == pytest.approx(np.sqrt(8) * series.noise, rel=0.05)
    white = one("white")
    quiet = apply("noise_down", 0.1, white, AT).series.truth[AT:]
    assert quiet.std() == pytest.approx(0.1 * white.sd, rel=0.05)
    assert abs(quiet.mean() - white.truth.mean()) < 3 * white.sd / np.sqrt(12)
    walk = one("random_walk")
    damped = apply("noise_down", 0.1, walk, AT).series.truth
    assert np.abs(np.diff(damped[AT - 1 :])).max() < walk.sd


def test_a_stuck_sensor_repeats_its_last_value_and_a_stuck_register_stands() -> None:
    white, counter = one("white"), one("counter")
    assert set(apply("stuck", 1.0, white, AT).series.truth[AT:]) == {white.truth[AT - 1]}
    value = apply("stuck", 1.0, counter, AT).series.readings()[1]
    assert len(set(value[AT - 1 :])) == 1


def test_a_lost_cycle_leaves_the_rest_and_a_late_one_is_the_same_later() -> None:
    daily = one("daily")
    lost = apply("lost_cycle", 1.0, daily, AT).series.truth[AT:]
    assert np.allclose(lost - (daily.truth - daily.cycle)[AT:], daily.cycle[AT - 1])
    half = apply("lost_cycle", 0.5, daily, AT).series.truth[AT:]
    assert np.allclose(half, (lost + daily.truth[AT:]) / 2)
    late = apply("phase_shift", 3.0, daily, AT).series.truth[AT:]
    assert np.allclose(late - (daily.truth - daily.cycle)[AT:], daily.cycle[AT - 36 : -36])


def test_readings_that_drop_out_never_arrive() -> None:
    series = one("white")
    planted = apply("dropout", 30.0, series, AT)
    time, value = planted.series.readings()
    kept = np.delete(np.arange(len(series.time)), np.arange(AT, AT + 30))
    assert np.array_equal(time, series.time[kept])
    assert np.array_equal(value, series.truth[kept])
    assert planted.end_s == series.time[AT + 29]


def test_another_unit_converts_the_value_and_a_register_as_a_whole() -> None:
    white, counter = one("white"), one("counter")
    assert np.allclose(apply("unit", 1.8, white, AT).series.truth[AT:], 1.8 * white.truth[AT:] + 32)
    assert np.allclose(apply("unit", 1000.0, white, AT).series.truth[AT:], 1000 * white.truth[AT:])
    before, after = counter.readings()[1], apply("unit", 1000.0, counter, AT).series.readings()[1]
    assert np.allclose(after[AT:], 1000 * before[AT:], atol=11)


def test_what_is_asked_for_is_planted_and_hidden_only_with_a_reason() -> None:
    for fault in FAULTS.values():
        assert fault.required is None or fault.required in fault.sizes
    assert invisible("random_walk", "step")
    assert is_possible("random_walk", "step")  # planted all the same
    for kind in KINDS:
        for name in FAULTS:
            assert invisible(kind, name) or is_possible(kind, name)


def test_every_verdict_that_names_a_fault_is_one_that_the_engine_gives() -> None:
    known = {bit.text() for bit in Health}
    for fault in FAULTS.values():
        assert fault.verdicts <= known
        assert set(filter(None, fault.health.text().split("|"))) == fault.verdicts


def test_an_unknown_fault_is_named() -> None:
    with pytest.raises(UsageError, match="there is no fault gremlin; faults are: spike, step"):
        apply("gremlin", 1.0, one("white"), AT)
