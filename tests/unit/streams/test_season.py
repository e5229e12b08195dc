"""Season: what was read one season ago, and which season that is."""

import numpy as np
import pytest

from pipeline.core.records import F64
from pipeline.streams.season import Season, empty_season

START_S = 1.7e9 + 17
DAY_S = 86400.0
WIDTH = 512
EVERYONE = slice(None)


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
    time = START_S + step_s * np.arange(2 * n_day + 300, dtype=np.float64)
    value = 1e9 + 0.01 * np.sin(2 * np.pi * time / DAY_S)[:, None]
    season = empty_season(1)
    ahead = follow(season, time, value, step_s)
    assert season.period_s.tolist() == [DAY_S]
    first = max(n_day, 64)  # no season before the first search
    assert np.abs(ahead[0, first:-1] - value[1 + first - n_day : -n_day]).max() < 1e-4
