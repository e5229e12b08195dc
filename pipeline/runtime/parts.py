"""Batches cut where a network falls due or is taken over: at the same readings, however many came together.

Comes in: readings that came together. Goes out: the rows to process before each look at what is due. Refuses to know
who teaches.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from pipeline.core.records import I64, Readings
from pipeline.core.settings import Settings
from pipeline.flow.schedule import first_due, readings_until
from pipeline.runtime.replay_batches import first_too_many, position_in_stream
from pipeline.runtime.session import Session


def are_apart(settings: Settings) -> bool:
    """Whether no stream touches another: each has a network of its own, and none is another's context."""
    return settings.forecast.sharing == "stream" and not settings.forecast.context


def lacking(session: Session, names: Sequence[str]) -> I64:
    """Return how many readings each stream lacks until its network falls due or is to be taken over, shape (S,)."""
    known = session.state.table.known(names)
    if known is not None:
        return readings_until(session.model, session.state, known)
    lacks = np.full(len(names), first_due(session.settings), np.int64)
    at = [i for i, name in enumerate(names) if name in session.state.table]
    if at:
        slots = session.state.table.admit([names[i] for i in at])
        lacks[at] = readings_until(session.model, session.state, slots)
    return lacks


def parts(session: Session, readings: Readings) -> Iterator[I64]:
    """Cut readings where a network falls due or is taken over.

    Where no stream touches another, each has its own cuts. Streams that meet in a network or as context are cut
    together, in the order of time; readings of one time stay together.

    Args:
        session: Processes each part, and fine-tunes, before the next is asked for.
        readings: Readings that came together, any order.

    Yields:
        Row numbers, ascending; at least one part, and an empty one of no readings.
    """
    n_of = np.bincount(readings.stream, minlength=len(readings.names))
    if not session.settings.training.enabled or n_of.max(initial=0) <= 1:
        yield np.arange(len(readings))
    elif are_apart(session.settings):
        yield from _each_cut_alone(session, readings, n_of)
    else:
        yield from _cut_together(session, readings)


def _each_cut_alone(session: Session, readings: Readings, n_of: I64) -> Iterator[I64]:
    order = np.lexsort((readings.time, readings.stream))  # as the engine puts them in order
    stream = readings.stream[order]
    nth, n_done = position_in_stream(stream), np.zeros(len(n_of), np.int64)
    while (n_done < n_of).any():
        end = np.minimum(n_done + lacking(session, readings.names), n_of)
        yield np.sort(order[(nth >= n_done[stream]) & (nth < end[stream])])
        n_done = end


def _cut_together(session: Session, readings: Readings) -> Iterator[I64]:
    order = np.argsort(readings.time, kind="stable")
    stream, time = readings.stream[order], readings.time[order]
    nth, n_done, at = position_in_stream(stream), np.zeros(len(readings.names), np.int64), 0
    while at < len(order):
        last = first_too_many(nth, stream, n_done + lacking(session, readings.names) - 1, at)
        end = int(np.searchsorted(time, time[last], side="right")) if last < len(order) else last
        yield np.sort(order[at:end])
        n_done += np.bincount(stream[at:end], minlength=len(n_done))
        at = end
