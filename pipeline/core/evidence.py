"""Evidence: the last readings of a stream with what was foretold of them, as an alert carries them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Usual intervals without a reading that are a gap.
GAP = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Consecutive accepted readings of one stream, oldest first, float64, shape (E,) each.

    Attributes:
        time: Event time, Unix seconds.
        value: Reading, sensor's unit.
        forecast: Forecast made before the reading arrived, sensor's unit; NaN when there was none.
        lower: Lower end of the forecast interval; NaN when there was no forecast.
        upper: Upper end of the forecast interval; NaN when there was no forecast.
    """

    time: NDArray[np.float64]
    value: NDArray[np.float64]
    forecast: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of readings."""
        return len(self.time)

    def __eq__(self, other: object) -> bool:
        """Say whether all numbers are the same; a missing one equals a missing one."""
        if not isinstance(other, Evidence):
            return NotImplemented
        pairs = zip(self.columns(), other.columns(), strict=True)
        return all(np.array_equal(own, its, equal_nan=True) for own, its in pairs)

    def __hash__(self) -> int:
        """Return a hash of the readings."""
        return hash((self.time.tobytes(), self.value.tobytes()))

    def columns(self) -> tuple[NDArray[np.float64], ...]:
        """Return time, value, forecast, lower and upper."""
        return self.time, self.value, self.forecast, self.lower, self.upper

    def last(self, n: int) -> "Evidence":
        """Return the newest ``n`` readings, or all where there are fewer.

        Example:
            >>> at = np.arange(3.0)
            >>> Evidence(at, at, at, at, at).last(2).value.tolist()
            [1.0, 2.0]
        """
        start = max(0, len(self) - n)
        return Evidence(*(column[start:] for column in self.columns()))

    def parted(self) -> "Evidence":
        """Return it with a missing row in each gap of more than ``GAP`` usual intervals, so that no line crosses it.

        Example:
            >>> at = np.array([0.0, 60.0, 120.0, 900.0])
            >>> Evidence(at, at, at, at, at).parted().value.tolist()
            [0.0, 60.0, 120.0, nan, 900.0]
        """
        gaps = np.flatnonzero(np.diff(self.time) > GAP * self.step_s)
        middle = (self.time[gaps] + self.time[gaps + 1]) / 2
        time = np.insert(self.time, gaps + 1, middle)
        return Evidence(time, *(np.insert(column, gaps + 1, np.nan) for column in self.columns()[1:]))

    @property
    def step_s(self) -> float:
        """Usual seconds between two readings: the median; NaN where there are fewer than two.

        Example:
            >>> at = np.array([0.0, 60.0, 120.0, 900.0])
            >>> Evidence(at, at, at, at, at).step_s
            60.0
        """
        return float(np.median(np.diff(self.time))) if len(self.time) > 1 else float("nan")
