"""Which season a stream should have: the day that is assumed, the one in use, or the one just found.

Comes in: what a search found, and the season in use. Goes out: the season to use from now on. It
knows calendars and hysteresis, neither readings nor bins.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64, I8, Bool
from pipeline.streams.season_search import Found, strength_at

_HOUR_S = 3600.0
_DAY_S = 24 * _HOUR_S
_WEEK_S = 7 * _DAY_S
_FEWEST_A_DAY, _MOST_A_DAY = 4, 100_000
_SNAP = 0.01  # a season this close to an hour, a day or a week, relatively, is one
_BLUR = 0.2  # likewise, in parts of what a stretch can tell apart: the season over the number of its repetitions
_SAME = 0.02  # relative difference up to which two lengths are of one season
_REPLACES_DAY = 0.5  # autocorrelation from which a short season is worth more than the likely day
_CLEARLY = 0.1  # autocorrelation by which another season must be better than the one in use
_ADJUST = 0.25  # usual intervals by which a season in use must be off before it is adjusted
_STILL_THERE = 0.15  # autocorrelation under which a season in use counts as not seen
_N_MISSED = 3  # searches in a row without it before a season is given up


@dataclass(frozen=True, slots=True)
class Choice:
    """The season to use, shape (D,) each.

    Attributes:
        period_s: Its length, seconds, 0 for none.
        is_found: It was found in the readings, not assumed.
        n_missed: Searches in a row that did not see it.
    """

    period_s: F64
    is_found: Bool
    n_missed: I8


def choose(found: Found, current: F64, was_found: Bool, n_missed: I8) -> Choice:
    """Choose the season of each stream.

    A day is assumed where it has 4 to 100,000 usual intervals. A season found in the readings
    replaces it, another must be clearly better than the one in use, and one that three searches in
    a row do not see is given up.

    Args:
        found: What the newest readings show.
        current: Length of the season in use, seconds, 0 for none, shape (D,).
        was_found: It was found, not assumed, shape (D,).
        n_missed: Searches in a row that did not see it, shape (D,).
    """
    step_s = np.where(np.isfinite(found.step_s), found.step_s, np.inf)
    a_day = _DAY_S / step_s
    default = np.where((a_day >= _FEWEST_A_DAY) & (a_day <= _MOST_A_DAY), _DAY_S, 0.0)
    candidate = _on_calendar(found, step_s)
    strength = strength_at(found, np.where(was_found, current / step_s, 0.0))
    missed = np.where(was_found & ~(strength >= _STILL_THERE), n_missed + 1, 0)
    keeps = was_found & (missed < _N_MISSED)
    is_same = np.abs(candidate - current) <= _SAME * current
    is_off = np.abs(candidate - current) > _ADJUST * step_s
    is_better = np.where(is_same, is_off, found.strength > strength + _CLEARLY)
    takes = (candidate > 0) & np.where(keeps, is_better, _beats_day(found, candidate, default))
    period_s = np.where(takes, candidate, np.where(keeps, current, default))
    return Choice(period_s, takes | keeps, np.where(takes, 0, missed).astype(np.int8))


def _beats_day(found: Found, candidate: F64, default: F64) -> Bool:
    """Say whether a season found in the readings is worth more than the day that is assumed.

    Where the stretch can show the day, another season must repeat clearly better. Where it will
    be able to, with more readings, that is waited for. Where it never will, the day is likely but
    unproven, and the shorter season must explain half of the variance.
    """
    step_s = np.where(np.isfinite(found.step_s), found.step_s, np.inf)
    a_day = default / step_s
    is_shown, is_out_of_reach = a_day <= found.longest, a_day > found.likeness.shape[1]
    beats_shown = is_shown & (found.strength > strength_at(found, a_day) + _CLEARLY)
    beats_assumed = is_out_of_reach & (found.strength >= _REPLACES_DAY)
    found_it: Bool = (default == 0) | (candidate == default) | beats_shown | beats_assumed
    return found_it


def _on_calendar(found: Found, step_s: F64) -> F64:
    """Return the found seasons in seconds, 0 for none; an hour, a day or a week where that cannot be told apart."""
    lag = found.lag
    blur = np.maximum(_SNAP * lag, _BLUR * lag * lag / (3 * np.maximum(found.longest, 1.0)))
    period_s = np.where(lag > 0, lag * np.where(np.isfinite(step_s), step_s, 0.0), 0.0)
    for calendar_s in (_HOUR_S, _DAY_S, _WEEK_S):
        period_s = np.where(np.abs(lag - calendar_s / step_s) <= blur, calendar_s, period_s)
    return np.where(lag > 0, period_s, 0.0)
