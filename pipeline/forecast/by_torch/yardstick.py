"""The yardstick of the benchmarks: nothing but the batched step of the cells, as fast as torch does it."""

import numpy as np
import torch

from pipeline.forecast.bank import Bank
from pipeline.forecast.by_torch.rectangles import Plan
from pipeline.forecast.by_torch.stack import step
from pipeline.forecast.network import Network


def bare_loop(network: Network, bank: Bank, plan: Plan, n_steps: int) -> None:
    """Step all streams ``n_steps`` times with random inputs: no features, head, scores, windows or numpy.

    Args:
        network: Layout of the weights.
        bank: The networks; one member of each group is stepped.
        plan: The streams, of the full rectangle of groups and rows.
        n_steps: Steps.
    """
    stack = network.stack
    weights = torch.from_numpy(bank.weights[plan.groups])[:, 0, : stack.n_weights]
    shape = (plan.n_groups, plan.n_rows)
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(*shape, network.n_inputs)).astype(np.float32))
    state = torch.zeros(*shape, stack.n_state)
    with torch.no_grad():
        for _ in range(n_steps):
            state = step(stack, weights, x, state)[1]
