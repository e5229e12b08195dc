"""What a fine-tune needs of a shard, as plain arrays.

A lesson can be taught where it was made or in another process: it holds copies, no state and no model.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from pipeline.core.records import F16, F32, F64, I8, I32, I64, U16, U64, Bool
from pipeline.flow.forecasting import Scale

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
        unit: As in ``streams.windows``.
        last_s: Event time of the last of them, Unix seconds.
        since, value, is_taught, outlook, context: Windows, as they lie in ``streams.windows``.
        middle, spread, interval: Scale to train in; spread is 0 where a stream has none.
    """

    groups: I64
    key: U64
    n_rounds: I32
    n_steps: I32
    weights: F32
    previous: F16
    m: I8
    v: U16
    slots: I64
    network_of: I64
    n_due: I64
    n: I64
    n_held: I64
    n_trained: I64
    unit: F64
    last_s: F64
    since: F32
    value: F64
    is_taught: Bool
    outlook: U16
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
