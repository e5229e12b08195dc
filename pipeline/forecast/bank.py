"""The bank of LSTMs: weights with a leading group axis, and one step of all streams through them.

Numbers in, numbers out, as numpy arrays; torch stays behind this line. A stream belongs to one
group; with one group per stream every stream has its own network, with one group all share it.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.core.columns import SlotArrays, column
from pipeline.core.records import F32, I32, I64, U64, Bool
from pipeline.core.seeds import uniforms
from pipeline.forecast.cells import lstm_step
from pipeline.forecast.features import N_FEATURES
from pipeline.forecast.targets import N_TARGETS

torch.set_num_threads(1)  # nets this small run many times slower on more

_START_WEIGHTS = (1.0, 0.8, 0.5, 0.0)  # damped persistence, per target
_START_LOG_SPREAD = -1.0


@dataclass
class Bank(SlotArrays):
    """Weights and optimiser state; G groups, F features, H hidden, C targets.

    Attributes:
        kernel: From input and hidden state to gates i, f, o, g, float32, shape (G, F + H, 4H).
        bias: Shape (G, 4H).
        head: From hidden state and input to location and log-spread, shape (G, H + F, 2C).
        head_bias: Shape (G, 2C).
        m_*, v_*: Adam's first and second moments of the four.
        key: Of the group's own random numbers, uint64, shape (G,).
        n_steps: Optimiser steps taken, int32, shape (G,).
        n_rounds: Fine-tunes, int32, shape (G,).
    """

    kernel: F32 = column(np.float32, "inputs", "gates")
    bias: F32 = column(np.float32, "gates")
    head: F32 = column(np.float32, "inputs", "outputs")
    head_bias: F32 = column(np.float32, "outputs")
    m_kernel: F32 = column(np.float32, "inputs", "gates")
    m_bias: F32 = column(np.float32, "gates")
    m_head: F32 = column(np.float32, "inputs", "outputs")
    m_head_bias: F32 = column(np.float32, "outputs")
    v_kernel: F32 = column(np.float32, "inputs", "gates")
    v_bias: F32 = column(np.float32, "gates")
    v_head: F32 = column(np.float32, "inputs", "outputs")
    v_head_bias: F32 = column(np.float32, "outputs")
    key: U64 = column(np.uint64)
    n_steps: I32 = column(np.int32)
    n_rounds: I32 = column(np.int32)

    @property
    def n_hidden(self) -> int:
        """Hidden size H."""
        return int(self.bias.shape[1]) // 4

    def initialise(self, groups: I64, keys: U64) -> None:
        """Give groups fresh weights, a function of their keys alone.

        Uniform within ``1 / sqrt(H)``, forget bias 1 (Gers et al. 2000), and a head that starts as
        damped persistence, so that forecasts are sane from the first readings.
        """
        self.reset(groups)
        self.key[groups] = keys
        n_inputs, width = self.kernel.shape[1:]
        draws = uniforms(keys, n_inputs * width).reshape(-1, n_inputs, width)
        self.kernel[groups] = (2 * draws - 1) / np.sqrt(self.n_hidden)
        self.bias[groups, self.n_hidden : 2 * self.n_hidden] = 1.0
        for target, weight in enumerate(_START_WEIGHTS):
            self.head[groups, self.n_hidden, 2 * target] = weight  # on the squashed value
        self.head_bias[groups, 1::2] = _START_LOG_SPREAD


def empty_bank(capacity: int, n_hidden: int) -> Bank:
    """Allocate ``capacity`` groups; ``Bank.initialise`` makes them networks."""
    return Bank.empty(capacity, inputs=N_FEATURES + n_hidden, gates=4 * n_hidden, outputs=2 * N_TARGETS)


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
    """Bring (A, N) rows into the plan's (G, R, N) rectangle, empty places zero."""
    if plan.place is None:
        return torch.from_numpy(rows).view(plan.n_groups, plan.n_rows, -1)
    laid = torch.zeros(plan.n_groups * plan.n_rows, rows.shape[1])
    laid[torch.from_numpy(plan.place)] = torch.from_numpy(rows)
    return laid.view(plan.n_groups, plan.n_rows, -1)


def _collect(laid: Tensor, plan: Plan) -> F32:
    """Undo ``_lay``."""
    flat = laid.reshape(plan.n_groups * plan.n_rows, -1)
    found: F32 = (flat if plan.place is None else flat[torch.from_numpy(plan.place)]).numpy()
    return found


def step(bank: Bank, plan: Plan, x: F32, h: F32, c: F32) -> tuple[F32, F32, F32]:
    """Advance streams by one reading.

    Args:
        bank: Weights.
        plan: Layout of the streams, from ``plan_for``.
        x: Features, float32, shape (A, F).
        h: Hidden state, float32, shape (A, H).
        c: Cell state, float32, shape (A, H).

    Returns:
        New h, new c, and the outputs (location, log-spread per target), shape (A, 2C).
    """
    with torch.no_grad():
        x_h = _lay(np.concatenate((x, h), axis=1), plan)
        gates = torch.baddbmm(_weights(bank.bias, plan)[:, None], x_h, _weights(bank.kernel, plan))
        new_h, new_c = lstm_step(gates, _lay(c, plan))
        h_x = torch.cat((new_h, x_h[..., : x.shape[1]]), dim=-1)
        out = torch.baddbmm(_weights(bank.head_bias, plan)[:, None], h_x, _weights(bank.head, plan))
        return _collect(new_h, plan), _collect(new_c, plan), _collect(out, plan)


def _weights(array: F32, plan: Plan) -> Tensor:
    return torch.from_numpy(array[plan.groups])


def run(bank: Bank, plan: Plan, x: F32, is_valid: Bool) -> tuple[F32, F32, F32]:
    """Run streams over a stretch of readings from a zero state.

    Args:
        bank: Weights.
        plan: Layout of the streams.
        x: Features, float32, shape (A, L, F), right-aligned.
        is_valid: False where a stream has no such reading, shape (A, L); its state stays zero there.

    Returns:
        Final h, c and outputs, as ``step``.
    """
    n = bank.n_hidden
    h, c = np.zeros((len(x), n), np.float32), np.zeros((len(x), n), np.float32)
    out = np.zeros((len(x), 2 * N_TARGETS), np.float32)
    for t in range(x.shape[1]):
        h, c, out = step(bank, plan, np.ascontiguousarray(x[:, t]), h, c)
        h, c = h * is_valid[:, t, None], c * is_valid[:, t, None]
    return h, c, out
