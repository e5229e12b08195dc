"""Clean streams of the battery: seeded, independent, and what each kind promises to be."""

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.evaluate.battery_signals import KINDS, START_S, Series, clean

DAY = 288


def one(kind: str, seed: int = 1) -> Series:
    return clean(kind, 1, seed)[0]


def correlation(x: np.ndarray, lag: int) -> float:
    return float(np.corrcoef(x[:-lag], x[lag:])[0, 1])


@pytest.mark.parametrize("kind", KINDS)
def test_asking_for_more_streams_never_changes_the_first_and_another_seed_does(kind: str) -> None:
    few, many = clean(kind, 2, 7), clean(kind, 3, 7)
    for a, b in zip(few, many, strict=False):
        for x, y in zip(a.readings(), b.readings(), strict=True):
            assert np.array_equal(x, y)
    assert not np.array_equal(few[0].truth, few[1].truth)
    assert not np.array_equal(few[0].truth, one(kind, 8).truth)


@pytest.mark.parametrize("kind", KINDS)
def test_thirty_days_of_finite_readings_in_order_of_time(kind: str) -> None:
    time, value = one(kind).readings()
    assert np.isfinite(value).all()
    assert (np.diff(time) > 0).all()
    assert time[0] == START_S
    assert time[-1] - time[0] == pytest.approx(30 * 86_400, rel=0.02)
    assert len(time) == 8640 or kind == "report_on_change"


@pytest.mark.parametrize("kind", ["quantised", "white", "ar1", "daily", "daily_weekly", "duty_cycle", "bursty"])
def test_sd_is_that_of_the_stream_about_its_fixed_cycle(kind: str) -> None:
    for series in clean(kind, 5, 3):
        fixed = series.cycle if kind != "duty_cycle" else 0.0  # when that switches is not known beforehand
        assert np.std(series.truth - fixed) == pytest.approx(series.sd, rel=0.15)


def test_noise_is_what_the_past_does_not_foretell() -> None:
    for series in clean("ar1", 5, 3):
        x = series.truth - series.truth.mean()
        memory = correlation(x, 1)
        assert np.std(x[1:] - memory * x[:-1]) == pytest.approx(series.noise, rel=0.05)
    walk = one("random_walk")
    assert np.std(np.diff(walk.truth)) == pytest.approx(walk.noise, rel=0.05)
    duty = one("duty_cycle")
    assert np.std(duty.truth - duty.cycle) == pytest.approx(duty.noise, rel=0.05)


def test_a_constant_is_one_value_and_a_coarse_thermometer_a_few() -> None:
    assert len(np.unique(one("constant").readings()[1])) == 1
    shown = one("quantised").readings()[1]
    assert np.array_equal(shown * 2, np.round(shown * 2))
    assert 4 <= len(np.unique(shown)) <= 20


def test_a_heavy_tail_goes_far_out_again_and_again_and_a_burst_does_not() -> None:
    far = [np.count_nonzero(np.abs(s.truth - np.median(s.truth)) > 8 * s.sd) for s in clean("heavy_tailed", 20, 1)]
    assert 1 < np.mean(far) < 20
    far = [np.count_nonzero(np.abs(s.truth - np.median(s.truth)) > 8 * s.sd) for s in clean("bursty", 20, 1)]
    assert np.mean(far) < 1


def test_cycles_repeat_by_day_and_by_week_and_compressors_only_nearly() -> None:
    assert correlation(one("daily").truth, DAY) > 0.9
    weekly = one("daily_weekly")
    assert np.allclose(weekly.cycle[: 7 * DAY], weekly.cycle[7 * DAY : 14 * DAY])
    days = weekly.cycle[: 7 * DAY].reshape(7, DAY)
    assert days[5:].std() < 0.7 * days[:5].std()
    assert np.abs(np.diff(weekly.cycle)).max() < 0.1 * np.ptp(weekly.cycle)  # no leap into the weekend
    switches = np.flatnonzero(np.diff(one("duty_cycle").cycle))
    assert 300 < len(switches) < 700
    assert len(np.unique(np.diff(switches))) > 3


def test_a_counter_only_rises() -> None:
    series = one("counter")
    value = series.readings()[1]
    assert (np.diff(value) >= 0).all()
    assert value[-1] - series.register == pytest.approx(series.truth.sum(), abs=0.01)


def test_report_on_change_sends_what_moved_and_a_heartbeat() -> None:
    series = one("report_on_change")
    time, value = series.readings()
    silence = np.diff(time) / 300
    moved = np.abs(np.diff(value)) >= series.deadband - 1e-9
    assert (moved | (silence == 12)).all()
    assert silence.max() == 12
    assert 0.2 < len(time) / 8640 < 0.8


def test_irregular_sampling_keeps_its_mean_and_its_memory_in_time() -> None:
    series = one("irregular")
    interval = np.diff(series.time)
    assert interval.mean() == pytest.approx(300, rel=0.05)
    assert interval.std() > 150
    near, far = interval < 150, interval > 900
    change = np.diff(series.truth)
    assert change[far].std() > 2 * change[near].std()


def test_cadence_and_length_are_parameters() -> None:
    series = clean("white", 1, 1, step_s=60, days=2)[0]
    assert len(series.time) == 2880
    assert set(np.diff(series.time)) == {60.0}


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UsageError, match="there is no kind pink; kinds are: constant, quantised"):
        clean("pink", 1, 1)
