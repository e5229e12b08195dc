"""The key figures of forecasts over many streams.

Comes in: the errors of each stream, by seed. Goes out: medians and shares, each with the number of streams it
stands on. Refuses to know how they are shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluate.forecast_judge import LEAGUE, LSTM, StreamErrors

#: The 90 % interval does what it says while it covers a share of the readings between these.
COVERED = (0.85, 0.95)


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many streams.

    Example:
        >>> Share(3, 4).text(), Share(0, 0).text()
        ('3 of 4 (75 %)', 'n/a')
    """

    n: int
    of: int

    def text(self) -> str:
        """Return counts and percentage; ``n/a`` of nothing."""
        return f"{self.n} of {self.of} ({self.n / self.of:.0%})".replace("%", " %") if self.of else "n/a"


@dataclass(frozen=True, slots=True)
class Summary:
    """Key figures; streams without a scale (constant, or too short) are in none of the shares of errors.

    Attributes:
        n_streams: Streams judged.
        n_without_scale: Those on which persistence made no error, or that are too short: n/a.
        median_mase: Over streams, by forecaster.
        median_season_mase: Error over seasonal persistence's, median over streams, by forecaster.
        seeds_mase: Median MASE of the LSTM, one per seed: how much is luck.
        beats_persistence: Streams on which the LSTM and the league have the smaller error.
        worst: Largest league error over the best baseline's after 1,000 readings, and its stream and baseline.
        covered: Streams whose 90 % interval covers 85 to 95 % of the readings.
        median_coverage: At 50, 90 and 99 %.
        beats_peer: Streams on which the league has a smaller error than a peer, who diverged is beaten.
        diverged: Streams on which a peer diverged, by peer; only those who did.
    """

    n_streams: int
    n_without_scale: int
    median_mase: Mapping[str, float]
    median_season_mase: Mapping[str, float]
    seeds_mase: Sequence[float]
    beats_persistence: Mapping[str, Share]
    worst: tuple[float, str, str]
    covered: Share
    median_coverage: tuple[float, ...]
    beats_peer: Mapping[str, Share]
    diverged: Mapping[str, int]


def summarise(streams: Sequence[StreamErrors], seeds_mase: Sequence[float], peers: Mapping[str, str]) -> Summary:
    """Gather the key figures.

    Args:
        streams: Errors of each stream, averaged over seeds.
        seeds_mase: Median MASE of the LSTM by seed.
        peers: Peers that ran, by name, with their family (such as ``HoltWinters``, best of several).
    """
    names = list(dict.fromkeys(name for errors in streams for name in (*errors.mae, *errors.season_mae)))
    level_90 = np.array([errors.coverage[1] for errors in streams])
    known = level_90[~np.isnan(level_90)]
    diverged = {peer: sum(bool(np.isinf(errors.mase(peer))) for errors in streams) for peer in peers}
    return Summary(
        n_streams=len(streams),
        n_without_scale=sum(bool(np.isnan(errors.mase(LEAGUE))) for errors in streams),
        median_mase={name: median([errors.mase(name) for errors in streams]) for name in names},
        median_season_mase={name: median([errors.season_mase(name) for errors in streams]) for name in names},
        seeds_mase=list(seeds_mase),
        beats_persistence={name: below_1([errors.mase(name) for errors in streams]) for name in (LSTM, LEAGUE)},
        worst=_worst(streams),
        covered=Share(int(((known >= COVERED[0]) & (known <= COVERED[1])).sum()), len(known)),
        median_coverage=tuple(median([errors.coverage[i] for errors in streams]) for i in range(3)),
        beats_peer=_beaten(streams, peers),
        diverged={peer: n for peer, n in diverged.items() if n},
    )


def median(numbers: Sequence[float]) -> float:
    """Return the median of what is known; NaN of nothing.

    Example:
        >>> median([1.0, float("nan"), 3.0])
        2.0
    """
    known = [number for number in numbers if not np.isnan(number)]
    return float(np.median(known)) if known else np.nan


def below_1(ratios: Sequence[float]) -> Share:
    """Count the ratios under 1 among the known ones."""
    known = [ratio for ratio in ratios if not np.isnan(ratio)]
    return Share(sum(ratio < 1 for ratio in known), len(known))


def _worst(streams: Sequence[StreamErrors]) -> tuple[float, str, str]:
    """Return the stream on which the league lags most behind a baseline."""
    known = [(errors.keeps_up, errors.stream, errors.best) for errors in streams if not np.isnan(errors.keeps_up)]
    return max(known, default=(np.nan, "", ""))


def _beaten(streams: Sequence[StreamErrors], peers: Mapping[str, str]) -> dict[str, Share]:
    """Count who is beaten: every peer, and every family by its best member on each stream."""
    families = dict.fromkeys(peers.values())
    groups = {peer: [peer] for peer in peers}
    with_scale = [errors for errors in streams if not np.isnan(errors.mase(LEAGUE))]
    groups |= {f"best {family}": [peer for peer in peers if peers[peer] == family] for family in families}
    return {
        group: below_1([_worst_ratio(errors, members) for errors in with_scale])
        for group, members in groups.items()
        if len(members) > 1 or group in peers
    }


def _worst_ratio(errors: StreamErrors, members: Sequence[str]) -> float:
    """Return the league's error over that of the best of ``members``; 0 where all of them diverged."""
    ratios = [ratio for member in members if not np.isnan(ratio := errors.ratio(LEAGUE, member))]
    return max(ratios, default=np.nan)
