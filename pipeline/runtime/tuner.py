"""The parent's end of fine-tuning in a child process: what it is sent, when, and what becomes of its answers.

Comes in: a session, on every turn of the worker. Goes out: lessons to the child, checked answers
into the session. One lesson is in flight at most, and the worker never waits. A child that dies,
hangs or talks nonsense costs its lesson: nothing has changed, its networks are still due, and another
child is started after a pause. This module refuses to know how networks learn.
"""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.errors import printable
from pipeline.core.records import I64
from pipeline.core.settings import Settings
from pipeline.flow.learning import Taught, chunks, part_of, prepare
from pipeline.flow.lessons import Lesson
from pipeline.flow.schedule import due_groups, readings_since
from pipeline.runtime.session import Session
from pipeline.runtime.tuner_child import Answer, Child, Failure

#: What runs the child: this very interpreter.
COMMAND = (sys.executable, "-P", "-m", "pipeline.runtime.tuner_process")
#: Pause before another child is started after one failure; it doubles with each in a row, up to the longest.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0
_MAX_DOUBLINGS = 16
_MAX_WORDS = 600
_MOST_WAITING = 256  # networks; each has weights and moments, about 190 KB with the three of the defaults

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Flight:
    """A lesson that the child has: when it was sent, monotonic seconds."""

    lesson: Lesson
    sent_s: float


@dataclass(frozen=True, slots=True)
class _Answered:
    """What became of a lesson and is not in force yet."""

    lesson: Lesson
    taught: Taught


class Tuner:
    """Fine-tunes a session's networks in a child process, within the budget of ``training``.

    All methods are for the worker's thread, take milliseconds, and raise nothing.

    Args:
        settings: All settings; the child gets them too.
        on_lesson: Told how long each lesson took from sending to answer, seconds.
        command: Starts the child; ``COMMAND`` by default.
        monotonic_s: Gives the current time, monotonic seconds.

    Attributes:
        lost: Networks whose fine-tune was lost, by ``Failure``.
    """

    def __init__(
        self,
        settings: Settings,
        on_lesson: Callable[[float], None] = lambda _duration_s: None,
        command: Sequence[str] | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lost = dict.fromkeys((failure.value for failure in Failure), 0)
        self._settings = settings
        self._on_lesson = on_lesson
        self._command = command or COMMAND
        self._now_s = monotonic_s
        self._child: Child | None = None
        self._flight: _Flight | None = None
        self._answered: list[_Answered] = []
        self._rests_until_s = float("-inf")
        self._n_failures = 0  # in a row

    @property
    def pid(self) -> int | None:
        """Process id of the child; None while there is none."""
        return self._child.pid if self._child else None

    @property
    def is_busy(self) -> bool:
        """Whether a lesson is in flight."""
        return self._flight is not None

    def owed(self, session: Session) -> I64:
        """Return the networks that are due and whose lesson has not been answered, largest debt first."""
        due = due_groups(session.model, session.state)
        answered = [each.lesson.groups for each in self._answered]
        return due[~np.isin(due, np.concatenate(answered))] if answered else due

    def turn(self, session: Session) -> None:
        """Take in an answer if there is one, and take over what is to be taken over now.

        Send a lesson if none is in flight, one is due, and the budget allows.
        """
        try:
            self._collect()
            self._take_over(session)
            self._offer(session)
        except Exception as error:  # noqa: BLE001 - whatever it is, scoring goes on
            _log.exception("fine-tuning failed")
            self._fail(Failure.INVALID, repr(error))

    def close(self) -> None:
        """End the child; the lesson in flight is dropped, and answers that were not taken over."""
        self._flight, self._answered = None, []
        if self._child:
            self._child.close()
            self._child = None

    def _offer(self, session: Session) -> None:
        if self._flight or self._now_s() < self._rests_until_s:
            return
        if self._n_failures == 0:  # a lag for want of a child is not for want of budget
            session.relieve()
        parts = chunks(session.model, session.state, self.owed(session))
        if not parts or sum(len(each.lesson.groups) for each in self._answered) >= _MOST_WAITING:
            return
        # After failures another part gets its turn: one lesson that kills every child must not starve the others.
        part = parts[self._n_failures % len(parts)]
        lesson = prepare(session.model, session.state, part)
        self._flight = _Flight(lesson, self._now_s())
        try:
            self._child = self._child or Child(self._command, self._settings)
        except OSError as error:
            self._fail(Failure.DIED, f"cannot be started: {error}")
        else:
            self._child.send(lesson)

    def _collect(self) -> None:
        flight, child = self._flight, self._child
        if not flight or not child:
            return
        answer = child.answer()
        if isinstance(answer, Answer):
            self._accept(flight, answer)
        elif answer:
            self._fail(answer, child.last_words)
        elif self._now_s() - flight.sent_s > self._settings.training.timeout_s:
            self._fail(Failure.TIMEOUT, child.last_words)

    def _accept(self, flight: _Flight, answer: Answer) -> None:
        self._answered.append(_Answered(flight.lesson.without_readings(), answer.taught))
        now_s = self._now_s()
        self._on_lesson(now_s - flight.sent_s)
        spent_s = min(answer.cpu_s, now_s - flight.sent_s)
        self._rests_until_s = now_s + spent_s * (100.0 / self._settings.training.budget_percent - 1.0)
        self._flight, self._n_failures = None, 0

    def _take_over(self, session: Session) -> None:
        """Put in force what has waited until its reading came, or is no longer wanted."""
        takeover, waiting = self._settings.training.takeover, []
        for each in self._answered:
            lesson = each.lesson
            since = readings_since(session.state, lesson.slots, lesson.n_due, lesson.network_of, len(lesson.groups))
            is_now = (since < 0) | (since >= takeover)
            if is_now.any():
                session.learn(*part_of(lesson, each.taught, is_now))
            if not is_now.all():
                waiting.append(_Answered(*part_of(lesson, each.taught, ~is_now)) if is_now.any() else each)
        self._answered = waiting

    def _fail(self, failure: Failure, words: str) -> None:
        """Count a lesson as lost, end the child, and pause."""
        n_lost = len(self._flight.lesson.groups) if self._flight else 0
        self.lost[failure] += n_lost
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(self._n_failures, _MAX_DOUBLINGS), LONGEST_PAUSE_S)
        self._rests_until_s = self._now_s() + pause_s
        self._n_failures += 1
        self._flight = None
        if self._child:
            self._child.kill()
            self._child = None
        said = printable(words[-_MAX_WORDS:], _MAX_WORDS)
        fields = {"outcome": failure.value, "n_networks": n_lost, "pause_s": pause_s, "stderr": said}
        _log.warning("fine-tune lost", extra={"fields": fields})
