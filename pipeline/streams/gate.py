"""The gate: sorts a batch, and lets each reading in once, in order, finite and on time.

Comes in: a batch in any order and the newest accepted time of each slot. Goes out: an outcome per
reading and the ticks, the k-th new reading of all streams together. It changes no state.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pipeline.core.records import F64, I8, I64, Batch, Bool, Flag, Outcome


@dataclass(frozen=True, slots=True)
class Gated:
    """What the gate decided.

    Attributes:
        outcome: ``Outcome`` per reading of the batch, int8, shape (N,).
        rows: Accepted readings as indices into the batch, tick by tick, by slot within a tick.
        bounds: ``rows[bounds[k]:bounds[k + 1]]`` is tick k.
    """

    outcome: I8
    rows: I64
    bounds: I64

    def ticks(self) -> Iterator[I64]:
        """Yield the batch indices of each tick."""
        for start, end in zip(self.bounds[:-1], self.bounds[1:], strict=True):
            yield self.rows[start:end]


def in_parts(bounds: I64, n_most: int) -> I64:
    """Cut ticks into parts of ``n_most`` readings at most.

    Args:
        bounds: Where ticks begin and end, as in ``Gated``.
        n_most: Readings.

    Example:
        >>> in_parts(np.array([0, 5, 7]), 2).tolist()
        [0, 2, 4, 5, 7]
    """
    if len(bounds) < 2 or np.diff(bounds).max() <= n_most:  # noqa: PLR2004 - no tick
        return bounds
    parts = [np.arange(start, end, n_most) for start, end in pairwise(bounds.tolist())]
    return np.concatenate((*parts, bounds[-1:]))


def gate(batch: Batch, newest: F64, holds: Callable[[I64, F64], Bool], latest_s: float, max_abs_value: float) -> Gated:
    """Decide what becomes of each reading.

    Per stream, readings pass in order of event time. The first of several with one event time
    passes (lowest ``seq``); the others, and those whose time is still in the window, are
    duplicates; older ones are late.

    Args:
        batch: Readings in any order.
        newest: Newest accepted event time per slot, -inf for none, shape (S,).
        holds: Says of slots and times, shape (D,) each, whether the windows hold such readings.
        latest_s: Event times after this are in the future, Unix seconds.
        max_abs_value: Larger magnitudes are out of range.

    Returns:
        Outcomes and ticks.
    """
    outcome = _by_reading(batch, latest_s, max_abs_value)
    good = np.flatnonzero(outcome == Outcome.ACCEPTED)
    order = good[np.lexsort((batch.seq[good], batch.time[good], batch.slot[good]))]
    slot, time = batch.slot[order].astype(np.int64), batch.time[order]
    is_first = _differs_from_last(slot)
    is_repeat = np.zeros(len(order), np.bool_)
    is_repeat[1:] = ~is_first[1:] & (time[1:] == time[:-1])
    is_old = time <= newest[slot]
    outcome[order[is_repeat]] = Outcome.DUPLICATE
    if is_old.any():
        rows = order[is_old]
        is_held = holds(slot[is_old], time[is_old])
        outcome[rows] = np.where(is_held, Outcome.DUPLICATE, Outcome.LATE)
    fresh = ~(is_repeat | is_old)
    return _into_ticks(outcome, order[fresh], slot[fresh])


def _by_reading(batch: Batch, latest_s: float, max_abs_value: float) -> I8:
    """Outcomes that need no other reading; the later assignment is the stronger reason."""
    outcome = np.full(len(batch), Outcome.ACCEPTED, np.int8)
    with np.errstate(invalid="ignore"):
        outcome[(batch.time > latest_s) | ((batch.flags & Flag.AHEAD) != 0)] = Outcome.FUTURE
        outcome[np.abs(batch.value) > max_abs_value] = Outcome.OUT_OF_RANGE
    outcome[~(np.isfinite(batch.value) & np.isfinite(batch.time))] = Outcome.NOT_FINITE
    outcome[(batch.flags & Flag.RETAINED) != 0] = Outcome.RETAINED
    outcome[batch.slot < 0] = Outcome.STREAM_LIMIT
    return outcome


def _into_ticks(outcome: I8, rows: I64, slot: I64) -> Gated:
    """Order accepted rows, sorted by (slot, time), by their rank within the slot."""
    n = len(rows)
    starts = np.flatnonzero(_differs_from_last(slot))
    rank = np.arange(n) - np.repeat(starts, np.diff(starts, append=n))
    by_tick = np.argsort(rank, kind="stable")
    lengths = np.bincount(rank)
    bounds = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=bounds[1:])
    return Gated(outcome, rows[by_tick], bounds)


def _differs_from_last(slot: I64) -> Bool:
    """Say where another stream's readings begin, shape (N,)."""
    differs = np.ones(len(slot), np.bool_)
    np.not_equal(slot[1:], slot[:-1], out=differs[1:])
    return differs
