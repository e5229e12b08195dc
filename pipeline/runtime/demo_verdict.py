"""Who found what: the demo's alerts held against its ground truth.

Comes in: what was planted and which episodes opened. Goes out: found, missed, false. A pure function of
event times; this module knows neither plant nor detector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pipeline.core.records import EpisodeEvent


@dataclass(frozen=True, slots=True)
class Expected:
    """A fault as the judge sees it; times are event times in Unix seconds, ends included.

    Attributes:
        stream: Stream that it strikes.
        start_s: First altered reading.
        found_until_s: An alert on the stream up to here found it.
        excused: Streams that it moves, its own among them, and until when alerts there are its
            after-effects and neither a find nor false.
    """

    stream: str
    start_s: float
    found_until_s: float
    excused: tuple[tuple[str, float], ...]

    def is_found_by(self, alert: EpisodeEvent) -> bool:
        """Return whether the alert names this fault in time."""
        return alert.stream == self.stream and self.start_s <= alert.opened_s <= self.found_until_s

    def excuses(self, alert: EpisodeEvent) -> bool:
        """Return whether the alert is a consequence of this fault."""
        return any(alert.stream == stream and self.start_s <= alert.opened_s <= end for stream, end in self.excused)


class Fate(Enum):
    """What became of a planted fault."""

    FOUND = "found"
    MISSED = "missed"
    UNDECIDED = "undecided"
    """The run ended before its time was over."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a run.

    Attributes:
        fates: One per fault that has struck, in the order given.
        finders: The alert that found each fault, or None.
        false_alerts: Alerts that no fault explains.
    """

    fates: tuple[Fate, ...]
    finders: tuple[EpisodeEvent | None, ...]
    false_alerts: tuple[EpisodeEvent, ...]

    def count(self, fate: Fate) -> int:
        """Return the number of faults with this fate."""
        return self.fates.count(fate)


def judge(expected: Sequence[Expected], alerts: Sequence[EpisodeEvent], reached_s: float) -> Verdict:
    """Hold alerts against faults.

    Args:
        expected: Faults that have struck.
        alerts: Episodes that opened, in order of time.
        reached_s: Newest event time processed; a fault whose time is not over by then is undecided.

    Returns:
        A fate per fault, and the false alerts.
    """
    finders = tuple(next((alert for alert in alerts if fault.is_found_by(alert)), None) for fault in expected)
    fates = tuple(_fate(fault, finder, reached_s) for fault, finder in zip(expected, finders, strict=True))
    return Verdict(fates, finders, tuple(alert for alert in alerts if is_false(expected, alert)))


def is_false(expected: Sequence[Expected], alert: EpisodeEvent) -> bool:
    """Return whether no fault explains the alert."""
    return not any(fault.is_found_by(alert) or fault.excuses(alert) for fault in expected)


def _fate(fault: Expected, finder: EpisodeEvent | None, reached_s: float) -> Fate:
    if finder is not None:
        return Fate.FOUND
    return Fate.MISSED if reached_s >= fault.found_until_s else Fate.UNDECIDED
