"""Who found what: the demo's alerts and health verdicts held against its ground truth.

Comes in: what was planted, which episodes opened and which verdicts were raised. Goes out: found,
missed, false. A pure function of event times; this module knows neither plant nor detector.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from pipeline.core.records import EpisodeEvent, HealthEvent

#: What finds a fault: an alert that something happens in the process, or a verdict that the sensor is broken.
Finding = EpisodeEvent | HealthEvent


def found_s(finding: Finding) -> float:
    """Return the event time of the reading at which it was told, Unix seconds."""
    return finding.opened_s if isinstance(finding, EpisodeEvent) else finding.at_s


@dataclass(frozen=True, slots=True)
class Expected:
    """A fault as the judge sees it; times are event times in Unix seconds, ends included.

    Attributes:
        stream: Stream that it strikes.
        start_s: First altered reading.
        found_until_s: An alert or a verdict on the stream up to here found it.
        excused: Streams that it moves, its own among them, and until when findings there are its
            after-effects and neither a find nor false.
    """

    stream: str
    start_s: float
    found_until_s: float
    excused: tuple[tuple[str, float], ...]

    def is_found_by(self, finding: Finding) -> bool:
        """Return whether the finding names this fault in time."""
        return finding.stream == self.stream and self.start_s <= found_s(finding) <= self.found_until_s

    def excuses(self, finding: Finding) -> bool:
        """Return whether the finding is a consequence of this fault."""
        at_s = found_s(finding)
        return any(finding.stream == stream and self.start_s <= at_s <= end for stream, end in self.excused)


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
        finders: The alert or verdict that found each fault first, or None.
        false_alerts: Alerts that no fault explains.
        false_verdicts: Health verdicts that no fault explains.
    """

    fates: tuple[Fate, ...]
    finders: tuple[Finding | None, ...]
    false_alerts: tuple[EpisodeEvent, ...]
    false_verdicts: tuple[HealthEvent, ...]

    def count(self, fate: Fate) -> int:
        """Return the number of faults with this fate."""
        return self.fates.count(fate)


def judge(expected: Sequence[Expected], findings: Sequence[Finding], reached_s: float) -> Verdict:
    """Hold alerts and verdicts against faults.

    Args:
        expected: Faults that have struck.
        findings: Episodes that opened and verdicts that were raised, in order of time.
        reached_s: Newest event time processed; a fault whose time is not over by then is undecided.

    Returns:
        A fate per fault, and what is false.
    """
    finders = tuple(next((each for each in findings if fault.is_found_by(each)), None) for fault in expected)
    fates = tuple(_fate(fault, finder, reached_s) for fault, finder in zip(expected, finders, strict=True))
    false = [each for each in findings if is_false(expected, each)]
    alerts = tuple(each for each in false if isinstance(each, EpisodeEvent))
    return Verdict(fates, finders, alerts, tuple(each for each in false if isinstance(each, HealthEvent)))


def is_false(expected: Sequence[Expected], finding: Finding) -> bool:
    """Return whether no fault explains the finding."""
    return not any(fault.is_found_by(finding) or fault.excuses(finding) for fault in expected)


def _fate(fault: Expected, finder: Finding | None, reached_s: float) -> Fate:
    if finder is not None:
        return Fate.FOUND
    return Fate.MISSED if reached_s >= fault.found_until_s else Fate.UNDECIDED
