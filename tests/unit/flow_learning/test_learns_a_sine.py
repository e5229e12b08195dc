"""Training trains: on a noisy sine the LSTM leaves persistence well behind."""

import numpy as np

from pipeline.core.records import Readings
from pipeline.core.settings import Settings
from pipeline.forecast.baselines import Forecaster
from pipeline.runtime.session import Session

N, N_JUDGED, CHUNK = 1_200, 200, 48


def test_after_a_thousand_readings_the_one_step_error_is_a_fifth_below_that_of_persistence() -> None:
    rng = np.random.default_rng(5)
    value = 20 + 3 * np.sin(2 * np.pi * np.arange(N) / 24) + rng.normal(0, 0.5, N)
    time = np.arange(N, dtype=np.float64) * 600
    session = Session(Settings())
    forecasts = []
    for start in range(0, N, CHUNK):
        chunk = slice(start, start + CHUNK)
        slots, flags = np.zeros(len(value[chunk]), np.int32), np.zeros(len(value[chunk]), np.uint8)
        steps = session.process(Readings(["s"], slots, time[chunk], value[chunk], flags), now=np.inf)
        forecasts.append(steps.forecast)
        session.fine_tune()
    forecast = np.concatenate(forecasts)
    judged = slice(N - N_JUDGED, N)
    lstm = np.abs(value - forecast)[judged].mean()
    persistence = np.abs(np.diff(value))[N - N_JUDGED - 1 :].mean()
    floor = 0.5 * np.sqrt(2 / np.pi)  # what is left to one who knows the sine: the noise
    assert floor * 0.8 < lstm < 0.8 * persistence
    assert session.view().skill_ratio[0, Forecaster.LSTM] < 0.8
