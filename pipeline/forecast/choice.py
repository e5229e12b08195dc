"""Who is shown: the forecaster that was recently best, judged apart in calm and after a shock.

What comes after a reading that nobody foretold is another question than what comes next on an
ordinary day: a spike is followed by its end, a step is not. Few readings are shocks, but they make
most of the error of many streams, so each mood has its own errors and its own choice.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I8, I32, I64, Bool, Slots
from pipeline.forecast.baselines import Forecaster, faded

CALM, SHAKEN = range(2)
N_MOODS = 2
_GAINS = np.array([0.005, 0.01])  # memories of about 200 calm readings and 100 shocks
_LEAD = 0.97  # a challenger's error must be below this share of the error of who is shown
_SHOCK = 6.0  # usual errors that a residual must exceed to be a shock, ...
_SHOCK_SPREADS = 0.5  # ... and spreads of the stream
_N_PROVEN = (32, 5)  # errors that a forecaster needs to be chosen in each mood, or as many as persistence has
_N_SHOCKS = 5  # shocks seen before what follows them is judged apart
_MOST_IN_ROW = 8  # shocks in a row; more of them are no shock but a change, which the calm choice must follow
_N_SETTLED = 50  # readings before a shock can be told
_USUAL_GAIN = 0.01
_USUAL_CLIP = 10.0  # usual residuals that one counts for at most
_N_FREE = 20  # readings before the usual residual is worth something as a bound


@dataclass
class Choice(SlotArrays):
    """Errors and choice by mood; two moods, F forecasters.

    Attributes:
        who: ``Forecaster`` shown, int8, shape (S, 2).
        mood_error: Recent mean absolute error, sensor's unit, shape (S, 2, F).
        n_mood_errors: Errors taken in, int32, shape (S, 2, F).
        is_shaken: The newest reading was a shock, shape (S,).
        n_in_row: Shocks in a row so far, int32, shape (S,).
        usual_miss: Recent mean absolute residual of the shown forecasts, bounded, sensor's unit, shape (S,).
        n_misses: Residuals taken in, int32, shape (S,).
    """

    who: I8 = column(np.int8, "moods", fill=Forecaster.BLEND)
    mood_error: F64 = column(np.float64, "moods", "forecasters")
    n_mood_errors: I32 = column(np.int32, "moods", "forecasters")
    is_shaken: Bool = column(np.bool_)
    n_in_row: I32 = column(np.int32)
    usual_miss: F64 = column(np.float64)
    n_misses: I32 = column(np.int32)

    def chosen(self, ix: Slots) -> I64:
        """Return who is to be shown for the next reading, shape (A,)."""
        who: I64 = self.who[ix, CALM].astype(np.int64)
        is_apart = self._is_apart(ix)
        if is_apart.any():
            who[is_apart] = self.who[ix, SHAKEN][is_apart]
        return who

    def standing(self, ix: Slots) -> F64:
        """Return errors in the mood of the next reading, inf where not proven, sensor's unit, shape (A, F)."""
        is_apart = self._is_apart(ix)
        error, n = self.mood_error[ix], self.n_mood_errors[ix]
        calm = _proven(error[:, CALM], n[:, CALM], _N_PROVEN[CALM])
        if not is_apart.any():  # nearly always
            return calm
        return np.where(is_apart[:, None], _proven(error[:, SHAKEN], n[:, SHAKEN], _N_PROVEN[SHAKEN]), calm)

    def _is_apart(self, ix: Slots) -> Bool:
        """Say where the next reading follows a shock, and enough shocks have been seen before."""
        apart: Bool = self.is_shaken[ix] & (self.n_mood_errors[ix, SHAKEN, Forecaster.PERSISTENCE] >= _N_SHOCKS)
        return apart

    def learn_choice(self, ix: Slots, slots: I64, size: F64) -> None:
        """Take in errors in the mood they were made in, and choose anew.

        Args:
            ix: Streams.
            slots: The same streams as an index array, shape (A,).
            size: Absolute residuals, bounded, NaN where there was no forecast, sensor's unit, shape (A, F).
        """
        shaken = self.is_shaken[ix]
        if not shaken.any():  # nearly always
            self._learn_in(CALM, ix, slots, size)
            return
        for mood, rows in ((CALM, np.flatnonzero(~shaken)), (SHAKEN, np.flatnonzero(shaken))):
            if len(rows):
                self._learn_in(mood, slots[rows], slots[rows], size[rows])

    def _learn_in(self, mood: int, ix: Slots, slots: I64, size: F64) -> None:
        """Take in errors of streams in one mood."""
        n = self.n_mood_errors[ix, mood]
        error = faded(self.mood_error[ix, mood], size, n, _GAINS[mood])
        n = n + ~np.isnan(size)
        self.mood_error[ix, mood] = error
        self.n_mood_errors[ix, mood] = n
        known = _proven(error, n, _N_PROVEN[mood])
        best, rows = known.argmin(axis=1), np.arange(len(slots))
        leads = known[rows, best] < _LEAD * known[rows, self.who[ix, mood]]
        if leads.any():
            self.who[slots[leads], mood] = best[leads]

    def note_shocks(self, ix: Slots, size: F64, spread: F64) -> None:
        """Say whether the newest reading was a shock.

        Args:
            ix: Streams.
            size: Absolute residual of the shown forecast, NaN for none, sensor's unit, shape (A,).
            spread: Spread of each stream, sensor's unit, shape (A,).
        """
        usual, n = self.usual_miss[ix], self.n_misses[ix]
        is_shock = (size > np.maximum(_SHOCK * usual, _SHOCK_SPREADS * spread)) & (n >= _N_SETTLED)
        self.n_in_row[ix] = np.where(is_shock, self.n_in_row[ix] + 1, 0)
        self.is_shaken[ix] = is_shock & (self.n_in_row[ix] <= _MOST_IN_ROW)
        bounded = np.minimum(size, np.where(n < _N_FREE, np.inf, _USUAL_CLIP * usual))
        self.usual_miss[ix] = faded(usual[:, None], bounded[:, None], n, _USUAL_GAIN)[:, 0]
        self.n_misses[ix] += ~np.isnan(size)


def _proven(error: F64, n: I32, n_proven: int | I64) -> F64:
    """Return errors, inf for who has foretold too little beside the others: a few lucky hits prove nothing."""
    enough = np.minimum(n[:, Forecaster.PERSISTENCE], n_proven)
    return np.where(n >= np.maximum(enough, 1)[:, None], error, np.inf)
