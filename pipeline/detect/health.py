"""Health verdicts: what is found out about a sensor or its clock, apart from what happens in the process.

Each verdict is raised and cleared by a detector of its own (``health_*``), which says so in plain words;
this file keeps which verdicts hold for which stream, and since when. It refuses to know how they are found.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I64, U16, Bool, Health, Slots

#: The verdicts, in the order of ``Verdicts.since_s``.
VERDICTS = (
    Health.STUCK,
    Health.TOO_QUIET,
    Health.NOISY,
    Health.OUT_OF_RANGE,
    Health.RESOLUTION,
    Health.COUNTER_RESET,
    Health.CLOCK_SKEW,
)
#: Dimensions of the arrays: ``Verdicts.empty(n_streams, **DIMENSIONS)``.
DIMENSIONS = {"verdicts": len(VERDICTS)}


@dataclass(frozen=True, slots=True)
class Change:
    """Streams of which one verdict was raised or cleared, and since when it holds or held.

    Attributes:
        raised: Slots, shape (D,).
        since_s: Event time at which what was found began, as far as it can be told, Unix seconds, shape (D,).
        cleared: Slots, shape (E,).
    """

    raised: I64
    since_s: F64
    cleared: I64

    def __bool__(self) -> bool:
        """Say whether anything changed."""
        return bool(len(self.raised) or len(self.cleared))


NO_SLOTS = np.zeros(0, np.int64)
NO_CHANGE = Change(NO_SLOTS, np.zeros(0), NO_SLOTS)


@dataclass
class Verdicts(SlotArrays):
    """The verdicts that hold.

    Attributes:
        bits: Bits of ``Health``, uint16, shape (S,).
        since_s: Event time at which each began, NaN where it does not hold, shape (S, 7).

    Example:
        >>> verdicts, one = Verdicts.empty(2, **DIMENSIONS), np.array([1])
        >>> verdicts.apply(Health.STUCK, Change(one, np.array([60.0]), NO_SLOTS))
        >>> verdicts.held(slice(0, 2), Health.STUCK).tolist()
        [False, True]
        >>> verdicts.since(1, Health.STUCK)
        60.0
    """

    bits: U16 = column(np.uint16)
    since_s: F64 = column(np.float64, "verdicts", fill=np.nan)

    def held(self, ix: Slots, verdict: Health) -> Bool:
        """Say of which streams a verdict holds, shape (A,)."""
        found: Bool = (self.bits[ix] & np.uint16(verdict)) != 0
        return found

    def since(self, slot: int, verdict: Health) -> float:
        """Return since when a verdict holds, Unix seconds; NaN where it does not."""
        return float(self.since_s[slot, VERDICTS.index(verdict)])

    def apply(self, verdict: Health, change: Change) -> None:
        """Let a verdict hold, or not any more."""
        at, bit = VERDICTS.index(verdict), np.uint16(verdict)
        self.bits[change.raised] |= bit
        self.since_s[change.raised, at] = change.since_s
        self.bits[change.cleared] &= ~bit
        self.since_s[change.cleared, at] = np.nan


#: What a verdict says that ends because what it found has lasted long enough.
NEW_NORMAL = "has become usual: it is judged by what it does now"


def number(value: float, digits: int = 6) -> str:
    """Return a number in the sensor's unit as people write it.

    Example:
        >>> number(21.400000000000002), number(65535.0), number(0.123456, 2)
        ('21.4', '65535', '0.12')
    """
    return f"{value:.{digits}g}"
