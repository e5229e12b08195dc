"""Quarantine: readings so surprising that nothing should learn from them, for a while.

It follows the score alone, not the alert level: what is learnt does not depend on how many alerts a user wants, so
that scores can be decided on anew.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I32, I64, Bool, Slots
from pipeline.core.settings import DetectionSettings

_CALM = 2.0  # decades under the quarantine's level at which a stream is quiet


@dataclass
class Quarantine(SlotArrays):
    """Streams that do not learn now.

    Attributes:
        is_held: bool, shape (S,).
        n_held: Readings since it began, int32, shape (S,).
        n_quiet: Quiet readings in a row, int32, shape (S,).
    """

    is_held: Bool = column(np.bool_)
    n_held: I32 = column(np.int32)
    n_quiet: I32 = column(np.int32)

    def step(self, ix: Slots, slots: I64, score: F64, settings: DetectionSettings) -> Bool:
        """Advance by one reading per stream.

        Args:
            ix: Streams.
            slots: The same streams as an index array, shape (A,).
            score: Scores, NaN for none, shape (A,).
            settings: Level and counts.

        Returns:
            Which quarantines have just ended because they lasted too long: the change is the new normal, shape (A,).
        """
        was_held = self.is_held[ix].copy()
        with np.errstate(invalid="ignore"):
            is_high = score >= settings.quarantine_level
        if not (is_high.any() or was_held.any()):
            return is_high
        known = np.nan_to_num(score)
        begins = ~was_held & is_high
        self.is_held[slots[begins]] = True
        self.n_held[slots[begins]] = 0
        self.n_held[ix] += was_held
        is_calm = known < settings.quarantine_level - _CALM
        self.n_quiet[ix] = np.where(was_held & is_calm, self.n_quiet[ix] + 1, 0)
        is_quiet = was_held & (self.n_quiet[ix] >= settings.n_quiet)
        is_over = was_held & ~is_quiet & (self.n_held[ix] >= settings.n_quarantine)
        self.is_held[slots[is_quiet | is_over]] = False
        return is_over
