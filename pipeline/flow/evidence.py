"""The evidence kept of every stream: its last readings as they came, with what was foretold of them."""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.evidence import Evidence
from pipeline.core.records import F32, F64, I64
from pipeline.streams.windows import Windows

#: Readings kept. No more than ``streams.window_len`` may be, as event times lie in the windows.
N_EVIDENCE = 64
DIMENSIONS = {"evidence": N_EVIDENCE}


@dataclass
class Trail(SlotArrays):
    """Rings of the last readings and their forecasts, 1 KiB per stream; reading i lies at position i % E.

    Readings are kept in full: a counter at 10^9 needs it. Forecasts are kept as differences, for which float32 is
    plenty: seven digits of the residual, not of the reading. Event times are those of ``Windows``.

    Attributes:
        value: Readings, sensor's unit, float64, shape (S, E).
        residual: Reading minus forecast, NaN for no forecast, float32, shape (S, E).
        half_width: Half the forecast interval, NaN for no forecast, float32, shape (S, E).
    """

    value: F64 = column(np.float64, "evidence")
    residual: F32 = column(np.float32, "evidence", fill=np.nan)
    half_width: F32 = column(np.float32, "evidence", fill=np.nan)

    def keep(self, slots: I64, n: I64, value: F64, forecast: F64, upper: F64) -> None:
        """Append one reading to each stream, before which there were ``n``, shape (A,) each."""
        width = self.value.shape[1]
        at = slots * width + n % width
        self.value.reshape(-1)[at] = value
        self.residual.reshape(-1)[at] = value - forecast
        self.half_width.reshape(-1)[at] = upper - forecast

    def of(self, windows: Windows, slot: int) -> Evidence:
        """Return what is kept of a stream, oldest first; the windows hold the newest reading too."""
        n, width = int(windows.n[slot]), self.value.shape[1]
        number = np.arange(max(0, n - width), n)
        at = number % width
        value = self.value[slot, at]
        forecast = value - self.residual[slot, at]
        half_width = self.half_width[slot, at]
        time = windows.last(np.array([slot]), len(number)).time[0]
        return Evidence(time, value, forecast, forecast - half_width, forecast + half_width)
