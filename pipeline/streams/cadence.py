"""How often a stream speaks: a running median of its intervals, and what counts as a gap."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I64, Slots

_FASTEST = 0.25
_SLOWEST = 0.02
_GAINS = np.maximum(_SLOWEST, _FASTEST / np.maximum(np.arange(14), 1))  # by readings before; of more it is the last
#: What a step is multiplied by where an interval is less, and more, by readings before; shape (14, 2).
PACES = np.exp(np.stack((-_GAINS, _GAINS), axis=1))


@dataclass
class Cadence(SlotArrays):
    """The usual interval of each stream.

    Attributes:
        step_s: Running median of the intervals, seconds, NaN until the second reading, shape (S,).
    """

    step_s: F64 = column(np.float64, fill=np.nan)

    def learn(self, ix: Slots, interval_s: F64, n: I64) -> None:
        """Move the median one step towards an interval.

        A stochastic median in the logarithm (Robbins & Monro 1951 on the sign of the error): one
        absurd interval moves it by a few percent, and a constant interval is met exactly.

        Args:
            ix: Streams.
            interval_s: Seconds since the previous reading, NaN for the first, shape (A,).
            n: Readings before this one, shape (A,).
        """
        step = self.step_s[ix]
        gain = np.maximum(_SLOWEST, _FASTEST / np.maximum(n, 1))
        with np.errstate(invalid="ignore"):
            away = interval_s - step
            reached = np.abs(away) <= gain * step
            moved = interval_s if reached.all() else np.where(reached, interval_s, step * np.exp(gain * np.sign(away)))
        is_unknown = np.isnan(away)
        if is_unknown.any():
            moved = np.where(np.isnan(step), interval_s, np.where(np.isnan(interval_s), step, moved))
        self.step_s[ix] = moved
