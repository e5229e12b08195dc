"""What a fine-tune needs of a shard, as plain arrays, and the training windows cut from them.

A lesson can be taught where it was made or in another process: it holds copies, no state and no
model. Windows are drawn by each network's own random numbers, so the same readings give the same
weights, whatever other streams do.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from pipeline.core.records import F32, F64, I32, I64, U64, Bool
from pipeline.core.seeds import uniforms
from pipeline.core.settings import Settings
from pipeline.flow.forecasting import Scale, Seen, inputs
from pipeline.forecast.features import Z_BOUND, squash
from pipeline.forecast.network import Network
from pipeline.forecast.targets import ACTIVITY, N_TARGETS, Horizons, log_activity
from pipeline.forecast.training import Windows

_N_RECENT = 400  # half of the windows start within so many of the newest places
MAX_STREAMS_PER_BATCH = 8  # a shared network's minibatch grows with its streams up to this
_DRAWS_PER_ROUND = np.uint64(24)  # two to the power of this are set aside; initial weights use round 0
_DROPOUT_DRAWS = np.uint64(1 << 61)  # where the draws of dropout begin
_HELD_LEN, _HELD_EVERY = 16, 8  # of every eight runs of sixteen readings, the last is held out
_N_HELD = 8  # hold-out windows per network


#: What ``apply`` needs of a lesson, beside the bank.
PLACE = ("groups", "key", "n_rounds", "slots", "network_of", "n_due", "n", "middle", "spread", "interval")


@dataclass(frozen=True, slots=True)
class Lesson:
    """G networks to fine-tune and the D streams they learn from; W readings are held of each.

    Attributes:
        groups: Number of each network in the bank, int64, shape (G,).
        key, n_rounds, n_steps: Of the networks, as in ``Bank``.
        weights, previous, m, v: Likewise, shape (G, E, P).
        slots: Streams, int64, shape (D,).
        network_of: Place of each stream's network in ``groups``, int64, shape (D,).
        n_due: Readings of each stream when its network fell due: which lesson this is.
        n: Readings of each that may be learnt from: those then, or all there are where the lesson is very late.
        n_held: How many of them may be cut from.
        n_trained: Readings when its network was last fine-tuned.
        time, value, is_taught, outlook, context: Windows, as they lie in ``streams.windows``.
        middle, spread, interval: Scale to train in; spread is 0 where a stream has none.
    """

    groups: I64
    key: U64
    n_rounds: I32
    n_steps: I32
    weights: F32
    previous: F32
    m: F32
    v: F32
    slots: I64
    network_of: I64
    n_due: I64
    n: I64
    n_held: I64
    n_trained: I64
    time: F64
    value: F64
    is_taught: Bool
    outlook: F32
    context: F32
    middle: F64
    spread: F64
    interval: F64

    @property
    def scale(self) -> Scale:
        """The scale to train in."""
        return Scale(self.middle, self.spread, self.interval)

    def without_readings(self) -> Self:
        """Return what ``apply`` needs of it; weights and readings are left out, which are most of its size."""
        nothing: dict[str, Any] = {field.name: np.zeros(0) for field in fields(self) if field.name not in PLACE}
        return replace(self, **nothing)


def minibatches(lesson: Lesson, settings: Settings, n_steps: int) -> list[Windows]:
    """Draw the windows of all minibatches: every stream of a network alike, half of them recent."""
    training = settings.training
    by_network = _by_network(lesson, training.window + 2)
    n_rows = training.batch * min(max(len(members) for members in by_network), MAX_STREAMS_PER_BATCH)
    n_draws = n_steps * n_rows
    offset = (lesson.n_rounds.astype(np.uint64) + np.uint64(1)) << _DRAWS_PER_ROUND
    draws = uniforms(lesson.key, 2 * n_draws, offset).reshape(len(by_network), 2, n_draws)
    rows = np.stack(
        [members[(u * len(members)).astype(np.int64)] for members, u in zip(by_network, draws[:, 0], strict=True)]
    )
    n_held = lesson.n_held[rows]
    newest = n_held - training.window - 1  # latest start whose first target has been read
    is_recent = np.arange(n_draws) % 2 == 0
    oldest = np.where(is_recent, np.maximum(1, newest - _N_RECENT), 1)
    start = oldest + (draws[:, 1] * (newest - oldest + 1)).astype(np.int64)
    windows, number = _cut(lesson, settings, rows, lesson.n[rows] - n_held + start)
    windows.is_known[is_held_out(number + 1)] = False
    return windows.split(n_steps)


def dropout_draws(lesson: Lesson, network: Network, batches: list[Windows]) -> F64:
    """Draw what dropout needs, by each network's own random numbers, shape (minibatches, G * E, B, n_keep)."""
    n_members, n_rows = lesson.weights.shape[1], batches[0].x.shape[1]
    n_draws = len(batches) * n_members * n_rows * network.stack.n_keep
    offset = _DROPOUT_DRAWS + (lesson.n_rounds.astype(np.uint64) << np.uint64(32))
    draws = uniforms(lesson.key, n_draws, offset)
    by_batch = draws.reshape(len(lesson.groups), len(batches), n_members, n_rows, -1).swapaxes(0, 1)
    return by_batch.reshape(len(batches), -1, n_rows, network.stack.n_keep)


def is_held_out(number: I64) -> Bool:
    """Say which readings, by their number in the stream, are never taught as the next reading, only examined on."""
    held: Bool = (number // _HELD_LEN) % _HELD_EVERY == _HELD_EVERY - 1
    return held


def hold_out(lesson: Lesson, settings: Settings) -> Windows:
    """Cut windows over the newest held-out readings of each network's streams; only those readings count."""
    length, period = settings.training.window, _HELD_LEN * _HELD_EVERY
    by_network = _by_network(lesson, length + 2)
    place = np.arange(_N_HELD)
    rows = np.stack([members[place % len(members)] for members in by_network])
    turn = np.stack([place // len(members) for members in by_network])
    end = (lesson.n[rows] // period - turn) * period  # one after the last reading of a held-out run
    first = end - 1 - length
    oldest = np.maximum(1, lesson.n[rows] - lesson.n_held[rows] + 1)
    windows, number = _cut(lesson, settings, rows, np.maximum(first, oldest))
    counts = is_held_out(number + 1) & (first >= oldest)[..., None]
    return Windows(windows.x, windows.y, windows.is_known & counts[..., None])


def unseen(lesson: Lesson, settings: Settings) -> Windows:
    """Cut one window over the newest readings of some streams; only those since the last fine-tune count."""
    length = settings.training.window
    by_network = _by_network(lesson, length + 2)
    place = np.arange(_N_HELD)
    rows = np.stack([members[place % len(members)] for members in by_network])
    # Readings of an episode too: weights so bad that they open one must not hide behind it.
    everything = replace(lesson, is_taught=np.ones_like(lesson.is_taught))
    windows, number = _cut(everything, settings, rows, lesson.n[rows] - 1 - length)
    is_new = (number + 1 >= lesson.n_trained[rows][..., None]) & (lesson.n_trained[rows] > 0)[..., None]
    is_first = np.stack([place < len(members) for members in by_network])[..., None]
    return Windows(windows.x, windows.y, windows.is_known & (is_new & is_first)[..., None])


def _by_network(lesson: Lesson, n_least: int) -> list[I64]:
    """Return the rows of the streams of each network that have enough readings to learn from."""
    ready = np.flatnonzero((lesson.n >= n_least) & (lesson.spread > 0))
    order = ready[np.argsort(lesson.network_of[ready], kind="stable")]
    bounds = np.searchsorted(lesson.network_of[order], np.arange(1, len(lesson.groups)))
    return np.split(order, bounds)


def _cut(lesson: Lesson, settings: Settings, rows: I64, first: I64) -> tuple[Windows, I64]:
    """Cut windows with their targets.

    Args:
        lesson: The streams.
        settings: Lengths.
        rows: Stream of each window, shape (G, B).
        first: Number of its first reading; the one before is still held, shape (G, B).

    Returns:
        Windows, and the number of each of their readings in its stream, shape (G, B, T).
    """
    length, width = settings.training.window, lesson.value.shape[1]
    horizons = Horizons(settings.forecast.horizon_short, settings.forecast.horizon_long)
    shape, row = rows.shape, rows.reshape(-1)
    number = first.reshape(-1, 1) + np.arange(-1, length + horizons.long)
    at = number[:, :1] % width + np.arange(number.shape[1])
    at -= (at >= width) * width
    at += row[:, None] * width  # in rings that lie one after the other
    value = lesson.value.reshape(-1)[at]
    may_teach = (number < lesson.n[row, None]) & lesson.is_taught.reshape(-1)[at]
    inside, before = slice(1, length + 1), slice(0, length)
    time = lesson.time.reshape(-1)[at[:, : length + 1]]
    seen = Seen(
        value[:, inside],
        value[:, before],
        time[:, 1:],
        np.diff(time, axis=1),
        _flat(lesson.outlook)[at[:, inside]],
        _flat(lesson.context)[at[:, inside]],
    )
    x = inputs(Scale(lesson.middle[row], lesson.spread[row], lesson.interval[row]), seen)
    y, is_known = _targets(lesson, horizons, row, value, may_teach)
    laid = Windows(x.reshape(*shape, length, -1), y.reshape(*shape, length, -1), is_known.reshape(*shape, length, -1))
    return laid, number[:, inside].reshape(*shape, length)


def _flat(rings: F32) -> F32:
    """Return rings of D streams, shape (D, W, K), one after the other, shape (D * W, K)."""
    return rings.reshape(rings.shape[0] * rings.shape[1], rings.shape[2])


def _targets(lesson: Lesson, horizons: Horizons, row: I64, value: F64, may_teach: Bool) -> tuple[F32, Bool]:
    """Return what the networks should have foretold at each reading of each window, scaled."""
    length = value.shape[1] - 1 - horizons.long
    middle, spread = lesson.middle[row, None], lesson.spread[row, None]
    reach = spread * np.sinh(Z_BOUND)  # beyond it squashed values are alike; sums of glitches would lose the rest
    deviation = np.where(may_teach, np.clip(value - middle, -reach, reach), 0.0)
    sums = _cumulative(deviation)
    changes = _cumulative(np.abs(np.diff(deviation, axis=1)))
    missing = _cumulative(~may_teach)
    at = np.arange(1, length + 1)  # place of each reading of the window in ``value``
    y = np.empty((len(row), length, N_TARGETS), np.float32)
    is_known = np.empty(y.shape, np.bool_)
    for target, horizon in enumerate(horizons.lengths):
        first = at if target == ACTIVITY else at + 1  # the first change starts at the reading itself
        is_known[..., target] = missing[:, at + 1 + horizon] == missing[:, first]
        if target != ACTIVITY:
            mean = (sums[:, at + 1 + horizon] - sums[:, at + 1]) / horizon
            y[..., target] = squash(mean + middle, middle, spread)
        else:
            mean_change = (changes[:, at + horizon] - changes[:, at]) / horizon
            y[..., target] = log_activity(mean_change, spread) - np.log(spread)
    return y, is_known


def _cumulative(a: F64 | Bool) -> F64:
    """Return sums of the first 0, 1, ... columns, shape (N, L + 1)."""
    out = np.zeros((len(a), a.shape[1] + 1))
    np.cumsum(a, axis=1, out=out[:, 1:])
    return out
