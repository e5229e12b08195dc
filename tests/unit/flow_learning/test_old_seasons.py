"""An old season that returns after twenty fine-tunes on another one is still foretold.

Five streams of one session, alike but for their noise: a wave of 24 readings, then one of 37, then
the first again. With the defaults nothing of the first is left in the window when it returns: what
is still known of it is in the weights.
"""

from functools import cache

import numpy as np

from pipeline.core.records import F64, Readings
from pipeline.core.settings import Settings
from pipeline.runtime.parts import parts
from pipeline.runtime.session import Session

N_STREAMS, NOISE = 5, 0.3
N_FIRST, N_FINE_TUNES, N_BACK = 1200, 20, 208
CHUNK = Settings().training.every
N_OTHER = N_FINE_TUNES * CHUNK
N_JUDGED, N_CHANGING = 200, 8  # readings judged; those of the change itself, that nobody could foretell


def value() -> F64:
    """Return readings of shape (N, S)."""
    number = np.arange(N_FIRST + N_OTHER + N_BACK)
    is_other = (number >= N_FIRST) & (number < N_FIRST + N_OTHER)
    wave = np.sin(2 * np.pi * number / np.where(is_other, 37, 24))
    noise = [np.random.default_rng(seed).normal(0, NOISE, len(number)) for seed in range(N_STREAMS)]
    return wave[:, None] + np.stack(noise, axis=1)


@cache
def errors() -> tuple[F64, F64]:
    """Return each stream's mean absolute error of the old season, when it first came and when it returned."""
    session, values = Session(Settings()), value()
    names = [f"s{i}" for i in range(N_STREAMS)]
    n_fine_tunes, forecasts = 0, []
    for start in range(0, len(values), CHUNK):
        chunk = values[start : start + CHUNK]
        stream = np.tile(np.arange(N_STREAMS, dtype=np.int32), len(chunk))
        time = np.repeat(600.0 * np.arange(start, start + len(chunk)), N_STREAMS)
        readings = Readings(names, stream, time, chunk.ravel(), np.zeros(len(time), np.uint8))
        forecast = np.empty(len(readings))
        is_other = N_FIRST <= start < N_FIRST + N_OTHER
        for rows in parts(session, readings):
            forecast[rows] = session.process(readings.rows(rows), now=np.inf).forecast
            n_fine_tunes += session.fine_tune() * is_other
        forecasts.append(forecast.reshape(chunk.shape))
    assert n_fine_tunes == N_STREAMS * N_FINE_TUNES
    error = np.abs(np.concatenate(forecasts) - values)
    back = N_FIRST + N_OTHER + N_CHANGING
    return (
        np.nanmean(error[N_CHANGING : N_CHANGING + N_JUDGED], axis=0),
        error[back : back + N_JUDGED].mean(axis=0),
    )


def test_it_is_foretold_within_a_tenth_of_the_error_when_it_first_came() -> None:
    first, returned = errors()
    assert returned.mean() <= 1.1 * first.mean()


def test_it_is_foretold_better_than_by_persistence() -> None:
    persistence = np.abs(np.diff(value(), axis=0))[:N_FIRST].mean(axis=0)
    assert errors()[1].mean() < 0.97 * persistence.mean()
