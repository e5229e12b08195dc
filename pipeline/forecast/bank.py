"""The bank of networks: weights with leading axes of group and member, and one step of all streams through them.

Numbers in, numbers out, as numpy arrays; torch stays behind this line. A stream belongs to one
group, and each group has an ensemble of E members that differ in their seed. With one group per
stream every stream has its own networks, with one group all share them.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, I32, I64, U64, Bool
from pipeline.core.seeds import uniforms
from pipeline.forecast import compiled
from pipeline.forecast.network import Network

_MEMBER_STRIDE = np.uint64(0xD1342543DE82EF95)  # odd: keys of members are as unlike as those of groups


@dataclass
class Bank(SlotArrays):
    """Weights and optimiser state; G groups, E members, P weights.

    Attributes:
        weights: In force, float32, shape (G, E, P).
        previous: In force before the last fine-tune, to roll back to, shape (G, E, P).
        m: Adam's first moment, shape (G, E, P).
        v: Adam's second moment, shape (G, E, P).
        key: Of the group's own random numbers, uint64, shape (G,).
        n_steps: Optimiser steps taken, int32, shape (G,).
        n_rounds: Fine-tunes, int32, shape (G,).
    """

    weights: F32 = column(np.float32, "members", "weights")
    previous: F32 = column(np.float32, "members", "weights")
    m: F32 = column(np.float32, "members", "weights")
    v: F32 = column(np.float32, "members", "weights")
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
        self.previous[groups] = self.weights[groups]


def empty_bank(capacity: int, network: Network, n_members: int) -> Bank:
    """Allocate ``capacity`` groups; ``Bank.initialise`` makes them networks."""
    return Bank.empty(capacity, members=n_members, weights=network.n_weights)


@dataclass(frozen=True, slots=True)
class Plan:
    """How A streams lie in a (groups, rows) rectangle for one batched product.

    Attributes:
        groups: Groups in use, as a slice where they are consecutive, so that no weight is copied.
        n_groups: How many.
        n_rows: Rows per group: streams of the largest group.
        place: Place of each stream in the flattened rectangle; None when it is the identity.
    """

    groups: slice | I64
    n_groups: int
    n_rows: int
    place: I64 | None


def plan_for(group_of: I32) -> Plan:
    """Lay out streams by group.

    Args:
        group_of: Group of each stream, shape (A,).

    Example:
        >>> plan_for(np.array([4, 5, 6], np.int32))
        Plan(groups=slice(4, 7, None), n_groups=3, n_rows=1, place=None)
        >>> plan_for(np.array([0, 2, 0], np.int32)).place.tolist()
        [0, 2, 1]
    """
    first, n, gaps = int(group_of[0]), len(group_of), np.diff(group_of)
    if (gaps == 1).all():  # a network each: the usual case, and its layout is the identity
        return Plan(slice(first, first + n), n, 1, None)
    if not gaps.any():  # one network for all
        return Plan(slice(first, first + 1), 1, n, None)
    groups, inverse, counts = np.unique(group_of, return_inverse=True, return_counts=True)
    n_rows = int(counts.max())
    order = np.argsort(inverse, kind="stable")
    rank = np.empty(len(group_of), np.int64)
    rank[order] = np.arange(len(group_of)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = inverse * n_rows + rank
    is_identity = len(place) == len(groups) * n_rows and bool((place == np.arange(len(place))).all())
    is_run = groups[-1] - groups[0] + 1 == len(groups)
    taken = slice(int(groups[0]), int(groups[-1]) + 1) if is_run else groups.astype(np.int64)
    return Plan(taken, len(groups), n_rows, None if is_identity else place)


def _lay(rows: F32, plan: Plan) -> Tensor:
    """Bring (A, ...) rows into the plan's (G, R, ...) rectangle, empty places zero."""
    shape = (plan.n_groups, plan.n_rows, *rows.shape[1:])
    if plan.place is None:
        return torch.from_numpy(rows).view(shape)
    laid = torch.zeros(plan.n_groups * plan.n_rows, *rows.shape[1:])
    laid[torch.from_numpy(plan.place)] = torch.from_numpy(rows)
    return laid.view(shape)


def _collect(laid: Tensor, plan: Plan, n_members: int) -> F32:
    """Bring (G * E, R, N) results back to (A, E, N)."""
    by_row = laid.view(plan.n_groups, n_members, plan.n_rows, -1).transpose(1, 2)
    flat = by_row.reshape(plan.n_groups * plan.n_rows, n_members, -1)
    found: F32 = (flat if plan.place is None else flat[torch.from_numpy(plan.place)]).numpy()
    return found


def plans_for(group_of: I32) -> list[tuple[slice | I64, Plan]]:
    """Lay out streams by group, groups of like size together: a rectangle is as high as its largest group.

    Args:
        group_of: Group of each stream, shape (A,).

    Returns:
        Which streams, and their layout; together they hold every stream once.

    Example:
        >>> [(plan.n_groups, plan.n_rows) for _, plan in plans_for(np.array([0] * 100 + [1, 2, 3], np.int32))]
        [(3, 1), (1, 100)]
    """
    plan = plan_for(group_of)
    if plan.n_groups * plan.n_rows <= 2 * len(group_of):
        return [(slice(None), plan)]
    size = np.bincount(group_of)[group_of]
    classes = np.ceil(np.log2(size)).astype(np.int64)
    found = [np.flatnonzero(classes == own) for own in np.unique(classes)]
    return [(index, plan_for(group_of[index])) for index in found]


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
    if compiled.serves(network):
        return compiled.step(network, bank.weights, group_of, x, state)
    return _step(network, bank, plans_for(group_of), x, state)


def _step(network: Network, bank: Bank, plans: list[tuple[slice | I64, Plan]], x: F32, state: F32) -> tuple[F32, F32]:
    if len(plans) == 1:
        return _step_plan(network, bank, plans[0][1], x, state)
    out = np.empty((*state.shape[:2], network.n_outputs), np.float32)
    new_state = np.empty_like(state)
    for index, plan in plans:
        out[index], new_state[index] = _step_plan(network, bank, plan, x[index], state[index])
    return out, new_state


def _step_plan(network: Network, bank: Bank, plan: Plan, x: F32, state: F32) -> tuple[F32, F32]:
    """Step one rectangle."""
    n_members = state.shape[1]
    with torch.no_grad():
        weights = torch.from_numpy(bank.weights[plan.groups]).flatten(0, 1)  # (G * E, P)
        laid_x = _lay(x, plan)[:, None].expand(-1, n_members, -1, -1).flatten(0, 1)
        laid_state = _lay(state, plan).transpose(1, 2).flatten(0, 1)
        out, laid_state = network.step(weights, laid_x, laid_state)
        return _collect(out, plan, n_members), _collect(laid_state, plan, n_members)


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
    plans = [] if compiled.serves(network) else plans_for(group_of)
    for t in range(x.shape[1]):
        if plans:
            out, state = _step(network, bank, plans, np.ascontiguousarray(x[:, t]), state)
        else:
            out, state = compiled.step(network, bank.weights, group_of, x[:, t], state)
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
