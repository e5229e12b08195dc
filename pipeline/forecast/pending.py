"""Forecasts under way: made, kept until their horizon completes, in the sensor's unit.

Holds, for every stream, the hidden state, the scale its network works in, and the forecasts whose
time has not come. Kept in the sensor's unit so that a change of scale or weights does not touch them.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, I64, Slots
from pipeline.core.slots import as_run
from pipeline.forecast.bank import combine
from pipeline.forecast.features import Z_BOUND, unsquash
from pipeline.forecast.targets import ACTIVITY, NEXT, Horizons
from pipeline.forecast.training import MAX_LOG_SPREAD, MIN_LOG_SPREAD

N_SETTLING = 16  # readings after a start or gap before a forecast is held against reality


@dataclass
class Pending(SlotArrays):
    """Hidden state and forecasts under way; P = sum of the horizons.

    Attributes:
        hidden: Hidden state of each member's network, float32, shape (S, E, N).
        location_of_scale: Middle of the network's scale, sensor's unit, shape (S,).
        spread_of_scale: Its spread, sensor's unit; 0 until the stream has a scale, shape (S,).
        interval_of_scale: Usual seconds between readings when the scale was set, shape (S,).
        n_since: Readings since the start or the last gap, int64, shape (S,).
        location: Each member's forecasts under way, one ring per horizon side by side, NaN for none, shape (S, E, P).
        scale: Their scales, float32, shape (S, E, P).
    """

    hidden: F32 = column(np.float32, "members", "hidden")
    location_of_scale: F64 = column(np.float64)
    spread_of_scale: F64 = column(np.float64)
    interval_of_scale: F64 = column(np.float64, fill=np.nan)
    n_since: I64 = column(np.int64)
    location: F64 = column(np.float64, "members", "pending", fill=np.nan)
    scale: F32 = column(np.float32, "members", "pending")

    def forget(self, slots: I64) -> None:
        """Drop hidden state and forecasts under way, after a gap; the scale stays."""
        self.hidden[slots] = 0
        self.n_since[slots] = 0
        self.location[slots] = np.nan

    def due(self, ix: Slots, slots: I64, horizons: Horizons) -> tuple[F64, F64]:
        """Return location and scale of each member's forecasts that complete with the reading that arrives.

        Returns:
            Arrays of shape (A, E, C). Location is NaN where no forecast was made; scale also where the
            forecast was made too soon after a start or gap to be held against reality.
        """
        n = self.n_since[ix]
        at = self._at(slots, n, horizons)
        location, scale = self.location.reshape(-1)[at], self.scale.reshape(-1)[at].astype(np.float64)
        is_settled = n >= max(horizons.lengths) + N_SETTLING
        if not is_settled.all():
            row = np.flatnonzero(~is_settled)
            is_unsettled = n[row, None] < np.array(horizons.lengths) + N_SETTLING
            scale[row] = np.where(is_unsettled[:, None], np.nan, scale[row])
        return location, scale

    def foretell(self, slots: I64, number: I64, out: F32, horizons: Horizons) -> tuple[F64, F64]:
        """Keep the networks' outputs as forecasts; return location and scale of the next reading, of all together.

        Args:
            slots: Streams, shape (A,).
            number: Which forecast since the start or gap this is, shape (A,).
            out: Location and log-spread per target of each member, in scaled units, shape (A, E, 2C).
            horizons: Lengths.

        Returns:
            Sensor's unit, shape (A,) each; location NaN, and scale 0, where the stream has no scale yet.
        """
        n_members = out.shape[1]
        at = self._at(slots, number, horizons)
        location, scale = self._in_unit(slots, np.concatenate((out, combine(out)[:, None]), axis=1))
        self.location.reshape(-1)[at], self.scale.reshape(-1)[at] = location[:, :n_members], scale[:, :n_members]
        return location[:, n_members, NEXT], scale[:, n_members, NEXT]

    def _in_unit(self, slots: I64, out: F32) -> tuple[F64, F64]:
        """Return locations and scales in the sensor's unit, shape (A, E, C) each."""
        ix = as_run(slots)
        middle, spread = self.location_of_scale[ix, None, None], self.spread_of_scale[ix, None, None]
        has_scale = spread > 0
        middle = np.where(has_scale, middle, np.nan)  # no scale yet, no forecast
        mu = out[..., 0::2].astype(np.float64).clip(-Z_BOUND, Z_BOUND)
        s = np.exp(out[..., 1::2].astype(np.float64).clip(MIN_LOG_SPREAD, MAX_LOG_SPREAD))
        levels = mu[..., :ACTIVITY]
        location, scale = np.empty_like(mu), s
        location[..., :ACTIVITY] = unsquash(levels, middle, spread)
        scale[..., :ACTIVITY] = s[..., :ACTIVITY] * spread * np.cosh(levels)
        location[..., ACTIVITY] = mu[..., ACTIVITY] + np.log(np.where(has_scale, spread, np.nan))[..., 0]
        return location, scale

    def _at(self, slots: I64, n: I64, horizons: Horizons) -> I64:
        """Return where forecasts number ``n`` lie, and those of number n - horizon did, in a flat array, (A, E, C)."""
        n_members, n_pending = self.location.shape[1:]
        ring = slots * (n_members * n_pending)
        found = np.empty((len(slots), n_members, len(horizons.lengths)), np.int64)
        for which, length in enumerate(horizons.lengths):
            place = ring + n % length
            for member in range(n_members):
                found[:, member, which] = place + member * n_pending
            ring += length
        return found
