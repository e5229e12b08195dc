"""What the network must beat: persistence, and the recent skill of one against the other."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, Bool, Slots

_GAIN = 0.01  # a memory of about 100 readings
_CLIP = 10.0  # spreads: one glitch must not decide the comparison


@dataclass
class Skill(SlotArrays):
    """Recent mean absolute one-step errors, exponentially weighted.

    Attributes:
        lstm: Of the LSTM's forecast, sensor's unit, shape (S,).
        persistence: Of "the same as last time", sensor's unit, shape (S,).
    """

    lstm: F64 = column(np.float64)
    persistence: F64 = column(np.float64)

    def learn(self, ix: Slots, errors: tuple[F64, F64], spread: F64, is_known: Bool) -> None:
        """Take in the errors of one reading per stream, both clipped to ten spreads.

        Args:
            ix: Streams.
            errors: Residuals of LSTM and persistence, sensor's unit, shape (A,) each.
            spread: Spread of each stream, sensor's unit, shape (A,).
            is_known: Both forecasts existed, shape (A,).
        """
        gain = np.where(is_known, _GAIN, 0.0)
        for mean, error in zip((self.lstm, self.persistence), errors, strict=True):
            size = np.minimum(np.abs(error), _CLIP * spread)
            mean[ix] += gain * (np.where(is_known, size, 0.0) - mean[ix])

    def ratio(self, ix: Slots) -> F64:
        """Return the LSTM's error over that of persistence; below 1 it is better, NaN until known."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.persistence[ix] > 0, self.lstm[ix] / self.persistence[ix], np.nan)
