"""The state of one shard: every stage's arrays over one set of slots, and the model beside it.

Admission gives names slots and networks; eviction takes both back. What the arrays mean is each
stage's own business.
"""

from dataclasses import dataclass, field
from typing import Self

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I32, I64, U16
from pipeline.core.settings import Settings
from pipeline.detect.budget import DIMENSIONS as BUDGET_DIMENSIONS
from pipeline.detect.budget import Budget
from pipeline.detect.decision import Decision
from pipeline.detect.drift import DIMENSIONS, Drift
from pipeline.detect.episodes import Episodes
from pipeline.detect.health import DIMENSIONS as HEALTH_DIMENSIONS
from pipeline.detect.health import Verdicts
from pipeline.detect.health_clock import Clock
from pipeline.detect.health_counter import Resets
from pipeline.detect.health_noise import DIMENSIONS as FLUTTER_DIMENSIONS
from pipeline.detect.health_noise import Flutter
from pipeline.detect.health_range import Reach
from pipeline.detect.health_resolution import Grain
from pipeline.detect.health_stuck import DIMENSIONS as RUN_DIMENSIONS
from pipeline.detect.health_stuck import Runs
from pipeline.detect.onset import Onset
from pipeline.detect.quarantine import Quarantine
from pipeline.detect.surprise import N_SHARES, Statistics, Surprise
from pipeline.detect.views import UsualSpread, View
from pipeline.flow.evidence import DIMENSIONS as EVIDENCE_DIMENSIONS
from pipeline.flow.evidence import Trail
from pipeline.forecast.bank import Bank, empty_bank
from pipeline.forecast.features import N_OUTLOOK
from pipeline.forecast.league import League, empty_league
from pipeline.forecast.network import Network, network_for
from pipeline.forecast.pending import Pending
from pipeline.forecast.targets import Horizons
from pipeline.streams.cadence import Cadence
from pipeline.streams.context import Context
from pipeline.streams.counters import Counters
from pipeline.streams.scaling import Scaling
from pipeline.streams.season import Season, empty_season
from pipeline.streams.table import StreamTable
from pipeline.streams.windows import Windows

_FIRST_CAPACITY = 16


@dataclass
class Ledger(SlotArrays):
    """Which network a stream uses, how far it was trained, and its last step.

    Attributes:
        group: Group in the bank, int32, shape (S,).
        n_trained: Readings accepted when its network was last fine-tuned.
        value, forecast, lower, upper, score, level: Of the last accepted reading.
        health: Bits of ``Health`` of the last reading, accepted or not.
    """

    group: I32 = column(np.int32)
    n_trained: I64 = column(np.int64)
    value: F64 = column(np.float64, fill=np.nan)
    forecast: F64 = column(np.float64, fill=np.nan)
    lower: F64 = column(np.float64, fill=np.nan)
    upper: F64 = column(np.float64, fill=np.nan)
    score: F64 = column(np.float64, fill=np.nan)
    level: F64 = column(np.float64, fill=np.nan)
    health: U16 = column(np.uint16)


@dataclass
class Due(SlotArrays):
    """What is due of a stream's network, see ``schedule``.

    Attributes:
        n: Readings of the stream when its network fell due, which is what it learns from; 0 while it is not due.
        ripe: Reading at which what it learnt is taken over.
        next: Reading at which it falls due next; 0 before the first time.
        middle, spread, interval: The scale at ``n``.
    """

    n: I64 = column(np.int64)
    ripe: I64 = column(np.int64)
    next: I64 = column(np.int64)
    middle: F64 = column(np.float64)
    spread: F64 = column(np.float64)
    interval: F64 = column(np.float64)

    def cancel(self, slots: I64) -> None:
        """Learn nothing from what was noted of these streams; they fall due again when they would have been taken over.

        Not before: a batch ends there, wherever in it this happens.
        """
        noted = slots[self.n[slots] > 0]
        self.next[noted] = self.ripe[noted]
        self.n[noted] = 0


@dataclass
class Model:
    """What ``update`` does not change: settings and weights.

    Attributes:
        settings: All settings.
        bank: The networks.
        network: Layout of the weights of each.
    """

    settings: Settings
    bank: Bank
    network: Network

    @property
    def horizons(self) -> Horizons:
        """Readings that each forecast covers."""
        return Horizons(self.settings.forecast.horizon_short, self.settings.forecast.horizon_long)


@dataclass
class State:
    """One shard of streams as arrays over slots; see each stage for shapes."""

    table: StreamTable
    windows: Windows
    cadence: Cadence
    counters: Counters
    scaling: Scaling
    pending: Pending
    season: Season
    league: League
    drift: Drift
    context: Context
    usual: UsualSpread
    surprise: Surprise
    budget: Budget
    decision: Decision
    quarantine: Quarantine
    onset: Onset
    episodes: Episodes
    verdicts: Verdicts
    runs: Runs
    flutter: Flutter
    reach: Reach
    grain: Grain
    resets: Resets
    clock: Clock
    trail: Trail
    ledger: Ledger
    due: Due
    desk: object = field(default=None, compare=False, repr=False)  # of the compiled helper

    @classmethod
    def empty(cls, settings: Settings, capacity: int = _FIRST_CAPACITY) -> Self:
        """Allocate a shard without streams."""
        forecast = settings.forecast
        n_hidden = network_for(forecast).stack.n_state
        n_pending = sum(Horizons(forecast.horizon_short, forecast.horizon_long).lengths)
        return cls(
            table=StreamTable(settings.streams.max_streams),
            windows=Windows.empty(capacity, window=settings.window_len, outlook=N_OUTLOOK, context=forecast.n_context),
            cadence=Cadence.empty(capacity),
            counters=Counters.empty(capacity),
            scaling=Scaling.empty(capacity),
            pending=Pending.empty(capacity, members=forecast.ensemble, hidden=n_hidden, pending=n_pending),
            season=empty_season(capacity),
            league=empty_league(capacity),
            drift=Drift.empty(capacity, views=2, **DIMENSIONS),
            context=Context.empty(capacity, context=forecast.n_context),
            usual=UsualSpread.empty(capacity),
            surprise=Surprise.empty(
                capacity, tails=Statistics(forecast.ensemble).n_tails, shares=N_SHARES, kept=settings.detection.n_kept
            ),
            budget=Budget.empty(capacity, kept=settings.detection.n_kept, **BUDGET_DIMENSIONS),
            decision=Decision.empty(capacity),
            quarantine=Quarantine.empty(capacity),
            onset=Onset.empty(capacity, sides=2),
            episodes=Episodes.empty(capacity, views=len(View)),
            verdicts=Verdicts.empty(capacity, **HEALTH_DIMENSIONS),
            runs=Runs.empty(capacity, **RUN_DIMENSIONS),
            flutter=Flutter.empty(capacity, **FLUTTER_DIMENSIONS),
            reach=Reach.empty(capacity),
            grain=Grain.empty(capacity),
            resets=Resets.empty(capacity),
            clock=Clock.empty(capacity),
            trail=Trail.empty(capacity, **EVIDENCE_DIMENSIONS),
            ledger=Ledger.empty(capacity),
            due=Due.empty(capacity),
        )

    def parts(self) -> dict[str, SlotArrays]:
        """Return every stage's arrays by stage."""
        return {name: part for name, part in vars(self).items() if isinstance(part, SlotArrays)}

    @property
    def capacity(self) -> int:
        """Slots allocated."""
        return self.ledger.capacity


def new_model(settings: Settings) -> Model:
    """Return a model without networks; ``admit`` adds them as streams appear."""
    network = network_for(settings.forecast)
    return Model(settings, empty_bank(0, network, settings.forecast.ensemble), network)
