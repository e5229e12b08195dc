"""Onset: when a change that has just been noticed began.

Two cumulative sums of standardised one-step residuals, upwards and downwards, each never below 0 (Page, "Continuous
inspection schemes", Biometrika 1954): when one has grown, the change began after it was last 0. What the sums are
blind to began after the stream was last calm.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, Slots

_DRIFT = 0.5  # scales that a residual must exceed to count
_CLIP = 4.0  # scales that one residual counts for at most: a spike is not half a ramp
_GROWN = 3.0  # what a sum must have reached to tell an onset
_CALM = 0.5  # of the alert level, under which a stream is calm


@dataclass
class Onset(SlotArrays):
    """Sums upwards and downwards, and since when they have been above 0.

    Attributes:
        sums: Up, down, float32, shape (S, 2).
        began_s: Event time of the first reading since they were 0, Unix seconds, shape (S, 2).
        stirred_s: Event time of the first reading since the stream was last calm, Unix seconds, shape (S,).
    """

    sums: F32 = column(np.float32, "sides")
    began_s: F64 = column(np.float64, "sides", fill=np.nan)
    stirred_s: F64 = column(np.float64, fill=np.nan)

    def step(self, ix: Slots, time: F64, residual: F64, is_calm: "F64") -> None:
        """Take in standardised residuals, NaN for none, and scores as shares of the level, shape (A,) each."""
        sums = np.empty((len(time), 2))
        sums[:, 0] = np.where(np.isnan(residual), 0.0, residual).clip(-_CLIP, _CLIP)
        np.negative(sums[:, 0], out=sums[:, 1])
        before = self.sums[ix]
        was_above = before > 0
        sums += before
        sums -= _DRIFT
        self.sums[ix] = np.maximum(sums, 0.0, out=sums)
        self.began_s[ix] = np.where(was_above, self.began_s[ix], time[:, None])
        stirred = self.stirred_s[ix]
        self.stirred_s[ix] = np.where(is_calm < _CALM, np.nan, np.where(np.isnan(stirred), time, stirred))

    def estimate(self, slots: int, time: float) -> float:
        """Return when the change that a stream shows at ``time`` began, Unix seconds, never later than ``time``."""
        side = int(self.sums[slots].argmax())
        if self.sums[slots, side] >= _GROWN:
            return min(float(self.began_s[slots, side]), time)
        stirred = float(self.stirred_s[slots])
        return time if np.isnan(stirred) else min(stirred, time)
