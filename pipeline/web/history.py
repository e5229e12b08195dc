"""The last readings of the streams that the page shows: bounded, and never changed once handed out.

Comes in: what the engine keeps of a stream, twice a second. Goes out: its last readings, with what was foretold.
This module refuses to know which streams are worth it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from pipeline.core.evidence import Evidence

#: Readings kept of a stream.
N_READINGS = 512


@dataclass(frozen=True, slots=True)
class Track:
    """The last readings of one stream.

    Attributes:
        evidence: They, with what was foretold of them.
        n: Readings of the stream so far, these included.
        revision: When they last changed, by the count of ``History.revision``.
    """

    evidence: Evidence
    n: int
    revision: int


class History:
    """Tracks of some streams, replaced as a whole so that any thread may read ``tracks``.

    Attributes:
        tracks: By stream name.
        revision: Counts calls of ``replace``.

    Example:
        >>> def readings(n):
        ...     at = np.arange(5.0)[-n:]
        ...     return Evidence(at, at, at, at, at)
        >>> history = History()
        >>> history.replace([("t", 5, readings)])
        >>> history.tracks["t"].evidence.time.tolist(), history.revision
        ([0.0, 1.0, 2.0, 3.0, 4.0], 1)
    """

    def __init__(self) -> None:
        self.tracks: dict[str, Track] = {}
        self.revision = 0

    def replace(self, streams: Iterable[tuple[str, int, Callable[[int], Evidence]]]) -> None:
        """Go on with these streams; others are forgotten.

        Args:
            streams: Name, how many readings it has had so far, and what gives its newest ones, as many as asked for.
        """
        self.revision += 1
        self.tracks = {name: self._continued(self.tracks.get(name), n, newest) for name, n, newest in streams}

    def _continued(self, track: Track | None, n: int, newest: Callable[[int], Evidence]) -> Track:
        """Return a track brought up to now."""
        if track is None or not track.n <= n < track.n + N_READINGS:
            return Track(newest(N_READINGS), n, self.revision)
        if n == track.n:
            return track
        columns = zip(track.evidence.columns(), newest(n - track.n).columns(), strict=True)
        return Track(Evidence(*(np.concatenate(column)[-N_READINGS:] for column in columns)), n, self.revision)
