"""The state of one shard: every stage's arrays over one set of slots, and the model beside it.

Admission gives names slots and networks; eviction takes both back. What the arrays mean is each
stage's own business.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F64, I32, I64, U16
from pipeline.core.seeds import key_of
from pipeline.core.settings import Settings
from pipeline.detect.episodes import Episodes
from pipeline.detect.residuals import N_LEVEL_VIEWS, N_YARDSTICKS
from pipeline.detect.surprise import Surprise
from pipeline.forecast.bank import Bank, empty_bank
from pipeline.forecast.baselines import Skill
from pipeline.forecast.pending import Pending
from pipeline.forecast.targets import N_TARGETS, Horizons
from pipeline.streams.cadence import Cadence
from pipeline.streams.counters import Counters
from pipeline.streams.scaling import Scaling
from pipeline.streams.table import StreamTable
from pipeline.streams.windows import Windows

_FLEET = "fleet"
_FIRST_CAPACITY = 16


@dataclass
class Ledger(SlotArrays):
    """Which network a stream uses, how far it was trained, and its last step.

    Attributes:
        group: Group in the bank, int32, shape (S,).
        n_trained: Readings accepted when its network was last fine-tuned.
        value, forecast, lower, upper, score: Of the last accepted reading.
        health: Bits of ``Health`` of the last reading, accepted or not.
    """

    group: I32 = column(np.int32)
    n_trained: I64 = column(np.int64)
    value: F64 = column(np.float64, fill=np.nan)
    forecast: F64 = column(np.float64, fill=np.nan)
    lower: F64 = column(np.float64, fill=np.nan)
    upper: F64 = column(np.float64, fill=np.nan)
    score: F64 = column(np.float64, fill=np.nan)
    health: U16 = column(np.uint16)


@dataclass
class Model:
    """What ``update`` does not change: settings and weights.

    Attributes:
        settings: All settings.
        bank: The networks.
    """

    settings: Settings
    bank: Bank

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
    skill: Skill
    surprise: Surprise
    episodes: Episodes
    ledger: Ledger

    @classmethod
    def empty(cls, settings: Settings, capacity: int = _FIRST_CAPACITY) -> Self:
        """Allocate a shard without streams."""
        forecast = settings.forecast
        n_pending = sum(Horizons(forecast.horizon_short, forecast.horizon_long).lengths)
        return cls(
            table=StreamTable(settings.streams.max_streams),
            windows=Windows.empty(capacity, window=settings.streams.window_len),
            cadence=Cadence.empty(capacity),
            counters=Counters.empty(capacity),
            scaling=Scaling.empty(capacity),
            pending=Pending.empty(capacity, hidden=forecast.hidden, pending=n_pending),
            skill=Skill.empty(capacity),
            surprise=Surprise.empty(
                capacity, tails=2 * N_YARDSTICKS * (N_TARGETS + N_LEVEL_VIEWS), blocks=settings.detection.history_blocks
            ),
            episodes=Episodes.empty(capacity),
            ledger=Ledger.empty(capacity),
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
    return Model(settings, empty_bank(0, settings.forecast.hidden))


def admit(model: Model, state: State, names: Sequence[str]) -> I64:
    """Give every name a slot and a network, growing state and bank where needed.

    Streams already there keep their numbers. Refused are names that are not stream names and
    streams beyond ``max_streams``.

    Args:
        model: Its bank may grow.
        state: Its arrays may grow.
        names: Stream names, repeats allowed.

    Returns:
        Slot of each name, -1 where it is refused, int64, shape (len(names),).
    """
    known = set(state.table.live.tolist()) if any(name not in state.table for name in names) else None
    slots = state.table.admit(names)
    if known is None:
        return slots
    fresh = np.array(sorted(set(slots[slots >= 0].tolist()) - known), np.int64)
    if len(fresh):
        needed = len(state.table.names)
        if needed > state.capacity:
            capacity = max(needed, 2 * state.capacity)
            for part in state.parts().values():
                part.grow(capacity)
        _assign_groups(model, state, fresh, np.array(sorted(known), np.int64))
    return slots


def _assign_groups(model: Model, state: State, fresh: I64, known: I64) -> None:
    """Give new streams their networks: one each, or the one of the fleet."""
    bank, seed = model.bank, model.settings.forecast.seed
    if model.settings.forecast.sharing == "fleet":
        if not bank.capacity:
            bank.grow(1)
            bank.initialise(np.array([0]), np.array([key_of(_FLEET, seed)], np.uint64))
        state.ledger.group[fresh] = 0
        return
    n_groups = len(fresh) + len(known)
    if n_groups > bank.capacity:
        bank.grow(max(n_groups, state.capacity))
    taken = state.ledger.group[known]
    free = np.setdiff1d(np.arange(bank.capacity), taken)[: len(fresh)]
    state.ledger.group[fresh] = free
    keys = [key_of(str(state.table.names[slot]), seed) for slot in fresh]
    bank.initialise(free, np.array(keys, np.uint64))


def evict(state: State, names: Sequence[str]) -> I64:
    """Forget streams; their slots and networks are given to the next new ones. Returns the slots."""
    slots = state.table.evict(names)
    for part in state.parts().values():
        part.reset(slots)
    return slots
