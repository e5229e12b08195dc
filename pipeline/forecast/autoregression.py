"""A linear forecast of the next change from the last one, the level and the season, fitted online.

Readings and the season come in, forecasts of the next reading go out, in the sensor's unit. Refuses to
know of other forecasters.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, I32, I64, Bool, Slots

#: Last change, way back to the slow level, coming change of the season, way to the season.
N_INPUTS = 4
_MEMORY = np.float32(0.998)  # weight of the past at each reading: about 500 readings
_RIDGE = np.float32(0.1)
_LEVEL_GAIN = 0.05
_UNIT_GAIN = 0.005
_ERROR_GAIN = 0.02
_HUBER = 0.5  # mean absolute errors beyond which a residual pulls with constant force
_BOUND = 20.0  # units
_CLIP = 5.0  # usual changes, or errors, that one reading counts for at most
_N_FREE = 20  # readings before those are worth something as a bound
_LEAST_UNIT = 1e-12  # of the value: below is rounding
_LEAST = 1e-30  # keeps a division finite where all is 0


@dataclass
class Autoregression(SlotArrays):
    """Robust least squares with exponential forgetting; D inputs.

    The sums ``R = sum w x x'`` and ``r = sum w x y`` fade by 0.2 % per reading. Each reading one Gauss-Seidel sweep
    over ``(R + ridge) b = r`` follows its solution without ever inverting R, so that nothing blows up on a stream that
    rests (in the spirit of Zakharov, White & Liu 2008). The weights ``w = min(1, k / |e|)`` are Huber's (1964). Inputs
    and target are in units of the stream's usual change, so that nothing depends on the sensor's unit.

    Attributes:
        n_changes: Changes taken in, int32, shape (S,).
        last: The value before, NaN after a start or gap, sensor's unit, shape (S,).
        slow: Slow level, NaN until a value came, sensor's unit, shape (S,).
        usual_change: Recent mean of |change|, sensor's unit, shape (S,).
        unit: Usual change when the inputs were made, NaN while there are none, sensor's unit, shape (S,).
        inputs: Of the forecast under way, in units, float32, shape (S, D).
        gram: R, row after row, float32, shape (S, D * D).
        moment: r, float32, shape (S, D).
        coefficients: Of the inputs, float32, shape (S, D).
        fit_error: Recent mean absolute error, in units, shape (S,).
    """

    n_changes: I32 = column(np.int32)
    last: F64 = column(np.float64, fill=np.nan)
    slow: F64 = column(np.float64, fill=np.nan)
    usual_change: F64 = column(np.float64)
    unit: F64 = column(np.float64, fill=np.nan)
    inputs: F32 = column(np.float32, "inputs")
    gram: F32 = column(np.float32, "products")
    moment: F32 = column(np.float32, "inputs")
    coefficients: F32 = column(np.float32, "inputs")
    fit_error: F64 = column(np.float64)

    def fit(self, ix: Slots, value: F64, spread: F64) -> None:
        """Learn from the readings that arrived.

        Args:
            ix: Streams.
            value: Readings, sensor's unit, shape (A,).
            spread: Spread of each stream, sensor's unit, shape (A,).
        """
        change = value - self.last[ix]
        is_known = ~np.isnan(change)
        if not is_known.all():
            change[~is_known] = 0.0
        n, usual, unit = self.n_changes[ix].copy(), self.usual_change[ix], self.unit[ix]
        most = np.where(n < _N_FREE, np.inf, np.maximum(_CLIP * usual, spread))
        gain = is_known * np.maximum(1 / (n + 1), _UNIT_GAIN)
        self.usual_change[ix] = usual + gain * (np.minimum(np.abs(change), most) - usual)
        self.n_changes[ix] += is_known
        has_inputs = is_known & ~np.isnan(unit)
        y = (change / np.where(has_inputs, unit, 1.0)).clip(-_BOUND, _BOUND)
        self._take_in(ix, y, has_inputs, n)
        self._sweep(ix, has_inputs)

    def _take_in(self, ix: Slots, y: F64, has_inputs: Bool, n: I32) -> None:
        """Add targets, in units, to the sums."""
        x, error = self.inputs[ix], self.fit_error[ix]
        size = np.abs(y - np.einsum("ad,ad->a", x, self.coefficients[ix]))
        gain = has_inputs * np.maximum(1 / (n + 1), _ERROR_GAIN)
        most = np.where(n < _N_FREE, np.inf, _CLIP * error + _LEAST)
        error = error + gain * (np.minimum(size, most) - error)
        weight = np.where(has_inputs, np.minimum(1.0, _HUBER * error / np.maximum(size, _LEAST)), 0.0)
        keep = np.where(has_inputs, _MEMORY, np.float32(1))[:, None]
        weighted = x * weight.astype(np.float32)[:, None]
        products = np.einsum("ai,aj->aij", weighted, x).reshape(len(x), -1)
        products += keep * self.gram[ix]
        self.gram[ix] = products
        self.moment[ix] = keep * self.moment[ix] + weighted * y.astype(np.float32)[:, None]
        self.fit_error[ix] = error

    def _sweep(self, ix: Slots, has_inputs: Bool) -> None:
        """Move every coefficient once, each knowing those before it."""
        moment, coefficients = self.moment[ix], self.coefficients[ix].copy()
        gram = self.gram[ix].reshape(-1, N_INPUTS, N_INPUTS)
        for j in range(N_INPUTS):
            own = coefficients[:, j]
            rest = moment[:, j] - np.einsum("ad,ad->a", gram[:, j], coefficients) - _RIDGE * own
            own += has_inputs * (rest / (gram[:, j, j] + _RIDGE))
        self.coefficients[ix] = coefficients

    def regress(self, ix: Slots, value: F64, season_now: F64, season_next: F64) -> F64:
        """Foretell the next readings.

        Args:
            ix: Streams.
            value: Readings that arrived, sensor's unit, shape (A,).
            season_now: One season before them, NaN where unknown, shape (A,).
            season_next: One season before the next readings, NaN where unknown, shape (A,).

        Returns:
            Sensor's unit, shape (A,).
        """
        unit = np.maximum(self.usual_change[ix], _LEAST_UNIT * np.abs(value) + _LEAST)
        slow = self.slow[ix]
        slow = np.where(np.isnan(slow), value, slow + _LEVEL_GAIN * (value - slow))
        x = np.empty((len(value), N_INPUTS))
        x[:, 0] = value - self.last[ix]
        x[:, 1] = slow - value
        x[:, 2] = season_next - season_now
        x[:, 3] = season_next - value
        missing = np.isnan(x)
        if missing.any():
            x[missing] = 0.0
        self.last[ix], self.slow[ix] = value, slow
        x /= unit[:, None]
        x = x.clip(-_BOUND, _BOUND, out=x).astype(np.float32)
        self.inputs[ix], self.unit[ix] = x, unit
        change = np.einsum("ad,ad->a", x, self.coefficients[ix]).astype(np.float64)
        foretold: F64 = value + unit * change.clip(-_BOUND, _BOUND)
        return foretold

    def forget_values(self, slots: I64) -> None:
        """Start anew at the next value; what was learnt stays."""
        for state in (self.last, self.slow, self.unit):
            state[slots] = np.nan
