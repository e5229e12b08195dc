"""When each stream was last heard, by our own clock, and how long that is in its usual intervals.

Comes in: views, twice a second. Goes out: ages, for the rule that tells of streams that fell silent. Event times do not
matter: a sensor whose clock is wrong is heard all the same. Refuses to know how silence is told.
"""

import numpy as np

from pipeline.core.records import F64, I64


class LastHeard:
    """When the number of readings of each stream last grew.

    Example:
        >>> heard, step = LastHeard(), np.array([10.0, 10.0])
        >>> heard.ages(("a", "b"), np.array([5, 5]), step, 100.0).tolist()
        [0.0, 0.0]
        >>> heard.ages(("a", "b"), np.array([6, 5]), step, 150.0).tolist()
        [0.0, 5.0]
        >>> heard.ages(("b", "c"), np.array([5, 1]), step, 160.0).tolist()
        [6.0, 0.0]
    """

    def __init__(self) -> None:
        self._names: tuple[str, ...] = ()
        self._n: I64 = np.zeros(0, np.int64)
        self._at_s: F64 = np.zeros(0)

    def ages(self, names: tuple[str, ...], n: I64, step_s: F64, now_s: float) -> F64:
        """Take in what there is now, and return how long ago each stream was heard.

        Args:
            names: Streams, shape (S,) like every other column.
            n: Readings accepted so far.
            step_s: Usual interval between readings, seconds; NaN where it is not known yet.
            now_s: Current time, Unix seconds.

        Returns:
            Ages in usual intervals, NaN where these are not known. A stream that is new here was heard now.
        """
        if names != self._names:
            known = {name: i for i, name in enumerate(self._names)}
            old = np.array([known.get(name, -1) for name in names], np.int64)
            is_known = old >= 0
            at_s, n_before = np.full(len(names), now_s), n.copy()
            at_s[is_known], n_before[is_known] = self._at_s[old[is_known]], self._n[old[is_known]]
            self._names, self._at_s, self._n = names, at_s, n_before
        self._at_s = np.where(n == self._n, self._at_s, now_s)
        self._n = n
        with np.errstate(divide="ignore", invalid="ignore"):
            age: F64 = (now_s - self._at_s) / np.where(step_s > 0, step_s, np.nan)
        return age
