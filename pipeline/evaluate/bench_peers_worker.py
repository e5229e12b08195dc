"""Run by the Python of .venv-peers: readings in, what each library makes of them in a second out (JSON).

One model per stream, each given a reading to score and then to learn, as its documentation does. Imports nothing of
ours: that environment does not hold it.
"""

import json
import math
import sys
import warnings
from collections.abc import Callable
from time import perf_counter
from typing import Any

Step = Callable[[float], float]


def snarimax() -> Step:
    """Return river's PredictiveAnomalyDetection with SNARIMAX, as its documentation sets it up."""
    from river.linear_model import LinearRegression  # type: ignore[import-not-found,unused-ignore]
    from river.optim import SGD  # type: ignore[import-not-found,unused-ignore]
    from river.preprocessing import StandardScaler  # type: ignore[import-not-found,unused-ignore]
    from river.time_series import SNARIMAX  # type: ignore[import-not-found,unused-ignore]

    regressor = StandardScaler() | LinearRegression(optimizer=SGD(0.005))
    return _predictive(SNARIMAX(p=12, d=1, q=12, regressor=regressor))


def holt_winters() -> Step:
    """Return river's PredictiveAnomalyDetection with HoltWinters."""
    from river.time_series import HoltWinters  # type: ignore[import-not-found,unused-ignore]

    return _predictive(HoltWinters(alpha=0.3, beta=0.1))


def _predictive(model: Any) -> Step:  # noqa: ANN401 - another library's
    from river.anomaly import PredictiveAnomalyDetection  # type: ignore[import-not-found,unused-ignore]

    detector: Any = PredictiveAnomalyDetection(model, horizon=1, n_std=3.0, warmup_period=5)
    n = 0

    def step(value: float) -> float:
        nonlocal n
        n += 1
        score = detector.score_one(None, value) if n > 2 else 0.0  # noqa: PLR2004 - Holt's method needs two readings
        detector.learn_one(None, value)
        return float(score)

    return step


def half_space_trees() -> Step:
    """Return river's HalfSpaceTrees behind its MinMaxScaler."""
    from river.anomaly import HalfSpaceTrees  # type: ignore[import-not-found,unused-ignore]
    from river.preprocessing import MinMaxScaler  # type: ignore[import-not-found,unused-ignore]

    detector = MinMaxScaler() | HalfSpaceTrees(seed=1)

    def step(value: float) -> float:
        row = {"value": value}
        score = detector.score_one(row)
        detector.learn_one(row)
        return float(score)

    return step


def lstm() -> Step:
    """Return deep-river's LSTMForecaster as it comes; its score is the absolute residual."""
    from deep_river.forecasting import LSTMForecaster  # type: ignore[import-not-found]

    model = LSTMForecaster()
    n = 0

    def step(value: float) -> float:
        nonlocal n
        residual = abs(value - model.forecast(horizon=1)[0]) if n >= model.window_size else 0.0
        model.learn_one(value)
        n += 1
        return float(residual)

    return step


def xstream() -> Step:
    """Return PySAD's xStream as it comes."""
    import numpy as np
    from pysad.models import xStream  # type: ignore[import-not-found]

    model = xStream()

    def step(value: float) -> float:
        return float(model.fit_score_partial(np.array([value])))

    return step


PEERS = {
    "river PredictiveAnomalyDetection(SNARIMAX)": snarimax,
    "river PredictiveAnomalyDetection(HoltWinters)": holt_winters,
    "river HalfSpaceTrees": half_space_trees,
    "deep-river LSTMForecaster": lstm,
    "PySAD xStream": xstream,
}


def measure(make: Callable[[], Step], value: list[list[float]], n_first: int) -> float:
    """Return readings per second, after ``n_first`` readings of each stream.

    Args:
        make: Makes a model.
        value: Readings by time, then by stream.
        n_first: Readings of each stream that are not timed.
    """
    steps = [make() for _ in value[0]]
    total, n = 0.0, 0
    for moment in value[:n_first]:
        for step, reading in zip(steps, moment, strict=True):
            total += step(reading)
    began_s = perf_counter()
    for moment in value[n_first:]:
        for step, reading in zip(steps, moment, strict=True):
            total += step(reading)
            n += 1
    spent_s = perf_counter() - began_s
    return n / spent_s if math.isfinite(total) else math.nan


def main() -> None:
    """Answer with a figure for the peer that is asked for."""
    warnings.simplefilter("ignore")
    asked = json.loads(sys.stdin.read())
    json.dump(measure(PEERS[asked["peer"]], asked["value"], asked["n_first"]), sys.stdout)


if __name__ == "__main__":
    main()
