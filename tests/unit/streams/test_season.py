"""Season: what was read one season ago, and which season that is."""

import numpy as np
import pytest

from pipeline.core.records import F64, Bool
from pipeline.streams.season import Season, empty_season

START_S = 1.7e9 + 17
DAY_S = 86400.0
WIDTH = 512
EVERYONE = slice(None)


N_FEW = 20  # streams where a share is asserted


def cycle(time: F64, period_s: float, noise: float, n_streams: int = N_FEW) -> F64:
    """Return noisy sines of unit power, each with a phase of its own, shape (N, A)."""
    rng = np.random.default_rng(1)
    phase = rng.random(n_streams)
    sine: F64 = np.sqrt(2) * np.sin(2 * np.pi * (time[:, None] / period_s + phase))
    return sine + noise * rng.normal(size=sine.shape)


def regular(n: int, step_s: float) -> F64:
    """Return ``n`` event times, Unix seconds."""
    return START_S + step_s * np.arange(n, dtype=np.float64)


def found_in(time: F64, value: F64, width: int = WIDTH) -> F64:
    """Return the season that one search finds in each stream, seconds, 0 for none, shape (A,)."""
    season = empty_season(value.shape[1])
    search(season, time[-width:], value[-width:])
    return np.where(season.is_found, season.period_s, 0.0)


def search(season: Season, time: F64, value: F64) -> None:
    """Search as the engine does: with a ring of the newest readings, time (N,), value (N, A)."""
    n, n_streams = min(len(time), WIDTH), value.shape[1]
    times, values = np.full((n_streams, WIDTH), np.nan), np.zeros((n_streams, WIDTH))
    is_valid = np.zeros((n_streams, WIDTH), np.bool_)
    times[:, WIDTH - n :], values[:, WIDTH - n :], is_valid[:, WIDTH - n :] = time[-n:], value[-n:].T, True
    season.search(np.arange(n_streams), times, values, is_valid)


def follow(season: Season, time: F64, value: F64, step_s: float) -> F64:
    """Let streams come in, and return what lay ahead after each reading, shape (4, N, A)."""
    n_streams = value.shape[1]
    slots = np.arange(n_streams)
    ahead = np.full((4, *value.shape), np.nan)
    for i, at in enumerate(time):
        now = np.full(n_streams, at)
        season.learn(EVERYONE, slots, now, value[i])
        if i + 1 in (64, 128, 256) or (i + 1) % WIDTH == 0:
            search(season, time[: i + 1], value[: i + 1])
        ahead[:, i] = season.ahead(EVERYONE, slots, now + step_s)
    return ahead


@pytest.mark.parametrize("step_s", [60.0, 300.0, 1800.0])
def test_the_day_gives_the_value_one_day_ago_at_any_cadence(step_s: float) -> None:
    n_day = int(DAY_S / step_s)
    time = regular(2 * n_day + 300, step_s)
    value = 1e9 + 0.01 * np.sin(2 * np.pi * time / DAY_S)[:, None]
    season = empty_season(1)
    ahead = follow(season, time, value, step_s)
    assert season.period_s.tolist() == [DAY_S]
    first = max(n_day, 64)  # no season before the first search
    assert np.abs(ahead[0, first:-1] - value[1 + first - n_day : -n_day]).max() < 1e-4
    before = ahead[3, first + 1 : -1] - value[1 + first - n_day : -n_day - 1]
    assert np.abs(before).max() < 1e-4


@pytest.mark.parametrize(("step_s", "period_s"), [(0.1, 0.0), (28800.0, 0.0), (21600.0, DAY_S)])
def test_a_day_is_assumed_only_where_it_has_4_to_100000_readings(step_s: float, period_s: float) -> None:
    value = np.random.default_rng(2).normal(size=(64, 1))
    season = empty_season(1)
    follow(season, regular(64, step_s), value, step_s)
    assert season.period_s.tolist() == [period_s]
    assert not season.is_found.any()


def test_the_neighbourhood_is_one_percent_of_the_season_each_way() -> None:
    value = np.random.default_rng(3).normal(size=(400, 1))
    ahead = follow(empty_season(1), regular(400, 300.0), value, 300.0)
    for i in range(300, 399):
        around = value[i + 1 - 288 - 2 : i + 1 - 288 + 3, 0]
        assert ahead[0, i, 0] == value[i + 1 - 288, 0]
        assert (ahead[1, i, 0], ahead[2, i, 0]) == (around.max(), around.min())


@pytest.mark.parametrize(("period", "n"), [(8.0, 64), (24.0, 128), (37.4, 256), (100.0, 512), (168.0, 512)])
@pytest.mark.parametrize("noise", [0.1, 0.5])
def test_a_season_is_found_in_noise_within_few_cycles(period: float, n: int, noise: float) -> None:
    time = regular(n, 7.0)
    found = found_in(time, cycle(time, 7 * period, noise)) / 7
    assert (found > 0).mean() >= 0.7  # three smooth cycles may be a random walk's
    error = np.abs(found[found > 0] - period)
    assert np.median(error) < 0.01 * period
    assert error.max() < 0.06 * period


def test_a_season_of_a_fraction_of_readings_does_not_smear() -> None:
    time = regular(1100, 7.0)
    value = np.sin(2 * np.pi * time / (37.4 * 7))[:, None]
    ahead = follow(empty_season(1), time, value, 7.0)
    missed = np.abs(ahead[0, 600:-1] - value[601:])
    assert missed.max() < 0.05  # half a reading off would be 0.08


def test_a_week_of_hourly_readings_is_found_where_it_is_more_than_days() -> None:
    time = regular(WIDTH, 3600.0)
    hour = np.arange(WIDTH)[:, None]
    noise = np.random.default_rng(4).normal(size=(WIDTH, N_FEW))
    days = 1 + np.sin(2 * np.pi * hour / 24)
    weeks = days * np.where(hour // 24 % 7 < 5, 1, 0.2)
    assert (found_in(time, weeks + 0.2 * noise) == 7 * DAY_S).mean() >= 0.9
    assert (found_in(time, days + 0.2 * noise) == DAY_S).mean() >= 0.9


def shapes() -> dict[str, F64]:
    """Return seasons of 48 readings that tempt to take another length, and noise, shape (512, 20)."""
    at = np.arange(WIDTH)[:, None] / 48
    noise = np.random.default_rng(5).normal(size=(WIDTH, N_FEW))
    return {
        "two humps": 0.7 * np.sin(2 * np.pi * at) + np.sin(4 * np.pi * at) + 0.5 * noise,
        "duty cycle": (at % 1 < 0.4) + 0.2 * noise,
        "rare pulse": 5.0 * (at % 1 < 0.06) + 0.4 * noise,
        "drifting": 2 * np.sin(2 * np.pi * at) + 0.15 * noise.cumsum(axis=0),
    }


@pytest.mark.parametrize("shape", shapes())
def test_neither_harmonics_nor_multiples_are_taken_for_the_season(shape: str) -> None:
    found = found_in(regular(WIDTH, 7.0), shapes()[shape]) / 7
    assert (found > 0).mean() >= 0.8
    assert np.abs(found[found > 0] - 48).max() < 3


def test_the_season_of_a_duty_cycle_with_jitter_is_its_mean_length() -> None:
    rng = np.random.default_rng(6)
    time = regular(WIDTH, 7.0)
    starts = START_S + 7 * (30 * np.arange(20)[:, None] + rng.normal(size=(20, N_FEW)))
    since = (time[:, None, None] - starts) / 7  # readings, shape (N, 20, A)
    is_on = (since >= 0) & (since < 12)
    found = found_in(time, is_on.sum(axis=1, dtype=np.float64)) / 7
    assert (found > 0).mean() >= 0.9
    assert np.abs(found[found > 0] - 30).max() < 1


def patternless() -> dict[str, tuple[F64, float]]:
    """Return what has no season, shape (512, 200), and the share of streams that may seem to have one."""
    rng = np.random.default_rng(7)
    white = rng.normal(size=(WIDTH + 200, 200))
    red, smooth = np.zeros_like(white), np.zeros_like(white)
    for i in range(1, len(white)):
        red[i] = 0.9 * red[i - 1] + white[i]
        smooth[i] = 0.9 * smooth[i - 1] + red[i]
    tail = slice(200, None)
    return {
        "white": (white[tail], 0.0),
        "random walk": (white[tail].cumsum(axis=0), 0.01),
        "AR(1)": (red[tail], 0.01),
        "exponential of AR(1)": (np.exp(0.7 * red[tail]), 0.01),
        "AR(1) of AR(1)": (smooth[tail], 0.06),
        "ramp": (np.arange(WIDTH)[:, None] + 3 * white[tail], 0.0),
        "straight ramp": (np.arange(WIDTH)[:, None] * np.ones((1, 200)), 0.0),
        "constant": (np.full((WIDTH, 200), 3.3), 0.0),
        "quantised": (np.round(0.7 * white[tail]), 0.0),
        "rare spikes": (10.0 * (white[tail] > 2), 0.01),
        "steps": (np.round((white[tail] > 2).cumsum(axis=0) * 7.3 % 3), 0.02),
    }


@pytest.mark.parametrize("kind", patternless())
def test_no_season_is_found_where_there_is_none(kind: str) -> None:
    value, allowed = patternless()[kind]
    for n in (128, 256, 512):
        assert (found_in(regular(WIDTH, 7.0), value, n) > 0).mean() <= allowed, n


def test_a_season_is_found_and_followed_in_irregular_readings_with_a_fifth_missing() -> None:
    rng = np.random.default_rng(8)
    time = regular(1536, 10.0)[rng.random(1536) > 0.2]
    time += rng.normal(size=len(time))
    value = cycle(time, 400.0, 0.1, n_streams=1)
    season = empty_season(1)
    ahead = follow(season, time, value, 10.0)
    assert season.period_s[0] == pytest.approx(400.0, rel=0.01)
    is_next = np.flatnonzero(np.diff(time[700:]) < 13) + 700
    error = ahead[0, is_next, 0] - value[is_next + 1, 0]
    assert np.isnan(error).mean() < 0.02
    assert np.nanstd(error) < 0.3  # the signal's is 1.4


def test_units_change_nothing() -> None:
    time = regular(700, 7.0)
    value = cycle(time, 170.0, 0.3, n_streams=3)
    in_one, in_other = empty_season(3), empty_season(3)
    one = follow(in_one, time, value, 7.0)
    other = follow(in_other, time, 40 * value - 900, 7.0)
    assert in_one.is_found.all()
    np.testing.assert_allclose(in_other.period_s, in_one.period_s, rtol=1e-9)
    np.testing.assert_allclose(other, 40 * one - 900, rtol=1e-6)


def test_a_stream_alone_packed_and_resumed_gives_the_same_bits_as_among_others() -> None:
    time = regular(700, 7.0)
    value = cycle(time, 170.0, 0.3, n_streams=7)
    together = follow(empty_season(7), time, value, 7.0)
    alone = empty_season(1)
    slot = np.array([0])
    for i, at in enumerate(time):
        if i in (100, 333):
            rows = alone.take(slot)
            alone = empty_season(2)
            alone.put(slot, rows)
        now = time[i : i + 1]
        alone.learn(slot, slot, now, value[i, 5:6])
        if i + 1 in (64, 128, 256) or (i + 1) % WIDTH == 0:
            first = Season.empty(1, cells=alone.ring.shape[1])
            first.put(slot, alone.take(slot))
            search(first, time[: i + 1], value[: i + 1, 5:6])
            alone.put(slot, first.take(slot))
        ahead = np.array(alone.ahead(slot, slot, now + 7.0))
        assert np.array_equal(ahead[:, 0], together[:, i, 5], equal_nan=True), (i, at)


def test_a_found_season_is_given_up_after_three_searches_without_it() -> None:
    season = empty_season(1)
    time = regular(WIDTH, 7.0)
    noise = np.random.default_rng(9).normal(size=(WIDTH, 1))
    search(season, time, cycle(time, 168.0, 0.3, n_streams=1))
    lengths = []
    for _ in range(4):
        lengths.append(bool(season.is_found[0]))
        search(season, time, noise)
    assert lengths == [True, True, True, False]
    assert season.period_s.tolist() == [DAY_S]


def test_the_season_in_use_stays_when_another_is_hardly_better() -> None:
    time = regular(WIDTH, 7.0)
    plain = cycle(time, 168.0, 0.1, n_streams=1)
    every_second = plain + 0.25 * np.sin(2 * np.pi * time / 336.0)[:, None]
    assert found_in(time, every_second)[0] == pytest.approx(336.0, rel=0.01)
    season = empty_season(1)
    for value in (plain, every_second):
        search(season, time, value)
        assert season.period_s[0] == pytest.approx(168.0, rel=0.01)


def is_day(season: Season) -> Bool:
    found: Bool = season.period_s == DAY_S
    return found


def test_a_short_season_does_not_replace_the_day_that_more_readings_will_show() -> None:
    time = regular(1024, 1800.0)
    at = np.arange(1024)[:, None] / 48
    value = np.sin(4 * np.pi * at) + 0.5 * np.sin(2 * np.pi * at)
    season = empty_season(1)
    for n in (64, 128, 256, 512, 1024):
        search(season, time[:n], value[:n])
        assert is_day(season).all(), n


def test_skipped_bins_are_bridged_if_few_and_hold_the_season_before_if_many() -> None:
    time = regular(1100, 300.0)
    value = np.sin(2 * np.pi * time / DAY_S)[:, None]
    is_kept = np.ones(len(time), np.bool_)
    is_kept[400:402] = False  # bridged by a line
    is_kept[450:500] = False  # as the day before
    ahead = follow(empty_season(1), time[is_kept], value[is_kept], 300.0)
    expected = np.roll(value, -1, axis=0)[is_kept]
    error = np.abs(ahead[0] - expected)[288:-1]
    is_after_gap = np.diff(time[is_kept])[288:] > 300  # the next reading came later than expected
    assert error[~is_after_gap].max() < 2e-3


def test_after_more_than_a_season_of_silence_nothing_is_known() -> None:
    time = regular(700, 300.0)
    time[600:] += 3 * DAY_S
    value = np.sin(2 * np.pi * time / DAY_S)[:, None]
    ahead = follow(empty_season(1), time, value, 300.0)
    assert np.isfinite(ahead[:, 300:599]).all()
    assert np.isnan(ahead[0, 600:]).all()


def test_a_slower_sampling_gets_bins_of_its_own() -> None:
    season = empty_season(1)
    for step_s, n_bins in ((300.0, 288), (1800.0, 48), (300.0, 288)):
        time = regular(WIDTH, step_s)
        search(season, time, np.random.default_rng(10).normal(size=(WIDTH, 1)))
        assert season.n_bins.tolist() == [n_bins]


def test_a_glitch_leaves_hardly_an_echo_a_season_later_and_none_after_a_few() -> None:
    time = regular(2500, 300.0)
    value = cycle(time, DAY_S, 0.1, n_streams=1)
    clean = follow(empty_season(1), time, value, 300.0)
    value[500] = 1e15
    echo = np.abs(follow(empty_season(1), time, value, 300.0) - clean)[:, :, 0]
    assert 0 < echo[:, 780:800].max() < 5
    assert echo[:, 500 + 5 * 288 :].max() < 0.5


def test_a_spike_that_repeats_every_season_is_believed() -> None:
    time = regular(3000, 300.0)
    value = cycle(time, DAY_S, 0.1, n_streams=1)
    value[500 % 288 :: 288] += 20
    ahead = follow(empty_season(1), time, value, 300.0)
    assert ahead[0, -400:, 0].max() > 10


def test_forgetting_empties_the_bins_and_keeps_the_season() -> None:
    season = empty_season(2)
    time = regular(400, 300.0)
    follow(season, time, cycle(time, DAY_S, 0.1, n_streams=2), 300.0)
    season.forget(np.array([1]))
    value = season.ahead(EVERYONE, np.arange(2), np.full(2, time[-1] + 300))[0]
    assert np.isnan(value).tolist() == [False, True]
    assert is_day(season).all()


def test_hostile_values_and_times_neither_warn_nor_turn_infinite() -> None:
    rng = np.random.default_rng(11)
    n_streams = 6
    gaps = np.exp(rng.normal(size=1100) * 6)
    gaps[600] = 1e13
    time = 1e9 + np.cumsum(np.maximum(gaps, 1e-3))
    value = rng.choice([-1e15, 1e15, 0.0, 1e-15, 5e-324, 1.0], size=(1100, n_streams))
    value[:, 0] = 1e15
    season = empty_season(n_streams)
    with np.errstate(divide="raise", over="raise", invalid="raise"):
        ahead = follow(season, time, value, 1.0)
    assert not np.isinf(ahead).any()
    assert np.isfinite(season.mean).all()


def test_streams_learn_the_same_in_a_run_and_one_by_one() -> None:
    in_run, apart, rng = empty_season(3), empty_season(3), np.random.default_rng(4)
    slots = np.arange(3)
    for season in (in_run, apart):
        season.period_s[:], season.bin_s[:], season.n_bins[:] = 86400.0, 900.0, 96
    for t in range(300):
        time, value = np.full(3, 900.0 * t), rng.standard_t(2, 3)
        in_run.learn(slice(0, 3), slots, time, value)
        apart.learn(slots, slots, time, value)
    for name, array in in_run.arrays().items():
        assert np.array_equal(array, getattr(apart, name), equal_nan=array.dtype.kind == "f"), name
