"""river's forecasters on the same readings, each tested on a reading and then trained on it.

Comes in: the readings of streams. Goes out: what every model of river foretold for each. The models run in two
processes beside each other, one stream at a time. Refuses to know what the forecasts are compared with.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

from pipeline.core.errors import ForetellError
from pipeline.core.records import F64
from pipeline.evaluate.forecast_errors import DAY_S

if TYPE_CHECKING:
    from river.time_series.base import Forecaster

N_PROCESSES = 2
#: A model that needs a day is left out where a day has fewer or more readings than this.
DAY_READINGS = (4, 5_000)
#: Told how many readings more have been foretold by all models.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Peer:
    """A forecaster of another library.

    Attributes:
        family: Those that are one method with other settings.
        is_seasonal: It looks back a day.
        settings: How it was set up, in the library's own words.
    """

    family: str
    is_seasonal: bool
    settings: str


#: river's models by the name they have in tables. With plain SGD, river's default, SNARIMAX runs away on most of NAB
#: (median MASE 4e11 with p = q = 12); with Adam on a scaled target it does not (0.96), so that is the peer that counts.
RIVER_PEERS: Mapping[str, Peer] = {
    "exponential smoothing": Peer("exponential smoothing", is_seasonal=False, settings="HoltWinters(alpha=0.3)"),
    "HoltWinters": Peer("HoltWinters", is_seasonal=False, settings="HoltWinters(alpha=0.3, beta=0.1)"),
    "HoltWinters day": Peer(
        "HoltWinters",
        is_seasonal=True,
        settings="HoltWinters(alpha=0.3, beta=0.1, gamma=0.6, seasonality=readings per day)",
    ),
    "SNARIMAX 4": Peer(
        "SNARIMAX", is_seasonal=False, settings="SNARIMAX(p=4, d=1, q=0, StandardScaler | LinearRegression)"
    ),
    "SNARIMAX 12": Peer(
        "SNARIMAX", is_seasonal=False, settings="SNARIMAX(p=12, d=1, q=12, StandardScaler | LinearRegression)"
    ),
    "SNARIMAX 12 Adam": Peer(
        "SNARIMAX",
        is_seasonal=False,
        settings="the same with TargetStandardScaler(LinearRegression(optimizer=Adam(0.001)))",
    ),
}


def readings_per_day(time: F64) -> int:
    """Return the season that a model with a day is told, in readings; 0 where a day makes no season.

    It knows the whole recording's usual interval beforehand: an advantage that the engine does not have.

    Example:
        >>> readings_per_day(np.arange(1000) * 300.0), readings_per_day(np.arange(100) * 300.0)
        (288, 0)
    """
    cadence = float(np.median(np.diff(time))) if len(time) > 1 else 0.0
    per_day = round(DAY_S / cadence) if cadence > 0 else 0
    low, high = DAY_READINGS
    return per_day if low <= per_day <= min(high, len(time) // 2) else 0


def river_forecasts(value: F64, season: int) -> dict[str, F64]:
    """Foretell every reading with every model of river.

    Args:
        value: Readings, shape (N,).
        season: Readings per day; 0 leaves out the models that need it.

    Returns:
        Forecasts by name in ``RIVER_PEERS``, shape (N,) each: NaN before the first one, infinite from where a model
        failed or gave no number.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a model that overflows is reported as diverged
        return {name: prequential(model, value, n_first) for name, (model, n_first) in _models(season).items()}


def prequential(model: "Forecaster", value: F64, n_first: int) -> F64:
    """Test on each reading, then train on it.

    The prequential error of Gama, Sebastiao & Rodrigues, "On evaluating stream learning algorithms", Machine
    Learning 90 (2013).

    Args:
        model: A fresh forecaster of river.
        value: Readings, shape (N,).
        n_first: Readings it needs before it foretells.

    Returns:
        One forecast per reading: NaN for the first ``n_first``, infinite from where it diverged.
    """
    forecasts = np.full(len(value), np.nan)
    try:
        for i, reading in enumerate(value.tolist()):
            if i >= n_first:
                forecasts[i] = model.forecast(horizon=1)[0]
            model.learn_one(reading)
    except (ArithmeticError, ValueError):  # what a model does that has run away
        forecasts[i:] = np.inf
    bad = np.flatnonzero(~np.isfinite(forecasts[n_first:]))
    if len(bad):
        forecasts[n_first + int(bad[0]) :] = np.inf
    return forecasts


def _models(season: int) -> dict[str, tuple["Forecaster", int]]:
    """Return fresh models by name, each with the readings it needs before its first forecast."""
    from river.linear_model import LinearRegression
    from river.optim import Adam
    from river.preprocessing import StandardScaler, TargetStandardScaler
    from river.time_series import SNARIMAX, HoltWinters

    steady = StandardScaler() | TargetStandardScaler(LinearRegression(optimizer=Adam(0.001)))
    models: dict[str, tuple[Forecaster, int]] = {
        "exponential smoothing": (HoltWinters(alpha=0.3), 2),
        "HoltWinters": (HoltWinters(alpha=0.3, beta=0.1), 2),
        "SNARIMAX 4": (SNARIMAX(p=4, d=1, q=0, regressor=StandardScaler() | LinearRegression()), 2),
        "SNARIMAX 12": (SNARIMAX(p=12, d=1, q=12, regressor=StandardScaler() | LinearRegression()), 2),
        "SNARIMAX 12 Adam": (SNARIMAX(p=12, d=1, q=12, regressor=steady), 2),
    }
    if season:
        models["HoltWinters day"] = (HoltWinters(alpha=0.3, beta=0.1, gamma=0.6, seasonality=season), season)
    return models


def run_river(streams: Sequence[tuple[F64, F64]], progress: Progress) -> list[dict[str, F64]]:
    """Run river's models over many streams, in two processes.

    Args:
        streams: Times and readings of each.
        progress: Told the readings of each stream that is done.

    Returns:
        Forecasts by name, in the order of ``streams``.

    Raises:
        ForetellError: A process died, as for lack of memory.
    """
    longest_first = sorted(range(len(streams)), key=lambda i: -len(streams[i][1]))
    found: dict[int, dict[str, F64]] = {}
    pool = ProcessPoolExecutor(N_PROCESSES, mp_context=get_context("spawn"))
    try:
        number = {
            pool.submit(river_forecasts, streams[i][1], readings_per_day(streams[i][0])): i for i in longest_first
        }
        for done in as_completed(number):
            found[number[done]] = done.result()
            progress(len(streams[number[done]][1]))
    except RuntimeError as error:  # a broken pool
        raise ForetellError(f"river's forecasters: a process ended early: {error}") from None
    finally:
        pool.shutdown(cancel_futures=True)
    return [found[i] for i in range(len(streams))]
