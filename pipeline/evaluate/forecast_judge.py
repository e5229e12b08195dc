"""What the forecasts of one stream were worth, and what those of many streams were worth together.

Comes in: the readings of a stream and what every forecaster foretold for each. Goes out: errors over the
readings that all of them foretold, and the key figures over streams. Refuses to know where forecasts come from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64, Bool
from pipeline.evaluate.forecast_errors import (
    absolute_errors,
    coverage,
    floored_ratio,
    mean_error,
    pinball_loss,
    relative_error,
)

LEAGUE, LSTM, PERSISTENCE = "league", "lstm", "persistence"
SEASONAL_PERSISTENCE = "seasonal persistence"
#: Readings of a stream after which the league must be as good as its best baseline.
N_FIRST = 1_000
#: Fewest common readings from which an error is told.
N_LEAST = 100


@dataclass(frozen=True, slots=True)
class Forecasts:
    """The accepted readings of one stream, N of them, with every forecast made before they came.

    Attributes:
        stream: Name.
        value: Readings, sensor's unit, shape (N,).
        by: Forecasts by forecaster, shape (N,) each: NaN for none, infinite once it had diverged.
        seasonal: Names in ``by`` that look back a season, and so foretell nothing for long at the start.
        baselines: Names in ``by`` that the league must keep up with.
        half_widths: Of the league's intervals at ``forecast_errors.LEVELS``, shape (N, 3).
    """

    stream: str
    value: F64
    by: Mapping[str, F64]
    seasonal: frozenset[str]
    baselines: frozenset[str]
    half_widths: F64


@dataclass(frozen=True, slots=True)
class StreamErrors:
    """Errors of all forecasters on one stream; NaN stands for "nothing can be said".

    Attributes:
        stream: Name.
        n_readings: Accepted readings.
        n: Readings that every forecaster without a season foretold: the ``mae`` are over these.
        n_season: Those that the seasonal ones foretold as well: the ``season_mae`` are over these.
        mae: Mean absolute errors, sensor's unit; infinite for one that diverged. None with a season.
        season_mae: The same over fewer readings, those with a season too.
        coverage: Share of readings inside the league's intervals at 50, 90 and 99 %.
        pinball: Quantile loss of the league's intervals, sensor's unit.
        keeps_up: The league's error over the best baseline's after the first 1,000 readings.
        best: Who that baseline is.
    """

    stream: str
    n_readings: int
    n: int
    n_season: int
    mae: Mapping[str, float]
    season_mae: Mapping[str, float]
    coverage: tuple[float, ...]
    pinball: float
    keeps_up: float
    best: str

    def mase(self, name: str) -> float:
        """Return the error over persistence's on the same readings: Hyndman & Koehler's scaled error."""
        mae = self.mae if name in self.mae else self.season_mae
        return relative_error(mae.get(name, np.nan), mae.get(PERSISTENCE, np.nan))

    def season_mase(self, name: str) -> float:
        """Return the error over that of seasonal persistence on the same readings."""
        return relative_error(self.season_mae.get(name, np.nan), self.season_mae.get(SEASONAL_PERSISTENCE, np.nan))

    def ratio(self, name: str, other: str) -> float:
        """Return one forecaster's error over another's, on the same readings."""
        mae = self.mae if {name, other} <= self.mae.keys() else self.season_mae
        return relative_error(mae.get(name, np.nan), mae.get(other, np.nan))


def judge(forecasts: Forecasts) -> StreamErrors:
    """Measure all forecasters of a stream on the same readings.

    Example:
        >>> value = np.arange(200.0)
        >>> by = {"persistence": value - 1, "lstm": value - 0.5, "league": value - 0.5}
        >>> widths = np.tile([0.4, 0.5, 0.6], (200, 1))
        >>> errors = judge(Forecasts("t", value, by, frozenset(), frozenset({"persistence"}), widths))
        >>> errors.n, errors.mase("lstm"), errors.coverage
        (200, 0.5, (0.0, 1.0, 1.0))
    """
    value = forecasts.value
    errors = {name: absolute_errors(value, forecast) for name, forecast in forecasts.by.items()}
    common = _common(errors, forecasts.by.keys() - forecasts.seasonal, np.ones(len(value), np.bool_))
    season = _common(errors, forecasts.by.keys() & forecasts.seasonal, common)
    plain = {name: error for name, error in errors.items() if name not in forecasts.seasonal}
    late = np.arange(len(value)) >= N_FIRST
    keeps_up, best = _keeps_up(errors, forecasts, common & late, season & late)
    widths = forecasts.half_widths[common]
    return StreamErrors(
        stream=forecasts.stream,
        n_readings=len(value),
        n=int(common.sum()),
        n_season=int(season.sum()),
        mae=_means(plain, common),
        season_mae=_means(errors, season),
        coverage=tuple(coverage(errors[LEAGUE][common], widths).tolist()),
        pinball=pinball_loss((value - forecasts.by[LEAGUE])[common], widths),
        keeps_up=keeps_up,
        best=best,
    )


def _common(errors: Mapping[str, F64], names: set[str], rows: Bool) -> Bool:
    """Narrow ``rows`` to those that all of ``names`` foretold; who never foretold anything does not count."""
    foretold = [~np.isnan(errors[name]) for name in names]
    there = [known for known in foretold if known.any()]
    return np.logical_and.reduce([rows, *there]) if there else rows


def _means(errors: Mapping[str, F64], rows: Bool) -> dict[str, float]:
    """Return the mean errors over ``rows``; nothing when these are too few or not all foretold."""
    if int(rows.sum()) < N_LEAST:
        return {}
    means = {name: mean_error(error, rows) for name, error in errors.items()}
    return {name: mean for name, mean in means.items() if not np.isnan(mean)}


def _keeps_up(errors: Mapping[str, F64], forecasts: Forecasts, rows: Bool, season: Bool) -> tuple[float, str]:
    """Return the league's largest error over any baseline's, each on the same readings, and who that was.

    Errors under a thousandth of persistence's count as that, so that a perfect baseline is no division by 0.
    """
    worst, best = np.nan, ""
    for name in sorted(forecasts.baselines):
        means = _means(errors, season if name in forecasts.seasonal else rows)
        if {name, LEAGUE, PERSISTENCE} <= means.keys():
            ratio = floored_ratio(means[LEAGUE], means[name], means[PERSISTENCE])
            if not ratio <= worst and not np.isnan(ratio):
                worst, best = ratio, name
    return worst, best


def mean_over_seeds(runs: Sequence[StreamErrors]) -> StreamErrors:
    """Average the errors of one stream over seeds; of ``keeps_up`` the worst is kept.

    Args:
        runs: One or more, of the same stream and readings.
    """
    worst = max(runs, key=lambda run: -np.inf if np.isnan(run.keeps_up) else run.keeps_up)
    first = runs[0]
    return StreamErrors(
        stream=first.stream,
        n_readings=first.n_readings,
        n=first.n,
        n_season=first.n_season,
        mae=_mean_by_name([run.mae for run in runs]),
        season_mae=_mean_by_name([run.season_mae for run in runs]),
        coverage=tuple(np.mean([run.coverage for run in runs], axis=0).tolist()),
        pinball=float(np.mean([run.pinball for run in runs])),
        keeps_up=worst.keeps_up,
        best=worst.best,
    )


def _mean_by_name(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average numbers by name, over the runs that have the name."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: float(np.mean([run[name] for run in runs if name in run])) for name in names}
