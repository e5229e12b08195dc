"""The bank of networks: weights with leading axes of group and member, and one step of all streams through them.

A stream belongs to one group, and each group has an ensemble of E members that differ in their seed. With one
group per stream every stream has its own networks, with one group all share them.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F16, F32, I8, I32, I64, U16, U64, Bool
from pipeline.core.seeds import uniforms
from pipeline.forecast.backend import backend_for
from pipeline.forecast.network import Network

_MOST = float(np.finfo(np.float16).max)
_MEMBER_STRIDE = np.uint64(0xD1342543DE82EF95)  # odd: keys of members are as unlike as those of groups


@dataclass
class Bank(SlotArrays):
    """Weights and optimiser state; G groups, E members, P weights.

    Attributes:
        weights: In force, float32, shape (G, E, P).
        previous: In force before the last fine-tune, to roll back to, float16, shape (G, E, P).
        m: Adam's first moment, packed by ``moments``, shape (G, E, P).
        v: Adam's second moment, likewise.
        key: Of the group's own random numbers, uint64, shape (G,).
        n_steps: Optimiser steps taken, int32, shape (G,).
        n_rounds: Fine-tunes, int32, shape (G,).
    """

    weights: F32 = column(np.float32, "members", "weights")
    previous: F16 = column(np.float16, "members", "weights")
    m: I8 = column(np.int8, "members", "weights")
    v: U16 = column(np.uint16, "members", "weights")
    key: U64 = column(np.uint64)
    n_steps: I32 = column(np.int32)
    n_rounds: I32 = column(np.int32)

    def initialise(self, network: Network, groups: I64, keys: U64) -> None:
        """Give groups fresh weights, a function of their keys alone."""
        self.reset(groups)
        self.key[groups] = keys
        for member in range(self.weights.shape[1]):
            own = keys + np.array([member], np.uint64) * _MEMBER_STRIDE  # arrays wrap, scalars warn
            self.weights[groups, member] = network.initial(uniforms(own, network.stack.n_weights))
        self.previous[groups] = put_by(self.weights[groups])


def put_by(weights: F32) -> F16:
    """Return weights as they are kept to roll back to: rounded, far finer than what a fine-tune changes."""
    return weights.clip(-_MOST, _MOST).astype(np.float16)


def empty_bank(capacity: int, network: Network, n_members: int) -> Bank:
    """Allocate ``capacity`` groups, ``Bank.initialise`` makes them networks; and load what will compute them."""
    backend_for(network)
    return Bank.empty(capacity, members=n_members, weights=network.n_weights)


def step(network: Network, bank: Bank, group_of: I32, x: F32, state: F32) -> tuple[F32, F32]:
    """Advance streams by one reading.

    Args:
        network: Layout of the weights.
        bank: Weights.
        group_of: Group of each stream, shape (A,).
        x: Features, float32, shape (A, F).
        state: Hidden state, float32, shape (A, E, N).

    Returns:
        Outputs (location, log-spread per target), shape (A, E, 2C), and the new state.
    """
    return backend_for(network).step(network, bank.weights, group_of, x, state)


def run(network: Network, bank: Bank, group_of: I32, x: F32, is_valid: Bool) -> tuple[F32, F32]:
    """Run streams over a stretch of readings from a zero state.

    Args:
        network: Layout of the weights.
        bank: Weights.
        group_of: Group of each stream, shape (A,).
        x: Features, float32, shape (A, L, F), right-aligned.
        is_valid: False where a stream has no such reading, shape (A, L); its state stays zero there.

    Returns:
        Final outputs and state, as ``step``.
    """
    n_members = bank.weights.shape[1]
    state = np.zeros((len(x), n_members, network.stack.n_state), np.float32)
    out = np.zeros((len(x), n_members, network.n_outputs), np.float32)
    backend = backend_for(network)
    for t in range(x.shape[1]):
        out, state = backend.step(network, bank.weights, group_of, x[:, t], state)
        state = state * is_valid[:, t, None, None]
    return out, state


def combine(out: F32) -> F32:
    """Make one forecast of those of an ensemble: the mixture's mean, and its spread, disagreement included.

    Args:
        out: Location and log-spread per target of each member, shape (A, E, 2C).

    Returns:
        Shape (A, 2C).

    Example:
        >>> combine(np.array([[[1.0, 0.0], [3.0, 0.0]]], np.float32))
        array([[2.       , 0.3465736]], dtype=float32)
    """
    if out.shape[1] == 1:
        return out[:, 0]
    n_members = out.shape[1]
    location, spread = out[..., 0::2], np.exp(2 * out[..., 1::2].clip(-20, 20))
    both = np.empty((len(out), out.shape[2]), np.float32)
    both[:, 0::2] = np.add.reduce(location, axis=1) / n_members
    apart = location - both[:, None, 0::2]
    apart *= apart
    spread += apart
    both[:, 1::2] = 0.5 * np.log(np.add.reduce(spread, axis=1) / n_members)
    return both
