"""Streams whose clock jumped: their refused readings are counted, and another time line is followed.

A sensor's clock that is set back, or one wrong time stamp far ahead, leaves a stream whose every further
reading is late. After ``health.n_relocated`` late readings in a row, each later than the one before, the stream
is taken to have another time line: what it holds from after that line's beginning is moved to before it, and
the readings that follow are accepted, after a gap of those that were lost.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.health_settings import HealthSettings
from pipeline.core.records import F64, I8, I64, Batch, Health, HealthEvent, Outcome
from pipeline.detect.health import NO_SLOTS, Change
from pipeline.flow.state import State


@dataclass(frozen=True, slots=True)
class Followed:
    """What a batch's refused readings led to.

    Attributes:
        rows: Refused rows of the batch that are on a time line followed from now on: gate them again, shape (D,).
        events: Verdicts that were raised.
    """

    rows: I64
    events: list[HealthEvent]


def follow(settings: HealthSettings, state: State, batch: Batch, outcome: I8, now: float) -> Followed:
    """Count the readings of a batch that were refused because of their time, and follow clocks that were set back.

    Of a stream of which readings of the batch were accepted, only those count that came after the last of them.

    Args:
        settings: Those of health.
        state: The shard; only streams that are moved to another time line change, apart from counts.
        batch: The readings.
        outcome: What the gate made of them, ``Outcome``, shape (N,).
        now: Current time, Unix seconds.
    """
    is_refused = (outcome == Outcome.LATE) | (outcome == Outcome.FUTURE)
    if not is_refused.any() or not settings.enabled:
        return Followed(NO_SLOTS, [])
    accepted = outcome == Outcome.ACCEPTED
    last = np.full(state.capacity, -1, np.int64)  # accepted reading of each stream, by its place in the source
    np.maximum.at(last, batch.slot[accepted], batch.seq[accepted])
    rows = np.flatnonzero(is_refused)
    rows = rows[batch.seq[rows] > last[batch.slot[rows]]]
    rows = rows[np.lexsort((batch.seq[rows], batch.slot[rows]))]
    is_moved = np.zeros(state.capacity, np.bool_)
    again, events = [NO_SLOTS], list[HealthEvent]()
    for tick in _ticks(batch.slot[rows].astype(np.int64)):
        at = rows[tick]
        slots, was_moved = batch.slot[at].astype(np.int64), is_moved[batch.slot[at]]
        again.append(at[was_moved])
        at, slots = at[~was_moved], slots[~was_moved]
        is_late = outcome[at] == Outcome.LATE
        told_s = np.where(is_late, state.windows.newest[slots], now)
        ahead = state.clock.refuse(slots, batch.time[at], is_late, told_s)
        back = slots[is_late & (state.clock.n_late[slots] >= settings.n_relocated)]
        time_of = dict(zip(slots.tolist(), batch.time[at].tolist(), strict=True))
        for slot in (*back.tolist(), *ahead.tolist()):
            events.extend(_raise(state, slot, time_of[slot]))
        for slot in back.tolist():
            _relocate(state, slot)
        is_moved[back] = True
    return Followed(np.sort(np.concatenate(again)), events)


def _ticks(slot: I64) -> list[I64]:
    """Return the k-th row of every slot for each k; ``slot`` is sorted.

    Example:
        >>> [rows.tolist() for rows in _ticks(np.array([3, 3, 5]))]
        [[0, 2], [1]]
    """
    rank = np.arange(len(slot)) - np.searchsorted(slot, slot)
    order = np.argsort(rank, kind="stable")
    return np.split(order, np.cumsum(np.bincount(rank))[:-1]) if len(slot) else []


def _raise(state: State, slot: int, at_s: float) -> list[HealthEvent]:
    """Let the verdict hold, where it does not yet."""
    if state.verdicts.held(np.array([slot]), Health.CLOCK_SKEW)[0]:
        return []
    since_s = float(state.clock.first_late_s[slot]) if state.clock.n_late[slot] else at_s
    state.verdicts.apply(Health.CLOCK_SKEW, Change(np.array([slot]), np.array([since_s]), NO_SLOTS))
    text = state.clock.why(slot)
    name = str(state.table.names[slot])
    return [HealthEvent(name, Health.CLOCK_SKEW, raised=True, at_s=at_s, since_s=since_s, text=text)]


def _relocate(state: State, slot: int) -> None:
    """Move what a stream holds to before the time line that it is on now, and accept what follows on it."""
    windows, at = state.windows, np.array([slot])
    begin_s = float(state.clock.first_late_s[slot])
    step_s = float(np.nan_to_num(state.cadence.step_s[slot], nan=1.0))
    n = int(min(windows.n[slot], windows.value.shape[1]))
    windows.retime(slot, _moved(windows.last(at, n).time[0], begin_s, step_s))
    state.clock.n_late[slot] = 0
    for column in (state.decision.watched_s, state.decision.alerted_s, state.runs.first_s):
        column[slot] = np.minimum(column[slot], windows.newest[slot])  # a rest must not last until a time to come
    state.onset.reset(at)
    state.season.forget(at)  # it is kept by time
    state.pending.forget(at)
    state.league.forget(at)


def _moved(time: F64, begin_s: float, step_s: float) -> F64:
    """Return event times with those from ``begin_s`` on moved to before it, evenly, a usual interval apart or less.

    Example:
        >>> _moved(np.array([60.0, 120.0, 9e9]), 180.0, 60.0).tolist()
        [60.0, 120.0, 150.0]
        >>> _moved(np.array([7000.0, 7060.0, 7120.0]), 3600.0, 60.0).tolist()
        [3420.0, 3480.0, 3540.0]
    """
    n_right = int(np.searchsorted(time, begin_s))
    n_wrong = len(time) - n_right
    last_s = time[n_right - 1] if n_right else -np.inf
    between_s = min(step_s, (begin_s - last_s) / (n_wrong + 1))
    moved: F64 = np.concatenate((time[:n_right], begin_s - between_s * np.arange(n_wrong, 0, -1)))
    return moved
