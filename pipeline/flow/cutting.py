"""A lesson's readings as networks see them, laid out once, and the windows cut from them.

Windows overlap: what a network sees at a reading, and what it should have foretold there, is the same in all of them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.records import F32, F64, I64, Bool
from pipeline.core.settings import Settings
from pipeline.core.short_floats import lengthened
from pipeline.flow.forecasting import Scale, Seen, inputs
from pipeline.flow.lessons import Lesson
from pipeline.forecast.features import N_FEATURES, Z_BOUND, squash
from pipeline.forecast.targets import ACTIVITY, N_TARGETS, Horizons, log_activity
from pipeline.forecast.training import Windows
from pipeline.streams.windows import times_before

_AT_ONCE = 16_384  # readings laid out at once: their columns stay in the cache


@dataclass(frozen=True, slots=True)
class Laid:
    """The newest L readings of some streams of a lesson, oldest first.

    Attributes:
        row: Place of each lesson's stream among these, shape (D,); -1 where it is not one.
        first: Number of each one's first reading, negative where a stream has fewer than L.
        x: Inputs, float32, shape (streams, L, F); of the first reading without the change that led to it.
        y: Targets, float32, shape (streams, L, C).
        is_known: They have been observed, and may teach, likewise.
    """

    row: I64
    first: I64
    x: F32
    y: F32
    is_known: Bool

    def cut(self, rows: I64, first: I64, length: int) -> tuple[Windows, I64]:
        """Cut windows.

        Args:
            rows: Stream of each window in the lesson, shape (G, B).
            first: Number of its first reading, shape (G, B).
            length: Readings T in each.

        Returns:
            Windows, and the number of each of their readings in its stream, shape (G, B, T).
        """
        number = first[..., None] + np.arange(length)
        row = self.row[rows]
        at = number - self.first[row][..., None]
        at += row[..., None] * self.x.shape[1]
        x, y, is_known = (a.reshape(-1, a.shape[2])[at] for a in (self.x, self.y, self.is_known))
        return Windows(x, y, is_known), number


def lay_out(lesson: Lesson, settings: Settings, streams: I64, length: int, *, is_all_taught: bool = False) -> Laid:
    """Lay out the newest readings of streams.

    Args:
        lesson: What holds them.
        settings: Horizons.
        streams: Which, ascending, each with a scale.
        length: How many readings L, at most as many as are held.
        is_all_taught: Readings that may not teach count too.
    """
    row = np.full(len(lesson.n), -1)
    row[streams] = np.arange(len(streams))
    shape = len(streams), length
    x = np.empty((*shape, N_FEATURES + lesson.context.shape[2]), np.float32)
    y, is_known = np.empty((*shape, N_TARGETS), np.float32), np.empty((*shape, N_TARGETS), np.bool_)
    start = 0
    for part in np.array_split(streams, -(-len(streams) * length // _AT_ONCE)):
        own = slice(start, start := start + len(part))
        x[own], y[own], is_known[own] = _block(lesson, settings, part, length, is_all_taught=is_all_taught)
    return Laid(row, lesson.n[streams] - length, x, y, is_known)


def _block(
    lesson: Lesson, settings: Settings, streams: I64, length: int, *, is_all_taught: bool
) -> tuple[F32, F32, Bool]:
    """Return inputs, targets, and whether these are known, of a few streams."""
    horizons = Horizons(settings.forecast.horizon_short, settings.forecast.horizon_long)
    width = lesson.value.shape[1]
    number = lesson.n[streams, None] - length + np.arange(length)
    at = number % width + streams[:, None] * width  # in rings that lie one after the other
    value, since = lesson.value.reshape(-1)[at], lesson.since.reshape(-1)[at]
    time = times_before(lesson.last_s[streams], since)
    before, interval = np.full((2, *value.shape), np.nan)
    before[:, 1:], interval[:, 1:] = value[:, :-1], since[:, 1:]
    scale = lesson.scale.at(streams)
    outlook = lengthened(_flat(lesson.outlook)[at]) * lesson.unit[streams, None, None]
    seen = Seen(value, before, time, interval, outlook, _flat(lesson.context)[at])
    may_teach = np.ones(at.shape, np.bool_) if is_all_taught else lesson.is_taught.reshape(-1)[at]
    return inputs(scale, seen), *_targets(scale, horizons, value, may_teach)


def _flat(rings: NDArray[Any]) -> NDArray[Any]:
    """Return rings of D streams, shape (D, W, K), one after the other, shape (D * W, K)."""
    return rings.reshape(rings.shape[0] * rings.shape[1], rings.shape[2])


def _targets(scale: Scale, horizons: Horizons, value: F64, may_teach: Bool) -> tuple[F32, Bool]:
    """Return what the networks should have foretold at each reading, scaled; shape (D, L, C)."""
    length = value.shape[1]
    middle, spread = scale.middle[:, None], scale.spread[:, None]
    reach = spread * np.sinh(Z_BOUND)  # beyond it squashed values are alike; sums of glitches would lose the rest
    to_come = ((0, 0), (0, horizons.long))
    deviation = np.pad(np.where(may_teach, np.clip(value - middle, -reach, reach), 0.0), to_come)
    sums = _cumulative(deviation)
    changes = _cumulative(np.abs(np.diff(deviation, axis=1)))
    missing = _cumulative(np.pad(~may_teach, to_come, constant_values=True))
    y = np.empty((len(value), length, N_TARGETS), np.float32)
    is_known = np.empty(y.shape, np.bool_)

    def later(a: F64, n: int) -> F64:
        return a[:, n : n + length]

    for target, horizon in enumerate(horizons.lengths):
        first = 0 if target == ACTIVITY else 1  # the first change starts at the reading itself
        is_known[..., target] = later(missing, 1 + horizon) == later(missing, first)
        if target != ACTIVITY:
            mean = (later(sums, 1 + horizon) - later(sums, 1)) / horizon
            y[..., target] = squash(mean + middle, middle, spread)
        else:
            mean_change = (later(changes, horizon) - later(changes, 0)) / horizon
            y[..., target] = log_activity(mean_change, spread) - np.log(spread)
    return y, is_known


def _cumulative(a: F64 | Bool) -> F64:
    """Return sums of the first 0, 1, ... columns, shape (N, L + 1)."""
    out = np.zeros((len(a), a.shape[1] + 1))
    np.cumsum(a, axis=1, out=out[:, 1:])
    return out
