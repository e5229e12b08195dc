"""One step of all streams through the bank, a batched product per rectangle of groups and rows."""

import numpy as np
import torch

from pipeline.core.records import F32, I32
from pipeline.forecast.by_torch import network as networks
from pipeline.forecast.by_torch.rectangles import Plan, collect, lay, plans_for
from pipeline.forecast.network import Network


def step(network: Network, weights: F32, group_of: I32, x: F32, state: F32) -> tuple[F32, F32]:
    """See ``backend.Backend``."""
    plans = plans_for(group_of)
    if len(plans) == 1:
        return _step_plan(network, weights, plans[0][1], x, state)
    out = np.empty((*state.shape[:2], network.n_outputs), np.float32)
    new_state = np.empty_like(state)
    for index, plan in plans:
        out[index], new_state[index] = _step_plan(network, weights, plan, x[index], state[index])
    return out, new_state


def _step_plan(network: Network, weights: F32, plan: Plan, x: F32, state: F32) -> tuple[F32, F32]:
    """Step one rectangle."""
    n_members = state.shape[1]
    with torch.no_grad():
        own = torch.from_numpy(weights[plan.groups]).flatten(0, 1)  # (G * E, P)
        laid_x = lay(x, plan)[:, None].expand(-1, n_members, -1, -1).flatten(0, 1)
        laid_state = lay(state, plan).transpose(1, 2).flatten(0, 1)
        out, laid_state = networks.step(network, own, laid_x, laid_state)
        return collect(out, plan, n_members), collect(laid_state, plan, n_members)
