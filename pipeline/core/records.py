"""The records that pass between stages: columns over readings, never one object per reading.

``Readings`` (named) -> slots -> ``Batch`` -> engine -> ``Steps``. Times are event times in Unix
seconds UTC, float64. Missing numbers travel as NaN only inside ``Steps``, where a mask or outcome
says why; nothing non-finite enters the engine.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from hashlib import blake2b
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pipeline.core.evidence import Evidence

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]
F16 = NDArray[np.float16]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]
I8 = NDArray[np.int8]
U8 = NDArray[np.uint8]
U16 = NDArray[np.uint16]
U64 = NDArray[np.uint64]
Bool = NDArray[np.bool_]

#: Views of the detector and their vote: the members of ``detect/views.View``.
N_VIEWS_AND_VOTE = 8

#: Streams addressed in one vector operation: all of a run of slots, or an index array.
Slots = slice | I64


class Flag(IntFlag):
    """What the source knows about a reading (bits of ``Batch.flags``)."""

    RETAINED = 1
    """A retained MQTT message: it seeds "last known" and is never scored or learnt."""
    TIME_UNCERTAIN = 2
    """The event time is an arrival time that may be late (a burst after a reconnect): scored, and not learnt."""
    AHEAD = 4
    """The event time is further ahead of the arrival than is allowed."""


class Outcome(IntEnum):
    """What became of a reading; the lower-case name is the metric label."""

    ACCEPTED = 0
    LATE = 1
    DUPLICATE = 2
    FUTURE = 3
    NOT_FINITE = 4
    OUT_OF_RANGE = 5
    RETAINED = 6
    STREAM_LIMIT = 7


class Health(IntFlag):
    """Findings about the sensor or its clock, apart from process anomalies (``Steps.health``)."""

    GAP = 1
    LATE = 2
    DUPLICATE = 4
    FUTURE = 8
    NOT_FINITE = 16
    OUT_OF_RANGE = 32
    RETAINED = 64
    DRIFT = 128
    STUCK = 256
    TOO_QUIET = 512
    NOISY = 1024
    RESOLUTION = 2048
    COUNTER_RESET = 4096
    CLOCK_SKEW = 8192
    SILENT = 16384

    def text(self) -> str:
        """Return the names joined by ``|``, lower case, lowest bit first.

        Example:
            >>> (Health.GAP | Health.DRIFT).text()
            'gap|drift'
        """
        return "|".join(str(h.name).lower() for h in Health if h in self)


class Event(IntEnum):
    """What a reading did to its stream's episode."""

    NONE = 0
    OPEN = 1
    CLOSE = 2


@dataclass(frozen=True, slots=True)
class Readings:
    """Readings by stream name, as decoders and recordings produce them.

    Attributes:
        names: Distinct stream names.
        stream: Index into ``names``, int32, shape (N,).
        time: Event time, Unix seconds, float64, shape (N,).
        value: Value in the sensor's unit, float64, shape (N,); may be non-finite, the gate counts it.
        flags: Bits of ``Flag``, uint8, shape (N,).
    """

    names: Sequence[str]
    stream: I32
    time: F64
    value: F64
    flags: U8

    def __len__(self) -> int:
        """Return the number of readings."""
        return len(self.time)

    def rows(self, index: slice | I64 | Bool) -> Self:
        """Return the readings at ``index``, with the same names."""
        columns = (self.stream[index], self.time[index], self.value[index], self.flags[index])
        return type(self)(self.names, *columns)


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings by stream slot, in any order: the engine's input.

    Attributes:
        slot: Stream slot, int32, shape (N,); -1 marks a stream that was refused.
        seq: Position in the source, int64, shape (N,); breaks ties between equal times.
        time: Event time, Unix seconds, float64, shape (N,).
        value: Value in the sensor's unit, float64, shape (N,).
        flags: Bits of ``Flag``, uint8, shape (N,).
    """

    slot: I32
    seq: I64
    time: F64
    value: F64
    flags: U8

    def __len__(self) -> int:
        """Return the number of readings."""
        return len(self.time)


@dataclass(frozen=True, slots=True)
class EpisodeEvent:
    """An episode that opened or closed: the evidence an alert carries.

    Attributes:
        event: ``Event.OPEN`` or ``Event.CLOSE``.
        stream: Stream name.
        episode: Stable id, the same in every replay of the same readings.
        opened_s: Event time of the reading that opened it, Unix seconds.
        at_s: Event time of the reading that caused this event, Unix seconds.
        peak_score: Largest score so far, -log10 of a tail probability.
        peak_s: Event time of the peak, Unix seconds.
        value: Reading at the peak, sensor's unit.
        forecast: Forecast for the reading at the peak, sensor's unit; NaN when there was none.
        lower: Lower end of the forecast interval at the peak.
        upper: Upper end of the forecast interval at the peak.
        level: Alert level in force at the opening.
        view: Which view was surprising: its machine name.
        reason: Why it closed: ``quiet`` or ``drift``; empty for an opening.
        onset_s: Event time at which the change began, as estimated, Unix seconds; NaN when unknown.
        severity: ``minor``, ``major`` or ``critical``.
        odds: About one in so many readings of this stream is as surprising as the peak; NaN when unknown.
        views: Views by surprise, largest first: machine names and decades.
        evidence: The last readings up to this event, with what was foretold of them; None when not kept.
    """

    event: Event
    stream: str
    episode: str
    opened_s: float
    at_s: float
    peak_score: float
    peak_s: float
    value: float
    forecast: float
    lower: float
    upper: float
    level: float
    view: str
    reason: str = ""
    onset_s: float = math.nan
    severity: str = "minor"
    odds: float = math.nan
    views: tuple[tuple[str, float], ...] = ()
    evidence: Evidence | None = None

    @property
    def residual(self) -> float:
        """Reading minus forecast at the peak, signed, sensor's unit."""
        return self.value - self.forecast


@dataclass(frozen=True, slots=True)
class HealthEvent:
    """A verdict about a sensor or its clock that was raised or cleared.

    Attributes:
        stream: Stream name.
        verdict: One bit of ``Health``.
        raised: Raised, else cleared.
        at_s: Event time of the reading that caused it, Unix seconds.
        since_s: Event time at which what was found began, as far as it can be told, Unix seconds.
        text: Why, in plain words, with numbers in the sensor's unit.
    """

    stream: str
    verdict: Health
    raised: bool
    at_s: float
    since_s: float
    text: str


@dataclass(slots=True)
class Detail:
    """What every forecaster foretold and every view saw, a row per reading: for evaluation, kept only when asked for.

    Attributes:
        forecasts: Per forecaster, sensor's unit, NaN when there was none, float64, shape (N, F).
        shown: Which forecaster was shown, -1 for none, int8, shape (N,).
        half_widths: Of the shown forecast's intervals at 50, 90 and 99 %, sensor's unit, shape (N, 3).
        views: Decades of every view, NaN where there was no score, float32, shape (N, 8).
    """

    forecasts: F64
    shown: I8
    half_widths: F64
    views: F32

    @classmethod
    def blank(cls, n: int, n_forecasters: int) -> Self:
        """Return ``n`` rows without a forecast."""
        views = np.full((n, N_VIEWS_AND_VOTE), np.nan, np.float32)
        return cls(np.full((n, n_forecasters), np.nan), np.full(n, -1, np.int8), np.full((n, 3), np.nan), views)


@dataclass(slots=True)
class Steps:
    """One row per reading of the batch, in the batch's own order: the engine's output.

    Attributes:
        outcome: ``Outcome``, int8, shape (N,).
        forecast: Forecast made before the reading arrived, sensor's unit; NaN when there was none.
        lower: Lower end of the forecast interval; NaN when there was no forecast.
        upper: Upper end of the forecast interval; NaN when there was no forecast.
        score: -log10 of the calibrated tail probability, >= 0; NaN while warming up.
        level: Alert level in force; NaN for a reading that was not accepted.
        event: ``Event``, int8.
        opened: Event time at which the stream's open episode began; NaN when none is open.
        health: Bits of ``Health``, uint16.
        events: The episodes that opened or closed, in order of time and stream.
        health_events: The verdicts that were raised or cleared, in order of time and stream.
        detail: What every forecaster foretold; None unless the session was asked for it.
    """

    outcome: I8
    forecast: F64
    lower: F64
    upper: F64
    score: F64
    level: F64
    event: I8
    opened: F64
    health: U16
    events: list[EpisodeEvent] = field(default_factory=list)
    health_events: list[HealthEvent] = field(default_factory=list)
    detail: Detail | None = None

    @classmethod
    def blank(cls, n: int) -> Self:
        """Return ``n`` rows in which nothing happened yet."""
        nan = [np.full(n, np.nan) for _ in range(6)]
        return cls(
            outcome=np.zeros(n, np.int8),
            forecast=nan[0],
            lower=nan[1],
            upper=nan[2],
            score=nan[3],
            level=nan[4],
            event=np.zeros(n, np.int8),
            opened=nan[5],
            health=np.zeros(n, np.uint16),
        )


def episode_id(stream: str, opened_s: float) -> str:
    """Return the stable id of the episode that a stream opened at an event time.

    Sixteen hexadecimal digits of BLAKE2b over name and time, so that replays, restarts and
    shards name the same incident alike.

    Example:
        >>> episode_id("pump-1/temperature", 1772359200.0)
        'd801d35eeae09374'
    """
    return blake2b(f"{stream}\0{opened_s!r}".encode(), digest_size=8).hexdigest()
