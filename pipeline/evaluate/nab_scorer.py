"""NAB's scorer, version 1.1: what alerts are worth beside labelled windows, and the threshold it would choose.

Comes in: times, labelled windows, and alerts or scores, per file. Goes out: what was earned and lost, and standard
scores: 0 for a detector that never speaks, 100 for a perfect one. Within a window the best alert counts, the earlier
the better; every other row outside is a false alarm, a milder one just past a window. The first rows of a file are
probation. Refuses to know files and where scores come from.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F64, I64, Bool

#: Share of a file that is probation, and the most rows that this share is taken of.
PROBATION, PROBATION_OF = 0.15, 5000
#: Position past a window, in window widths, from which on an alert is as false as any.
FAR = 3.0
OUTSIDE = -1


@dataclass(frozen=True, slots=True)
class Profile:
    """What a user of that kind pays and gains.

    Attributes:
        name: As in NAB's ``profiles.json``.
        tp: Weight of a window that is met.
        fp: Weight of a false alarm.
        fn: Weight of a window that is missed.
    """

    name: str
    tp: float
    fp: float
    fn: float


@dataclass(frozen=True, slots=True)
class Rows:
    """What an alert at each row of a file would be worth.

    Attributes:
        window: Number of the window around the row, ``OUTSIDE`` for none, int64, shape (N,).
        worth: Unweighted; within a window in (0, 1], 1 at its start; outside in [-1, 0), float64, shape (N,).
        is_scored: False during probation, shape (N,).
        n_windows: Windows of the file.
    """

    window: I64
    worth: F64
    is_scored: Bool
    n_windows: int


def judge_rows(time: F64, windows: Sequence[tuple[float, float]]) -> Rows:
    """Lay the windows over the rows of a file.

    Args:
        time: Event time of each row in file order, Unix seconds, shape (N,); it may repeat and go back.
        windows: First and last time of each window, both times of rows, in the order of the rows, disjoint.

    Raises:
        ValueError: A window begins or ends at no row, or before the last one ended.

    Example:
        >>> rows = judge_rows(np.arange(20.0), [(10.0, 13.0)])
        >>> rows.window[9:15].tolist(), rows.is_scored[:5].tolist()
        ([-1, 0, 0, 0, 0, -1], [False, False, False, True, True])
        >>> rows.worth[9:15].round(3).tolist()
        [-1.0, 1.0, 0.967, 0.86, 0.562, -0.682]
    """
    n = len(time)
    window, worth = np.full(n, OUTSIDE), np.full(n, -1.0)
    end = -1
    for number, (first_s, last_s) in enumerate(windows):
        start, last = _first_row(time, first_s, end + 1), _first_row(time, last_s, end + 1)
        if last < start:
            raise ValueError(f"window {number + 1} ends before it begins")
        width, end = last - start + 1, last
        window[start : last + 1] = number
        worth[start : last + 1] = _sigmoid(-np.arange(width, 0, -1) / width) / _sigmoid(np.array([-1.0]))
        # NAB divides by zero past a window of one row; what follows one is far from it.
        past = np.arange(1, n - last) / (width - 1) if width > 1 else np.full(n - last - 1, FAR)
        worth[last + 1 :] = np.where(past < FAR, _sigmoid(past), -1.0)
    probation = min(int(PROBATION * n), PROBATION * PROBATION_OF)
    return Rows(window, worth, np.arange(n) >= probation, len(windows))


def _first_row(time: F64, at_s: float, since: int) -> int:
    """Return the first row at a time, from a row on."""
    found = np.flatnonzero(time[since:] == at_s)
    if not len(found):
        raise ValueError(f"no row from number {since + 1} on has the time {at_s:.0f} at which a window begins or ends")
    return since + int(found[0])


def _sigmoid(position: F64) -> F64:
    """Return NAB's scaled sigmoid: near 1 one width before the end of a window, 0 at its end, near -1 past it."""
    return 2 / (1 + np.exp(5 * position)) - 1


@dataclass(frozen=True, slots=True)
class Tally:
    """What alerts came to, before a profile weighs it; arrays over files, or over thresholds.

    Attributes:
        n_met: Windows in which there was an alert.
        n_missed: Windows in which there was none.
        n_false: Alerts outside.
        earned: Sum over windows of the worth of the best alert, >= 0.
        lost: Sum of the worth of the alerts outside, <= 0.
    """

    n_met: I64
    n_missed: I64
    n_false: I64
    earned: F64
    lost: F64

    def raw(self, profile: Profile) -> F64:
        """Return NAB's raw score."""
        return profile.tp * self.earned + profile.fp * self.lost - profile.fn * self.n_missed


class Corpus:
    """Files that are scored together.

    Args:
        files: Their rows, in the order of all sequences that methods take.

    Attributes:
        files: As given.
        n_windows: Windows of each file, int64, shape (F,).
        n_rows: Rows of all files.
    """

    def __init__(self, files: Sequence[Rows]) -> None:
        self.files = files
        self.n_windows = np.array([rows.n_windows for rows in files], np.int64)
        self.n_rows = sum(len(rows.window) for rows in files)
        first = np.cumsum(self.n_windows) - self.n_windows
        own = [np.where(rows.window >= 0, rows.window + n, OUTSIDE) for rows, n in zip(files, first, strict=True)]
        self._window = np.concatenate([np.zeros(0, np.int64), *own])
        self._worth = np.concatenate([np.zeros(0), *(rows.worth for rows in files)])
        self._is_scored = np.concatenate([np.zeros(0, np.bool_), *(rows.is_scored for rows in files)])
        self._file = np.repeat(np.arange(len(files)), [len(rows.window) for rows in files])
        self._file_of_window = np.repeat(np.arange(len(files)), self.n_windows)
        # A window that lies in probation can be neither met nor missed.
        self._is_countable = np.zeros(len(self._file_of_window), np.bool_)
        self._is_countable[self._window[self._is_scored & (self._window >= 0)]] = True

    def tally(self, alerts: Sequence[Bool]) -> Tally:
        """Count what alerts come to, as NAB does at a threshold under which they lie.

        Args:
            alerts: One mask per file, shape (N,) each.

        Returns:
            Figures per file, shape (F,) each.

        Example:
            >>> corpus = Corpus([judge_rows(np.arange(20.0), [(10.0, 13.0)])])
            >>> tally = corpus.tally([np.isin(np.arange(20), (1, 5, 11, 12))])
            >>> tally.n_met.tolist(), tally.n_false.tolist(), tally.earned.round(3).tolist(), tally.lost.tolist()
            ([1], [1], [0.967], [-1.0])
        """
        rows = np.flatnonzero(np.concatenate(self._checked(alerts)) & self._is_scored)
        window = self._window[rows]
        is_in = window >= 0
        best = np.zeros(len(self._file_of_window))
        np.maximum.at(best, window[is_in], self._worth[rows[is_in]])
        outside = rows[~is_in]
        n_files = len(self.files)
        n_met = np.bincount(self._file_of_window[best > 0], minlength=n_files)
        return Tally(
            n_met=n_met,
            n_missed=np.bincount(self._file_of_window[self._is_countable], minlength=n_files) - n_met,
            n_false=np.bincount(self._file[outside], minlength=n_files),
            earned=np.bincount(self._file_of_window, best, minlength=n_files).astype(np.float64),
            lost=np.bincount(self._file[outside], self._worth[outside], minlength=n_files).astype(np.float64),
        )

    def sweep(self, scores: Sequence[F64]) -> tuple[F64, Tally]:
        """Count what every possible threshold comes to, as NAB's own search of a threshold does.

        Args:
            scores: Finite scores of all rows, one array per file; the scores at or above a threshold are alerts.

        Returns:
            Thresholds, descending, the first above all scores, and the figures of the whole corpus at each.
        """
        score = np.concatenate(self._checked(scores))[self._is_scored]
        order = np.argsort(-score, kind="stable")
        rows, score = np.flatnonzero(self._is_scored)[order], score[order]
        window, worth = self._window[rows], self._worth[rows]
        gained, is_first = np.zeros(len(rows)), np.zeros(len(rows), np.bool_)
        places = np.flatnonzero(window >= 0)
        places = places[np.argsort(window[places], kind="stable")]
        for own in np.split(places, np.flatnonzero(np.diff(window[places])) + 1):
            gained[own] = np.diff(np.maximum.accumulate(worth[own]), prepend=0.0)
            is_first[own[:1]] = True
        is_out = window == OUTSIDE
        is_last = np.append(score[1:] != score[:-1], np.ones(min(1, len(score)), np.bool_))
        n_met = _sums(is_first, is_last).astype(np.int64)
        tally = Tally(
            n_met=n_met,
            n_missed=np.count_nonzero(self._is_countable) - n_met,
            n_false=_sums(is_out, is_last).astype(np.int64),
            earned=_sums(gained, is_last),
            lost=_sums(np.where(is_out, worth, 0.0), is_last),
        )
        return np.append(np.inf, score[is_last]), tally

    def silent(self) -> Tally:
        """Return what no alert at all comes to, per file."""
        return self.tally([np.zeros(len(rows.window), np.bool_) for rows in self.files])

    def standard(self, raw: F64, profile: Profile) -> F64:
        """Scale raw scores of the whole corpus: 0 for silence, 100 for all windows met at once and no false alarm.

        Args:
            raw: Any shape.
            profile: The one that weighed them.

        Returns:
            The same shape; NaN where there is no window.
        """
        return standard_score(raw, self.silent().raw(profile).sum(), self.n_windows.sum() * profile.tp)

    def _checked(self, parts: Sequence[Bool] | Sequence[F64]) -> Sequence[Bool] | Sequence[F64]:
        """Return the parts, if there is one per file and row."""
        if [len(part) for part in parts] != [len(rows.window) for rows in self.files]:
            raise ValueError("give one array per file, with one element per row")
        if any(np.isnan(part).any() for part in parts):
            raise ValueError("a score is not a number")
        return parts


def standard_score(raw: F64, silent: F64 | float, perfect: F64 | float) -> F64:
    """Scale raw scores between those of a silent and of a perfect detector; NaN where these are equal.

    Example:
        >>> standard_score(np.array([-2.0, 0.0, 2.0]), -2.0, 2.0).tolist()
        [0.0, 50.0, 100.0]
    """
    span = np.asarray(perfect, np.float64) - silent
    return 100 * (raw - silent) / np.where(span > 0, span, np.nan)


def _sums(steps: F64 | Bool, is_last: Bool) -> F64:
    """Return 0, then the sum of the steps up to each last one."""
    return np.append(0.0, np.cumsum(steps, dtype=np.float64)[is_last])
