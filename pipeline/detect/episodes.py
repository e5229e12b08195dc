"""Episodes: from alerts to incidents that open, hold and close, with hysteresis.

An alert opens an episode, or adds to the one that is open. It closes when the score has stayed well under the alert
level for a while, or, if it outlasts that, because the change is the new normal (drift).
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, F64, I8, I64, Bool, Event, Slots
from pipeline.core.settings import DetectionSettings
from pipeline.detect.views import View


@dataclass
class Episodes(SlotArrays):
    """The open or last episode of every stream; R views.

    Attributes:
        is_open: bool, shape (S,).
        opened_s: Event time at which it opened, Unix seconds, NaN for never.
        onset_s: Event time at which the change began, as far as it can be told, Unix seconds.
        n_open: Readings since it opened.
        n_quiet: Readings in a row well under the alert level.
        level: Alert level when it opened.
        peak_score: Largest score.
        peak_s: Event time of the peak, Unix seconds.
        peak_value, peak_forecast, peak_lower, peak_upper: Reading and forecast at the peak, sensor's unit.
        peak_views: Decades of every view at the peak, float32, shape (S, R).
    """

    is_open: Bool = column(np.bool_)
    opened_s: F64 = column(np.float64, fill=np.nan)
    onset_s: F64 = column(np.float64, fill=np.nan)
    n_open: I64 = column(np.int64)
    n_quiet: I64 = column(np.int64)
    level: F64 = column(np.float64, fill=np.nan)
    peak_score: F64 = column(np.float64)
    peak_s: F64 = column(np.float64, fill=np.nan)
    peak_value: F64 = column(np.float64, fill=np.nan)
    peak_forecast: F64 = column(np.float64, fill=np.nan)
    peak_lower: F64 = column(np.float64, fill=np.nan)
    peak_upper: F64 = column(np.float64, fill=np.nan)
    peak_views: F32 = column(np.float32, "views")

    def step(self, ix: Slots, slots: I64, seen: "Seen", is_alert: Bool, settings: DetectionSettings) -> "Change":
        """Advance by one reading per stream.

        Args:
            ix: Streams.
            slots: The same streams as an index array.
            seen: The readings, forecasts and scores.
            is_alert: Which readings are an alert, shape (A,).
            settings: Margin and counts.

        Returns:
            What opened and closed.
        """
        was_open = self.is_open[ix].copy()
        opens = is_alert & ~was_open
        if not (opens.any() or was_open.any()):
            return Change(np.zeros(len(slots), np.int8), np.zeros(len(slots), np.bool_))
        known = np.nan_to_num(seen.score)
        at = slots[opens]
        self.is_open[at] = True
        self.opened_s[at] = seen.time[opens]
        self.level[at] = seen.level[opens]
        self.n_open[at] = 0
        self.peak_score[at] = -1.0
        self._keep_peak(slots, (was_open | opens) & (known > self.peak_score[ix]), known, seen)
        self.n_open[ix] += was_open
        is_calm = known < np.maximum(seen.level - settings.close_margin, 0.5 * seen.level)
        self.n_quiet[ix] = np.where(was_open & is_calm, self.n_quiet[ix] + 1, 0)
        is_quiet = was_open & (self.n_quiet[ix] >= settings.n_quiet)
        is_drift = was_open & ~is_quiet & (self.n_open[ix] >= settings.n_quarantine)
        self.is_open[slots[is_quiet | is_drift]] = False
        event = np.where(opens, Event.OPEN, np.where(is_quiet | is_drift, Event.CLOSE, Event.NONE))
        return Change(event.astype(np.int8), is_drift)

    def _keep_peak(self, slots: I64, is_peak: Bool, score: F64, seen: "Seen") -> None:
        at = slots[is_peak]
        self.peak_score[at] = score[is_peak]
        self.peak_s[at] = seen.time[is_peak]
        self.peak_value[at] = seen.value[is_peak]
        self.peak_forecast[at] = seen.forecast[is_peak]
        self.peak_lower[at] = seen.lower[is_peak]
        self.peak_upper[at] = seen.upper[is_peak]
        self.peak_views[at] = seen.views[is_peak]

    def views(self, slot: int) -> tuple[tuple[str, float], ...]:
        """Return names and decades of the views at the peak, largest first, without those that saw nothing."""
        decades = self.peak_views[slot]
        order = np.argsort(-decades, kind="stable")
        return tuple((View(i).name.lower(), round(float(decades[i]), 2)) for i in order if decades[i] > 0)


@dataclass(frozen=True, slots=True)
class Seen:
    """One reading per stream with the forecast made for it and what was made of it, shape (A,) each.

    Attributes:
        time: Event time, Unix seconds.
        value, forecast, lower, upper: Sensor's unit.
        score: NaN while warming up.
        level: Alert level in force.
        views: Decades of every view, shape (A, R).
    """

    time: F64
    value: F64
    forecast: F64
    lower: F64
    upper: F64
    score: F64
    level: F64
    views: F64


@dataclass(frozen=True, slots=True)
class Change:
    """What a tick did to episodes.

    Attributes:
        event: ``Event``, int8, shape (A,).
        is_drift: The episode closed because it outlasted the quarantine, shape (A,).
    """

    event: I8
    is_drift: Bool


def severity(margin: float) -> str:
    """Name how far beyond the alert level a score is, in decades.

    Example:
        >>> [severity(margin) for margin in (0.2, 1.5, 4.0)]
        ['minor', 'major', 'critical']
    """
    return "critical" if margin >= _CRITICAL else "major" if margin >= _MAJOR else "minor"


_MAJOR, _CRITICAL = 1.0, 3.0
