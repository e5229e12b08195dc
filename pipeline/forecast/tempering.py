"""How far to follow the LSTM away from the last reading: as far as of late would have been best.

A small network that learns online overreacts: on most public recordings half or three quarters of
the way it foretells are nearer to what comes than all of it. The share is chosen per stream among a
few by recent error, which also bounds the damage of a network that has lost its way: no step at all
is persistence.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I32, Slots
from pipeline.forecast.baselines import faded

#: Shares of the way that are tried side by side.
SHARES = np.array([1.0, 0.75, 0.5, 0.25, 0.0])
N_SHARES = len(SHARES)
_GAIN = 0.01  # a memory of about 100 readings


@dataclass
class Tempering(SlotArrays):
    """What each share of the LSTM's way would have missed by; K shares.

    Attributes:
        way: The LSTM's forecast under way minus the reading it was made at, sensor's unit, NaN for none, shape (S,).
        share_error: Recent mean absolute error of each share, sensor's unit, shape (S, K).
        n_ways: Forecasts judged so far, int32, shape (S,).
    """

    way: F64 = column(np.float64, fill=np.nan)
    share_error: F64 = column(np.float64, "shares")
    n_ways: I32 = column(np.int32)

    def temper(self, ix: Slots, value: F64, location: F64) -> F64:
        """Return tempered forecasts, and remember the way for judging.

        Args:
            ix: Streams.
            value: Newest readings, sensor's unit, shape (A,).
            location: The LSTM's forecasts of the next, sensor's unit, NaN for none, shape (A,).
        """
        way = location - value
        self.way[ix] = way
        tempered: F64 = value + SHARES[self.share_error[ix].argmin(axis=1)] * way
        return tempered

    def learn_tempering(self, ix: Slots, change: F64, most: F64) -> None:
        """Take in how far the readings really moved.

        Args:
            ix: Streams.
            change: Readings minus those before, sensor's unit, shape (A,).
            most: Errors count no more than this, sensor's unit, shape (A,).
        """
        size = change[:, None] - SHARES * self.way[ix][:, None]
        np.minimum(np.abs(size, out=size), most[:, None], out=size)
        self.share_error[ix] = faded(self.share_error[ix], size, self.n_ways[ix], _GAIN)
        self.n_ways[ix] += ~np.isnan(size[:, 0])
