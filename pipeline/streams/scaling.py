"""Causal robust scaling: where a stream's values lie and how far they spread, from the past only."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I64, Slots

_MEMORY = 3000
_CLIP = 10.0
_N_UNCLIPPED = 32
_FLOOR = 1e-6


@dataclass
class Scaling(SlotArrays):
    """Running location and spread with influence bounded to ten spreads per reading.

    Welford's recursion with gain ``1 / min(n, 3000)`` (DETECTION.md 2.1), each deviation clipped as
    in Huber's M-estimator of location (Huber 1964), so that one glitch cannot mask later faults.

    Attributes:
        mean: Location, sensor's unit, shape (S,).
        var: Variance, sensor's unit squared, shape (S,).
    """

    mean: F64 = column(np.float64)
    var: F64 = column(np.float64)

    def learn(self, ix: Slots, value: F64, n: I64, teaches: F64) -> None:
        """Take in one reading per stream.

        Args:
            ix: Streams.
            value: Readings, sensor's unit, shape (A,).
            n: Readings before these, shape (A,).
            teaches: 1 where the reading may teach, else 0, shape (A,).
        """
        mean, var = self.mean[ix], self.var[ix]
        gain = teaches / np.minimum(n + 1, _MEMORY)
        limit = np.where((n < _N_UNCLIPPED) | (var <= 0), np.inf, _CLIP * np.sqrt(var))
        deviation = (value - mean).clip(-limit, limit)
        self.var[ix] = (1 - gain) * (var + gain * deviation * deviation)
        self.mean[ix] = mean + gain * deviation

    def rebase(self, slots: I64, values: F64) -> None:
        """Start anew from recent readings after a lasting change, ``values`` of shape (D, L)."""
        self.mean[slots] = values.mean(axis=1)
        self.var[slots] = values.var(axis=1)

    def recentre(self, slots: I64, values: F64) -> None:
        """Move the location to recent readings and keep the spread, ``values`` of shape (D, L)."""
        self.mean[slots] = np.median(values, axis=1)

    def discount_glitches(self, slots: I64, values: F64) -> None:
        """Estimate young streams anew without their extremes, once there are enough readings to tell.

        Readings further outside the middle four fifths than these are wide are moved to that bound
        (Winsor), since the first readings are taken in unclipped. Streams whose middle is one single
        value keep their estimate.

        Args:
            slots: Streams, shape (D,).
            values: All their readings so far, sensor's unit, shape (D, L).
        """
        low = np.quantile(values, 0.1, axis=1, method="higher", keepdims=True)
        high = np.quantile(values, 0.9, axis=1, method="lower", keepdims=True)
        width = high - low
        is_wide = width[:, 0] > 0
        bounded = np.clip(values, low - width, high + width)[is_wide]
        self.rebase(slots[is_wide], bounded)

    def bounded(self, slots: Slots, value: F64) -> F64:
        """Return readings moved to within ten spreads of the location, ``value`` of shape (..., A)."""
        reach = _CLIP * self.spread(slots)
        mean = self.mean[slots]
        found: F64 = np.clip(value, mean - reach, mean + reach)
        return found

    def spread(self, slots: Slots) -> F64:
        """Return the spread, floored at a millionth of the level, never 0, shape (A,)."""
        floor = _FLOOR * (np.abs(self.mean[slots]) + _FLOOR)
        return np.maximum(np.sqrt(self.var[slots]), floor)
