"""Which windows networks are taught and examined on.

They are drawn by each network's own random numbers, so the same readings give the same weights, whatever other
streams do. Members of an ensemble draw their own: those that learn from different windows are wrong at different times.
"""

import numpy as np

from pipeline.core.records import F64, I64, Bool
from pipeline.core.seeds import uniforms
from pipeline.core.settings import Settings
from pipeline.flow.cutting import lay_out
from pipeline.flow.lessons import Lesson
from pipeline.forecast.training import Windows

MAX_STREAMS_PER_BATCH = 8  # a shared network's minibatch grows with its streams up to this
_N_RECENT = 400  # half of the windows start within so many of the newest places
_DRAWS_PER_ROUND = np.uint64(24)  # two to the power of this are set aside; initial weights use round 0
_DROPOUT_DRAWS = np.uint64(1 << 61)  # where the draws of dropout begin
_HELD_LEN, _HELD_EVERY = 16, 8  # of every eight runs of sixteen readings, the last is held out
_N_HELD = 8  # hold-out windows per network


class Curriculum:
    """The windows of one lesson.

    Args:
        lesson: Networks, and the streams that they learn from.
        settings: Lengths and numbers of windows.
    """

    def __init__(self, lesson: Lesson, settings: Settings) -> None:
        self._lesson, self._settings = lesson, settings
        self._length = settings.training.window
        self._members = _by_network(lesson, self._length + 2)
        self._streams = np.sort(np.concatenate(self._members))
        #: Windows in a minibatch of each network.
        self.n_rows = settings.training.batch * min(max(map(len, self._members)), MAX_STREAMS_PER_BATCH)
        self._laid = lay_out(lesson, settings, self._streams, int(lesson.n_held[self._streams].max()))

    def minibatches(self, n_steps: int, networks: slice) -> Windows:
        """Draw the windows of all minibatches: every stream of a network alike, half of them recent.

        Args:
            n_steps: How many minibatches.
            networks: For which of the lesson.

        Returns:
            Windows of each member of each network, minibatch after minibatch, shape (G * E, windows, ...).
        """
        lesson, length = self._lesson, self._length
        n_members = lesson.weights.shape[1]
        n_draws = n_steps * self.n_rows
        offset = (lesson.n_rounds[networks].astype(np.uint64) + np.uint64(1)) << _DRAWS_PER_ROUND
        draws = uniforms(lesson.key[networks], 2 * n_members * n_draws, offset).reshape(-1, n_members, 2, n_draws)
        members = zip(self._members[networks], draws[:, :, 0], strict=True)
        rows = np.stack([own[(u * len(own)).astype(np.int64)] for own, u in members])
        n_held = lesson.n_held[rows]
        newest = n_held - length - 1  # latest start whose first target has been read
        is_recent = np.arange(n_draws) % 2 == 0
        oldest = np.where(is_recent, np.maximum(1, newest - _N_RECENT), 1)
        start = oldest + (draws[:, :, 1] * (newest - oldest + 1)).astype(np.int64)
        first = lesson.n[rows] - n_held + start
        windows, number = self._laid.cut(rows.reshape(-1, n_draws), first.reshape(-1, n_draws), length)
        windows.is_known[is_held_out(number + 1)] = False
        return windows

    def hold_out(self) -> Windows:
        """Cut windows over the newest held-out readings of each network's streams; only those readings count."""
        lesson, length, period = self._lesson, self._length, _HELD_LEN * _HELD_EVERY
        rows, turn = self._examined()
        end = (lesson.n[rows] // period - turn) * period  # one after the last reading of a held-out run
        first = end - 1 - length
        oldest = np.maximum(1, lesson.n[rows] - lesson.n_held[rows] + 1)
        windows, number = self._laid.cut(rows, np.maximum(first, oldest), length)
        counts = is_held_out(number + 1) & (first >= oldest)[..., None]
        return Windows(windows.x, windows.y, windows.is_known & counts[..., None])

    def unseen(self) -> Windows:
        """Cut one window over the newest readings of some streams; only those since the last fine-tune count."""
        lesson, length = self._lesson, self._length
        rows, turn = self._examined()
        # Readings of an episode too: weights so bad that they open one must not hide behind it.
        newest = lay_out(lesson, self._settings, np.unique(rows), length + 2, is_all_taught=True)
        windows, number = newest.cut(rows, lesson.n[rows] - 1 - length, length)
        is_new = (number + 1 >= lesson.n_trained[rows][..., None]) & (lesson.n_trained[rows] > 0)[..., None]
        return Windows(windows.x, windows.y, windows.is_known & (is_new & (turn == 0)[..., None])[..., None])

    def _examined(self) -> tuple[I64, I64]:
        """Return which streams of each network are examined on, and how often each came before, shape (G, windows)."""
        place = np.arange(_N_HELD)
        rows = np.stack([own[place % len(own)] for own in self._members])
        return rows, np.stack([place // len(own) for own in self._members])


def dropout_draws(lesson: Lesson, networks: slice, n_keep: int, n_batches: int, n_rows: int) -> F64:
    """Draw what dropout needs, by each network's own random numbers.

    Args:
        lesson: Holds the networks.
        networks: Which of them.
        n_keep: Dropout factors per row.
        n_batches: Minibatches.
        n_rows: Windows in each.

    Returns:
        Shape (minibatches, G * E, B, n_keep).
    """
    n_members = lesson.weights.shape[1]
    offset = _DROPOUT_DRAWS + (lesson.n_rounds[networks].astype(np.uint64) << np.uint64(32))
    draws = uniforms(lesson.key[networks], n_batches * n_members * n_rows * n_keep, offset)
    by_batch = draws.reshape(-1, n_batches, n_members, n_rows, n_keep).swapaxes(0, 1)
    return by_batch.reshape(n_batches, -1, n_rows, n_keep)


def is_held_out(number: I64) -> Bool:
    """Say which readings, by their number in the stream, are never taught as the next reading, only examined on."""
    held: Bool = (number // _HELD_LEN) % _HELD_EVERY == _HELD_EVERY - 1
    return held


def _by_network(lesson: Lesson, n_least: int) -> list[I64]:
    """Return the rows of the streams of each network that have enough readings to learn from."""
    ready = np.flatnonzero((lesson.n_held >= n_least) & (lesson.spread > 0))
    order = ready[np.argsort(lesson.network_of[ready], kind="stable")]
    bounds = np.searchsorted(lesson.network_of[order], np.arange(1, len(lesson.groups)))
    return np.split(order, bounds)
