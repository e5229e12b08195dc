"""Key figures of the battery: false alarms against the promise, and the share of faults found in time.

Comes in: what became of every stream and fault. Goes out: a row per kind, a row per kind, fault and size, and
whether each keeps what is asked of it. Refuses to know how anything is shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from pipeline.evaluate.battery_faults import FAULTS, LATER, SOON, invisible
from pipeline.evaluate.battery_job import Outcome, Planting

#: Observed false alarms may be so many times the promised ones.
KEPT = (0.3, 2.0)
#: Share of faults that must be found.
ENOUGH = 0.9
#: What is said in passing, and is no verdict about the sensor.
_NO_VERDICT = frozenset({"drift"})
_Z = 1.959964  # 95 %, both sides


@dataclass(frozen=True, slots=True)
class KindRow:
    """Clean streams of one kind.

    Attributes:
        kind: Kind of stream.
        n_streams: Streams.
        n_readings: Readings.
        days: Stream-days after warm-up.
        n_alarms: Episodes that opened in them, all false.
        n_alarming: Streams with any.
        ratio: Observed rate over the promised one.
        low, high: 95 % Poisson interval of the ratio.
        verdicts: False health verdicts by name.
    """

    kind: str
    n_streams: int
    n_readings: int
    days: float
    n_alarms: int
    n_alarming: int
    ratio: float
    low: float
    high: float
    verdicts: Mapping[str, int]

    @property
    def is_kept(self) -> bool:
        """Whether the promise is kept; of a stream in which nothing ever happens, silence is."""
        return self.n_alarms == 0 if self.kind == "constant" else KEPT[0] <= self.ratio <= KEPT[1]


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One fault of one size on one kind of stream.

    Attributes:
        kind: Kind of stream.
        fault: Fault.
        size: Its size.
        n: Plantings that count.
        n_masked: Plantings that do not: an episode was open already.
        soon, later: Shares found within 60 and within 500 readings.
        delay: Median readings until those found within 500 were; NaN when none was.
        by_episode, by_verdict: Of those found within 500, how many an episode or a health verdict told first.
        n_before: False alarms per stream before the fault.
        hidden: Why nobody could see the required size; empty where it can be seen.
    """

    kind: str
    fault: str
    size: float
    n: int
    n_masked: int
    soon: float
    later: float
    delay: float
    by_episode: int
    by_verdict: int
    n_before: float
    hidden: str

    @property
    def in_time(self) -> float:
        """Share found within the readings that the fault is given."""
        return self.soon if FAULTS[self.fault].within == SOON else self.later

    @property
    def is_required(self) -> bool:
        """Whether it must be found."""
        return self.size == FAULTS[self.fault].required and not self.hidden and self.n > 0


def kind_rows(outcome: Outcome, promised_per_day: float) -> list[KindRow]:
    """Sum up the clean streams, kind by kind, in the order in which they ran."""
    rows = []
    for kind in dict.fromkeys(stream.kind for stream in outcome.clean):
        own = [stream for stream in outcome.clean if stream.kind == kind]
        days = sum(stream.days for stream in own)
        n_alarms = sum(len(stream.alarms) for stream in own)
        low, high = poisson_interval(n_alarms)
        promised = promised_per_day * days
        names = dict.fromkeys(name for stream in own for name in stream.verdicts if name not in _NO_VERDICT)
        rows.append(
            KindRow(
                kind=kind,
                n_streams=len(own),
                n_readings=sum(stream.n_readings for stream in own),
                days=days,
                n_alarms=n_alarms,
                n_alarming=sum(bool(stream.alarms) for stream in own),
                ratio=n_alarms / promised,
                low=low / promised,
                high=high / promised,
                verdicts={name: sum(stream.verdicts.get(name, 0) for stream in own) for name in names},
            )
        )
    return rows


def fault_rows(outcome: Outcome) -> list[FaultRow]:
    """Sum up the planted faults: by kind, fault and size, in the order in which they ran."""
    cases: dict[tuple[str, str, float], list[Planting]] = {}
    for planting in outcome.planted:
        cases.setdefault((planting.kind, planting.fault, planting.size), []).append(planting)
    return [_fault_row(*case, own) for case, own in cases.items()]


def _fault_row(kind: str, fault: str, size: float, plantings: Sequence[Planting]) -> FaultRow:
    own = [planting for planting in plantings if not planting.is_masked]
    delays = np.array([planting.delay for planting in own])
    found = delays <= LATER
    told = np.array([np.nan_to_num(p.episode, nan=np.inf) <= np.nan_to_num(p.verdict, nan=np.inf) for p in own], bool)
    return FaultRow(
        kind=kind,
        fault=fault,
        size=size,
        n=len(own),
        n_masked=len(plantings) - len(own),
        soon=float(np.mean(delays <= SOON)) if own else float("nan"),
        later=float(np.mean(found)) if own else float("nan"),
        delay=float(np.median(delays[found])) if found.any() else float("nan"),
        by_episode=int(np.count_nonzero(found & told)),
        by_verdict=int(np.count_nonzero(found & ~told)),
        n_before=float(np.mean([planting.n_before for planting in plantings])),
        hidden=invisible(kind, fault),
    )


def poisson_interval(n: int) -> tuple[float, float]:
    """Return a 95 % interval of the mean of a Poisson count.

    Byar's approximation (Breslow & Day, Statistical Methods in Cancer Research II, 1987), within a hundredth of the
    exact interval's width for every count.

    Example:
        >>> [round(bound, 2) for bound in poisson_interval(0)], [round(bound, 2) for bound in poisson_interval(10)]
        ([0.0, 3.67], [4.79, 18.39])
    """
    low = n * (1 - 1 / (9 * n) - _Z / (3 * sqrt(n))) ** 3 if n else 0.0
    high = (n + 1) * (1 - 1 / (9 * (n + 1)) + _Z / (3 * sqrt(n + 1))) ** 3
    return low, high
