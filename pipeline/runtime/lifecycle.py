"""How far each stream's alert has come: pending, open, closing, closed; with hysteresis.

Comes in: batches with their steps. Goes out: streams whose state changed and that no episode's event tells: nearly
surprising enough (pending), calm for a while with the episode still open (closing), and back. Only streams that are not
closed are remembered. Follows from batches alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.core.records import Event, Readings, Steps
from pipeline.core.settings import DetectionSettings

#: A score so far under the alert level makes a stream pending, decades: a tenth as rare as an alert.
PENDING_DECADES = 1.0
#: Of the calm readings that close an episode, the share after which it is closing, or no more pending.
_SHARE_CALM = 0.25


@dataclass(slots=True)
class _Course:
    """Where a stream is: its state, and calm readings in a row."""

    state: str
    n_calm: int = 0


class Lifecycle:
    """Follows streams.

    Args:
        settings: When the engine calls a reading calm.
    """

    def __init__(self, settings: DetectionSettings) -> None:
        self._settings = settings
        self._courses: dict[str, _Course] = {}

    def take_settings(self, settings: DetectionSettings) -> None:
        """Go on with other settings."""
        self._settings = settings

    def of(self, stream: str) -> str:
        """Return the state of a stream."""
        course = self._courses.get(stream)
        return course.state if course else "closed"

    def follow(self, readings: Readings, steps: Steps) -> list[tuple[str, str, float]]:
        """Take in a batch.

        Returns:
            Stream, state and event time of the streams that are pending, closing, open again or, after they were
            pending, closed; those are left out that opened or closed in this batch.
        """
        before = {stream: course.state for stream, course in self._courses.items()}
        at_s: dict[str, float] = {}
        for row in self._rows(readings, steps):
            stream = readings.names[readings.stream[row]]
            if self._step(
                stream, float(steps.score[row]), float(steps.level[row]), steps.opened[row] == steps.opened[row]
            ):
                at_s[stream] = float(readings.time[row])
        told = {event.stream for event in steps.events}
        for event in steps.events:
            if event.event is Event.OPEN:
                self._courses[event.stream] = _Course("open")
            else:
                self._courses.pop(event.stream, None)
        changed = [(stream, self.of(stream), time_s) for stream, time_s in at_s.items() if stream not in told]
        return [each for each in changed if each[1] != before.get(each[0], "closed")]

    def dump(self) -> list[tuple[str, str, int]]:
        """Return it as plain values."""
        return [(stream, course.state, course.n_calm) for stream, course in self._courses.items()]

    def load(self, kept: list[tuple[str, str, int]]) -> None:
        """Take over what ``dump`` returned."""
        self._courses = {stream: _Course(state, n_calm) for stream, state, n_calm in kept}

    def _rows(self, readings: Readings, steps: Steps) -> Iterator[int]:
        """Yield the rows that may change something, in order of time."""
        known = [i for i, name in enumerate(readings.names) if name in self._courses]
        with np.errstate(invalid="ignore"):
            is_near = steps.score >= steps.level - PENDING_DECADES
        followed = np.union1d(np.array(known, np.int64), readings.stream[is_near])
        rows = np.flatnonzero(np.isin(readings.stream, followed) & np.isfinite(steps.score))
        yield from rows[np.argsort(readings.time[rows], kind="stable")].tolist()

    def _step(self, stream: str, score: float, level: float, is_open: bool) -> bool:  # noqa: FBT001
        """Advance a stream by one reading; say whether its state changed."""
        settings, course = self._settings, self._courses.get(stream)
        n_calm = max(1, round(_SHARE_CALM * settings.n_quiet))
        if course is None:
            if is_open or score < level - PENDING_DECADES:
                return False  # an episode that is not followed: its events tell
            self._courses[stream] = _Course("pending")
            return True
        margin = max(settings.close_margin, PENDING_DECADES)
        is_calm = score < (max(level - settings.close_margin, 0.5 * level) if is_open else level - margin)
        course.n_calm = course.n_calm + 1 if is_calm else 0
        state = course.state
        if is_open:
            course.state = "closing" if course.n_calm >= n_calm else "open"
        elif course.n_calm >= n_calm:
            del self._courses[stream]
            return True
        return course.state != state
