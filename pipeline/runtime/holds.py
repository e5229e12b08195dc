"""Why an alert is held back: maintenance, what operators said, and that the stream has just been told of.

Comes in: settings, a record of the book, and a time. Goes out: a reason, or none. Follows from these and the book.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase

from pipeline.core.alert_settings import AlertSettings
from pipeline.core.windows import Window
from pipeline.runtime.alert_book import AlertBook, Record

#: Decades beyond the alert level up to which a word ``false`` holds back, whatever it was said of.
MOST_RAISED = 2.0
_DAY_S = 86_400.0


class Holds:
    """Says whether an alert may be told.

    Args:
        settings: How long words hold.
        book: What was said.
        told_s: When each stream was last told of, Unix seconds.

    Attributes:
        settings: How long words hold.
    """

    def __init__(self, settings: AlertSettings, book: AlertBook, told_s: Mapping[str, float]) -> None:
        self.settings = settings
        self._windows = _windows(settings)
        self._book = book
        self._told_s = told_s

    def take_settings(self, settings: AlertSettings) -> None:
        """Go on with other settings."""
        self.settings = settings
        self._windows = _windows(settings)

    def reason(self, record: Record, now_s: float) -> str:
        """Return one of ``HELD``; empty where the alert may be told."""
        stream, device = record.stream, record.device
        if self.is_silent(stream, device, now_s):
            return "silence"
        if any(each.covers(now_s) and _matches(match, stream, device) for match, each in self._windows):
            return "maintenance"
        if self.expected_until(stream, device, now_s) is not None:
            return "expected"
        if record.margin <= self.raised(stream, device, now_s):
            return "judged_false"
        if now_s < self._told_s.get(stream, -self.settings.cooldown_s) + self.settings.cooldown_s:
            return "cooldown"
        return ""

    def is_silent(self, stream: str, device: str, now_s: float) -> bool:
        """Say whether an operator wants to hear nothing of a stream."""
        return any(
            now_s < (said.word.until_s or 0.0) and _matches(said.word.target, stream, device)
            for said in self._book.in_force("silence")
        )

    def expected_until(self, stream: str, device: str, now_s: float) -> float | None:
        """Return until when something of a stream is expected, Unix seconds; None for nothing."""
        ends = (s.word.until_s or 0.0 for s in self._book.in_force("expected") if s.is_about(stream, device))
        return max((end for end in ends if now_s < end), default=None)

    def raised(self, stream: str, device: str, now_s: float) -> float:
        """Return the decades beyond its level up to which a stream's alerts are held back; below 0 for none."""
        since_s = now_s - self.settings.false_days * _DAY_S
        about = [s for s in self._book.in_force("true") if s.is_about(stream, device)]
        since_s = max([since_s, *(said.word.at_s for said in about)])
        margins = [
            min(said.margin, MOST_RAISED)
            for said in self._book.in_force("false")
            if said.is_about(stream, device) and said.word.at_s > since_s
        ]
        return max(margins, default=-1.0)


def _windows(settings: AlertSettings) -> list[tuple[str, Window]]:
    return [(each.match, each.window) for each in settings.silences]


def _matches(pattern: str, stream: str, device: str) -> bool:
    return fnmatchcase(stream, pattern) or fnmatchcase(device, pattern)
