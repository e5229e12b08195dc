"""Episodes: from scores to incidents that open, hold and close, with hysteresis.

A score at the alert level opens an episode. It closes after a quiet time under the close level, or,
if it outlasts the quarantine, because the change is the new normal (drift). For a while after a
close only a score ten times rarer than the last peak opens the next one.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I8, I64, Bool, Event, Slots
from pipeline.core.settings import DetectionSettings


@dataclass
class Episodes(SlotArrays):
    """The open or last episode of every stream.

    Attributes:
        is_open: bool, shape (S,).
        opened_s: Event time at which it opened, Unix seconds, NaN for never.
        n_open: Readings since it opened.
        n_quiet: Readings in a row under the close level.
        n_cooldown: Readings left in which only a rarer score opens.
        peak_score: Largest score.
        peak_s: Event time of the peak, Unix seconds.
        peak_value, peak_forecast, peak_lower, peak_upper: Reading and forecast at the peak, sensor's unit.
        peak_view: View that was rarest at the peak.
    """

    is_open: Bool = column(np.bool_)
    opened_s: F64 = column(np.float64, fill=np.nan)
    n_open: I64 = column(np.int64)
    n_quiet: I64 = column(np.int64)
    n_cooldown: I64 = column(np.int64)
    peak_score: F64 = column(np.float64)
    peak_s: F64 = column(np.float64, fill=np.nan)
    peak_value: F64 = column(np.float64, fill=np.nan)
    peak_forecast: F64 = column(np.float64, fill=np.nan)
    peak_lower: F64 = column(np.float64, fill=np.nan)
    peak_upper: F64 = column(np.float64, fill=np.nan)
    peak_view: I8 = column(np.int8)

    def step(self, ix: Slots, slots: I64, score: F64, seen: "Seen", settings: DetectionSettings) -> "Change":
        """Advance by one reading per stream.

        Args:
            ix: Streams.
            slots: The same streams as an index array.
            score: Scores, NaN while warming up, shape (A,).
            seen: The readings and forecasts, for the evidence.
            settings: Levels and counts.

        Returns:
            What opened and closed.
        """
        known = np.where(np.isnan(score), 0.0, score)
        was_open = self.is_open[ix].copy()
        needed = np.where(self.n_cooldown[ix] > 0, self.peak_score[ix] + 1.0, 0.0)
        opens = ~was_open & (known >= np.maximum(settings.alert_level, needed))
        self.n_cooldown[ix] -= self.n_cooldown[ix] > 0
        if not (opens.any() or was_open.any()):
            return Change(np.zeros(len(slots), np.int8), np.zeros(len(slots), np.bool_))
        self._open(slots[opens], seen.time[opens])
        is_open = was_open | opens
        self._keep_peak(slots, is_open & (known > self.peak_score[ix]), known, seen)
        self.n_open[ix] += was_open
        self.n_quiet[ix] = np.where(was_open & (known < settings.close_level), self.n_quiet[ix] + 1, 0)
        is_quiet = was_open & (self.n_quiet[ix] >= settings.n_quiet)
        is_drift = was_open & ~is_quiet & (self.n_open[ix] >= settings.n_quarantine)
        closing = slots[is_quiet | is_drift]
        self.is_open[closing] = False
        self.n_cooldown[closing] = settings.n_cooldown
        event = np.where(opens, Event.OPEN, np.where(is_quiet | is_drift, Event.CLOSE, Event.NONE))
        return Change(event.astype(np.int8), is_drift)

    def _open(self, slots: I64, time: F64) -> None:
        self.is_open[slots] = True
        self.opened_s[slots] = time
        self.n_open[slots] = 0
        self.peak_score[slots] = -1.0

    def _keep_peak(self, slots: I64, is_peak: Bool, score: F64, seen: "Seen") -> None:
        at = slots[is_peak]
        self.peak_score[at] = score[is_peak]
        self.peak_s[at] = seen.time[is_peak]
        self.peak_value[at] = seen.value[is_peak]
        self.peak_forecast[at] = seen.forecast[is_peak]
        self.peak_lower[at] = seen.lower[is_peak]
        self.peak_upper[at] = seen.upper[is_peak]
        self.peak_view[at] = seen.view[is_peak]


@dataclass(frozen=True, slots=True)
class Seen:
    """One reading per stream with the forecast made for it, shape (A,) each."""

    time: F64
    value: F64
    forecast: F64
    lower: F64
    upper: F64
    view: I64


@dataclass(frozen=True, slots=True)
class Change:
    """What a tick did to episodes.

    Attributes:
        event: ``Event``, int8, shape (A,).
        is_drift: The episode closed because it outlasted the quarantine, shape (A,).
    """

    event: I8
    is_drift: Bool
