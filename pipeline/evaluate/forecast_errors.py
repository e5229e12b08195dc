"""How wrong forecasts were: absolute and scaled errors, coverage and quantile loss, as pure functions.

Comes in: readings, and what was foretold for each of them, NaN where nothing was. Goes out: numbers.
Refuses to know who foretold, and from which recording.
"""

import numpy as np

from pipeline.core.records import F64, Bool

#: Probabilities of the intervals that are judged, in the order of ``Detail.half_widths``.
LEVELS = (0.5, 0.9, 0.99)
#: Two seasons that most processes with people in them have, seconds.
DAY_S, WEEK_S = 86_400.0, 604_800.0
#: Errors under this share of persistence's count as this share: nobody is worse than a perfect forecast by chance.
FLOOR = 1e-3


def absolute_errors(value: F64, forecast: F64) -> F64:
    """Return ``|value - forecast|``; NaN where there was no forecast, infinite where it had diverged.

    Example:
        >>> absolute_errors(np.array([1.0, 2.0, 3.0]), np.array([np.nan, 4.0, np.inf])).tolist()
        [nan, 2.0, inf]
    """
    with np.errstate(over="ignore"):
        return np.abs(value - forecast)


def mean_error(errors: F64, rows: Bool) -> float:
    """Return the mean absolute error over some readings; NaN when there are none.

    Example:
        >>> mean_error(np.array([1.0, 3.0, 9.0]), np.array([True, True, False]))
        2.0
    """
    with np.errstate(over="ignore"):
        return float(errors[rows].mean()) if rows.any() else np.nan


def relative_error(error: float, reference: float) -> float:
    """Return one mean error over another of the very same readings; against persistence this is the MASE.

    The mean absolute scaled error of Hyndman & Koehler, "Another look at measures of forecast accuracy",
    International Journal of Forecasting 22 (2006), with the scale taken over the readings foretold instead of
    a training part: there is none online.

    Args:
        error: Mean absolute error, sensor's unit; may be infinite.
        reference: That of the reference, over the same readings.

    Returns:
        Under 1 where the reference is beaten. NaN where the reference made no error: a constant stream has no
        scale, so nothing can be said.

    Example:
        >>> relative_error(3.0, 4.0), relative_error(1.0, 0.0)
        (0.75, nan)
    """
    return error / reference if reference > 0 else np.nan


def floored_ratio(error: float, reference: float, persistence: float) -> float:
    """Return ``relative_error`` with both errors at least a thousandth of persistence's.

    For comparing with a reference that may be perfect, such as the profile of an artificial season.

    Example:
        >>> floored_ratio(0.002, 0.0, 1.0), floored_ratio(1e-9, 0.0, 1.0)
        (2.0, 1.0)
    """
    floor = FLOOR * persistence
    return relative_error(max(error, floor), max(reference, floor))


def coverage(errors: F64, half_widths: F64) -> F64:
    """Return the share of readings inside each interval, its ends included.

    Args:
        errors: Absolute errors of the interval's centre, shape (N,).
        half_widths: Half widths, shape (N, L), in the same unit; rows with NaN are left out.

    Returns:
        Shares in [0, 1], shape (L,); NaN when no row is left.

    Example:
        >>> coverage(np.array([0.0, 1.0, 2.0, 9.0]), np.array([[0.5, 2.0]] * 4)).tolist()
        [0.25, 0.75]
    """
    rows = _known(errors, half_widths)
    if not rows.any():
        return np.full(half_widths.shape[1], np.nan)
    share: F64 = (errors[rows, None] <= half_widths[rows]).mean(axis=0)
    return share


def pinball_loss(residual: F64, half_widths: F64) -> float:
    """Return the quantile loss of symmetric intervals, averaged over their ends and the median.

    The loss of quantile q foretold as f is ``max(q (v - f), (q - 1) (v - f))`` (Koenker & Bassett,
    "Regression quantiles", Econometrica 46, 1978). The interval of probability p ends at the quantiles
    (1 - p) / 2 and (1 + p) / 2. It punishes intervals that are too wide as well as those that miss.

    Args:
        residual: Reading minus forecast, sensor's unit, shape (N,).
        half_widths: Half widths at ``LEVELS``, shape (N, 3); rows with NaN are left out.

    Returns:
        Mean loss, sensor's unit; NaN when no row is left.

    Example:
        >>> round(pinball_loss(np.array([4.0]), np.array([[1.0, 2.0, 3.0]])), 12)
        1.247142857143
        >>> round((0.5 * 4 + 0.75 * 3 + 0.95 * 2 + 0.995 * 1 + 0.25 * 5 + 0.05 * 6 + 0.005 * 7) / 7, 12)
        1.247142857143
    """
    rows = _known(residual, half_widths)
    if not rows.any():
        return np.nan
    upper = (1 + np.array(LEVELS)) / 2
    quantiles = np.concatenate([1 - upper, [0.5], upper])
    widths = half_widths[rows]
    ends = np.concatenate([-widths, np.zeros((len(widths), 1)), widths], axis=1)  # (N, 7)
    miss = residual[rows, None] - ends
    return float(np.maximum(quantiles * miss, (quantiles - 1) * miss).mean())


def _known(errors: F64, half_widths: F64) -> Bool:
    """Return the rows that hold numbers throughout."""
    known: Bool = ~(np.isnan(errors) | np.isnan(half_widths).any(axis=1))
    return known


def season_s(time: F64) -> float:
    """Return the season by which seasonal persistence looks back: a day, or a week for about daily readings.

    Args:
        time: Event times of a stream, Unix seconds, ascending.

    Example:
        >>> season_s(np.arange(10) * 300.0) == DAY_S, season_s(np.arange(10) * DAY_S) == WEEK_S
        (True, True)
    """
    cadence = float(np.median(np.diff(time))) if len(time) > 1 else 0.0
    return DAY_S if cadence <= DAY_S / 4 else WEEK_S


def seasonal_persistence(time: F64, value: F64, lag_s: float) -> F64:
    """Foretell each reading as the one a season before it.

    Args:
        time: Event times, Unix seconds, ascending, shape (N,).
        value: Readings, shape (N,).
        lag_s: The season, seconds.

    Returns:
        The newest reading at least ``lag_s`` old, shape (N,); NaN where it is over 5 % older than that.

    Example:
        >>> seasonal_persistence(np.array([0.0, 10.0, 20.0, 35.0]), np.array([1.0, 2.0, 3.0, 4.0]), 20.0).tolist()
        [nan, nan, 1.0, nan]
    """
    then = np.searchsorted(time, time - lag_s, side="right") - 1
    is_there = (then >= 0) & (time - time[then] <= 1.05 * lag_s)
    return np.where(is_there, value[then], np.nan)
