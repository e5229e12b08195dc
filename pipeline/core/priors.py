"""What a publisher says of a stream before any reading: unit, limits, whether it is a meter's register."""

from typing import NamedTuple


class Prior(NamedTuple):
    """What is known of a stream beforehand.

    Attributes:
        unit: Unit of its readings; empty when unknown.
        low: Lowest reading that its sensor can give; None when unknown.
        high: Highest one; None when unknown.
        is_counter: It only rises: a meter's register.
    """

    unit: str = ""
    low: float | None = None
    high: float | None = None
    is_counter: bool = False
