"""A histogram of durations, without a metrics library: observed by the worker, rendered by the exporter."""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class HistogramValue:
    """A histogram at one moment.

    Attributes:
        bounds: Upper bounds of the buckets, ascending, without infinity.
        counts: Observations up to each bound, cumulative; the last entry counts all.
        total: Sum of all observations.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    total: float


class Histogram:
    """Counts observations in buckets.

    Args:
        bounds: Upper bounds of the buckets, ascending; one for all that is larger is added.

    Example:
        >>> steps = Histogram((0.1, 1.0))
        >>> for seconds in (0.05, 0.1, 3.0):
        ...     steps.observe(seconds)
        >>> steps.value().counts
        (2, 2, 3)
    """

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation; a value equal to a bound belongs to that bucket."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def value(self) -> HistogramValue:
        """Return the histogram as it is now."""
        return HistogramValue(self._bounds, tuple(accumulate(self._counts)), self._total)
