"""Context: the newest values of other streams, as a stream's network sees them.

Which streams these are is set from outside; here their values are brought to a common scale, by
what each has been so far.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, I32, I64, Slots

_MEMORY = 3000
_BOUND = 3.0
_CLIP = 10.0  # spreads that one value counts for at most: a glitch must not flatten what follows


@dataclass
class Context(SlotArrays):
    """The K context inputs of every stream.

    Attributes:
        source: Slot of each context stream, -1 for none, int32, shape (S, K).
        n: Readings of this stream at which it had a value, int64, shape (S, K).
        mean: Running location, unit of the source, shape (S, K).
        var: Running variance, shape (S, K).
    """

    source: I32 = column(np.int32, "context", fill=-1)
    n: I64 = column(np.int64, "context")
    mean: F64 = column(np.float64, "context")
    var: F64 = column(np.float64, "context")

    def scaled(self, ix: Slots, value: F64) -> F32:
        """Scale context values by what they were before, then learn them.

        Args:
            ix: Streams.
            value: Newest value of each context stream, NaN where there is none, shape (A, K).

        Returns:
            In spreads from the middle, within three; 0 where there is no value, float32, shape (A, K).
        """
        if not value.shape[1]:
            return np.zeros(value.shape, np.float32)
        is_known = ~np.isnan(value)
        mean, var = self.mean[ix], self.var[ix]
        deviation = np.where(is_known, value - mean, 0.0)
        spread = np.sqrt(var)
        moved = np.sign(deviation) * (self.n[ix] > 0)  # what has rested so far tells no scale, but that it moved
        z = np.divide(deviation, spread, out=moved, where=(spread > 0) & is_known)
        self.n[ix] += is_known
        gain = is_known / np.clip(self.n[ix], 1, _MEMORY)
        deviation = np.where(spread > 0, np.clip(deviation, -_CLIP * spread, _CLIP * spread), deviation)
        self.var[ix] = (1 - gain) * (var + gain * deviation * deviation)
        self.mean[ix] = mean + gain * deviation
        bounded: F32 = np.clip(z, -_BOUND, _BOUND).astype(np.float32)
        return bounded


def newest_values(at: F64, time: F64, value: F64) -> F64:
    """Return what a stream's value was at certain times: the newest reading at or before each.

    Args:
        at: Times asked for, Unix seconds, shape (N,).
        time: Event times of the readings, ascending, shape (M,).
        value: The readings, shape (M,).

    Returns:
        NaN where there was no reading yet, shape (N,).

    Example:
        >>> newest_values(np.array([0.5, 1.0, 9.0]), np.array([1.0, 2.0]), np.array([10.0, 20.0])).tolist()
        [nan, 10.0, 20.0]
    """
    place = np.searchsorted(time, at, side="right") - 1
    return np.where(place >= 0, np.append(value, np.nan)[place], np.nan)
