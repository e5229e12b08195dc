"""What if the budget were another one: alerts decided anew from scores that were kept.

Comes in: scores, and budgets. Goes out: the episodes that each budget would have opened, and which of them are new or
gone. Scores do not depend on the budget, so no network runs: only cadence, alert levels, decision and episodes, the
very classes of the engine, all budgets side by side in one vector. Refuses to know files and terminals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.rates import seconds_per_event
from pipeline.core.records import F64, I32, I64, Bool, Event, Health, Outcome, Readings, Steps
from pipeline.core.settings import DetectionSettings
from pipeline.detect.budget import DIMENSIONS, Budget, decades_of
from pipeline.detect.decision import Decision, Scores
from pipeline.detect.episodes import Episodes, Seen
from pipeline.detect.views import View
from pipeline.streams.cadence import Cadence

_WEEK_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Scored:
    """Accepted readings with their scores and what was decided on them, in any order of streams, shape (N,) each.

    Attributes:
        names: Stream names.
        stream: Index into ``names``.
        time: Event time, Unix seconds, ascending within a stream.
        score: NaN while warming up.
        level: Alert level that was in force.
        is_stuck: The sensor was judged stuck: such readings teach no level.
        event: ``Event``: what was decided.
    """

    names: Sequence[str]
    stream: I32
    time: F64
    score: F64
    level: F64
    is_stuck: Bool
    event: I64

    @classmethod
    def of(cls, readings: Readings, steps: Steps) -> "Scored":
        """Take what matters from a replay."""
        rows = np.flatnonzero(steps.outcome == Outcome.ACCEPTED)
        rows = rows[np.lexsort((readings.time[rows], readings.stream[rows]))]
        is_stuck = (steps.health[rows] & np.uint16(Health.STUCK)) != 0
        columns = (readings.stream[rows], readings.time[rows], steps.score[rows], steps.level[rows])
        return cls(readings.names, *columns, is_stuck, steps.event[rows].astype(np.int64))


@dataclass(frozen=True, slots=True)
class Told:
    """One episode: what a user would have been told.

    Attributes:
        stream: Index of its stream.
        opened_s: Event time of its opening, Unix seconds.
        closed_s: Event time of its closing; infinite when it is still open.
        score: Score at its opening.
        level: Alert level at its opening.
    """

    stream: int
    opened_s: float
    closed_s: float
    score: float
    level: float

    def overlaps(self, other: "Told") -> bool:
        """Say whether both tell of the same time of the same stream."""
        is_same_time = self.opened_s <= other.closed_s and other.opened_s <= self.closed_s
        return self.stream == other.stream and is_same_time


@dataclass(frozen=True, slots=True)
class Outlook:
    """What one budget would have told.

    Attributes:
        budget: The rate, as it was given.
        told: Its episodes, by stream and time.
        new: Those of them that overlap with no episode that was told.
        gone: Episodes that were told and overlap with none of these.
    """

    budget: str
    told: Sequence[Told]
    new: Sequence[Told]
    gone: Sequence[Told]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What each budget would have told.

    Attributes:
        names: Stream names.
        recorded: The episodes that were told, by stream and time.
        weeks: Weeks that were watched, per stream, shape (S,).
        outlooks: One per budget.
        is_same: Deciding anew under the budget of the settings gives what was told: the scores were made with these.
    """

    names: Sequence[str]
    recorded: Sequence[Told]
    weeks: F64
    outlooks: Sequence[Outlook]
    is_same: bool


def what_if(scored: Scored, settings: DetectionSettings, budgets: Sequence[str], since_s: float = math.inf) -> WhatIf:
    """Decide anew under each budget.

    Args:
        scored: The scores.
        settings: Those that the scores were made with.
        budgets: Rates such as ``1 per 7 days``.
        since_s: Count only what opened in so many seconds before the newest reading.
    """
    own = settings.false_alarms_per_stream
    own_told, *others = decided(scored, settings, [own, *budgets])
    recorded = recorded_episodes(scored)
    is_same = [(t.stream, t.opened_s) for t in own_told] == [(t.stream, t.opened_s) for t in recorded]
    begin_s = float(scored.time.max(initial=-math.inf)) - since_s
    before = [t for t in recorded if t.opened_s >= begin_s]
    outlooks = []
    for budget, all_told in zip(budgets, others, strict=True):
        told = [t for t in all_told if t.opened_s >= begin_s]
        new = [t for t in told if not _overlaps_any(t, recorded)]
        gone = [t for t in before if not _overlaps_any(t, all_told)]
        outlooks.append(Outlook(budget, told, new, gone))
    return WhatIf(scored.names, before, _weeks(scored, begin_s), outlooks, is_same)


def decided(scored: Scored, settings: DetectionSettings, budgets: Sequence[str]) -> list[list[Told]]:
    """Return the episodes that each budget opens, by stream and time."""
    n_streams, n_budgets = len(scored.names), len(budgets)
    lanes = _Lanes(n_streams, settings, [seconds_per_event(budget) for budget in budgets])
    for rows in _ticks(scored.stream):
        streams = scored.stream[rows].astype(np.int64)
        lanes.step(streams, scored.time[rows], scored.score[rows], scored.is_stuck[rows])
    told: list[list[Told]] = [[] for _ in range(n_budgets)]
    for slot, episodes in enumerate(lanes.told):
        told[slot // n_streams] += episodes
    return told


def recorded_episodes(scored: Scored) -> list[Told]:
    """Return the episodes that were told, by stream and time."""
    told: list[list[Told]] = [[] for _ in scored.names]
    for i in np.flatnonzero(scored.event).tolist():
        stream = int(scored.stream[i])
        _note(told[stream], stream, int(scored.event[i]), float(scored.time[i]), scored.score[i], scored.level[i])
    return [t for own in told for t in own]


class _Lanes:
    """The decision layer of S streams under B budgets: slot ``b * S + s`` is stream s under budget b."""

    def __init__(self, n_streams: int, settings: DetectionSettings, seconds: Sequence[float]) -> None:
        n_slots = n_streams * len(seconds)
        self.told: list[list[Told]] = [[] for _ in range(n_slots)]
        self._n_streams = n_streams
        self._settings = settings
        self._seconds = seconds
        self._cadence = Cadence.empty(n_streams)
        self._newest: F64 = np.full(n_streams, np.nan)
        self._n: I64 = np.zeros(n_streams, np.int64)
        self._has_score: Bool = np.zeros(n_streams, np.bool_)
        self._was_stuck: Bool = np.zeros(n_streams, np.bool_)
        self._budget = Budget.empty(n_slots, kept=settings.n_kept, **DIMENSIONS)
        self._decision = Decision.empty(n_slots)
        self._episodes = Episodes.empty(n_slots, views=len(View))

    def step(self, streams: I64, time: F64, score: F64, is_stuck: Bool) -> None:
        """Decide on one reading of each of A streams, as the engine does."""
        settings, n_budgets = self._settings, len(self._seconds)
        n = self._n[streams]
        self._cadence.learn(streams, time - self._newest[streams], n)
        self._newest[streams] = time
        self._n[streams] += 1
        step_s = self._cadence.step_s[streams]
        slots = np.concatenate([streams + b * self._n_streams for b in range(n_budgets)])
        self._start_anew(streams, score, slots)
        decades = np.concatenate([decades_of(seconds, step_s) for seconds in self._seconds])
        level = self._budget.level(slots, decades)
        is_settled = n >= settings.n_settled
        alerting = np.where(is_settled & ~self._was_stuck[streams], score, np.nan)  # judged before its sensor is
        self._was_stuck[streams] = is_stuck
        columns = (time, score, alerting, np.nan_to_num(step_s))
        time, score, alerting, steps = (np.tile(column, n_budgets) for column in columns)
        is_alert = self._decision.step(slots, Scores(time, alerting, level, steps), settings)
        unseen = np.zeros(len(slots))
        seen = Seen(time, unseen, unseen, unseen, unseen, score, level, np.zeros((len(slots), len(View))))
        event = self._episodes.step(slots, slots, seen, is_alert, settings).event
        for i in np.flatnonzero(event).tolist():
            slot = int(slots[i])
            _note(self.told[slot], slot % self._n_streams, int(event[i]), float(time[i]), score[i], level[i])
        is_usual = (event == Event.OPEN) | ~self._episodes.is_open[slots]
        is_counted = np.tile(is_settled & ~is_stuck, n_budgets)
        self._budget.learn(slots, slots, score, level, is_counted & is_usual)

    def _start_anew(self, streams: I64, score: F64, slots: I64) -> None:
        """Forget the levels of streams that the engine started anew: their scores went missing again."""
        is_missing = np.isnan(score)
        is_anew = self._has_score[streams] & is_missing
        self._has_score[streams] = ~is_missing
        if is_anew.any():
            self._budget.reset(slots[np.tile(is_anew, len(self._seconds))])


def _note(told: list[Told], stream: int, event: int, time_s: float, score: float, level: float) -> None:
    """Take in that an episode opened or closed."""
    if event == Event.OPEN:
        told.append(Told(stream, time_s, math.inf, float(score), float(level)))
    elif event == Event.CLOSE and told:
        last = told[-1]
        told[-1] = Told(stream, last.opened_s, time_s, last.score, last.level)


def _ticks(stream: I32) -> list[I64]:
    """Return the rows of the k-th reading of all streams, for each k.

    Example:
        >>> [rows.tolist() for rows in _ticks(np.array([0, 0, 1], np.int32))]
        [[0, 2], [1]]
    """
    order = np.argsort(stream, kind="stable")
    starts = np.flatnonzero(np.diff(stream[order], prepend=-1))
    number = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return np.split(order[np.argsort(number, kind="stable")], np.cumsum(np.bincount(number))[:-1]) if len(order) else []


def _overlaps_any(told: Told, others: Sequence[Told]) -> bool:
    return any(told.overlaps(other) for other in others)


def _weeks(scored: Scored, begin_s: float) -> F64:
    """Return how long each stream was watched from ``begin_s`` on, weeks."""
    weeks = np.zeros(len(scored.names))
    first, last = np.full(len(weeks), np.inf), np.full(len(weeks), -np.inf)
    np.minimum.at(first, scored.stream, scored.time)
    np.maximum.at(last, scored.stream, scored.time)
    watched = last - np.maximum(first, begin_s)
    return np.where(watched > 0, watched / _WEEK_S, 0.0)
