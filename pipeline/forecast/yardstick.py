"""The yardstick of the benchmarks: nothing but the batched LSTM cell step, as fast as torch does it."""

import numpy as np
import torch

from pipeline.forecast.bank import Bank, Plan
from pipeline.forecast.cells import lstm_step
from pipeline.forecast.features import N_FEATURES


def bare_loop(bank: Bank, plan: Plan, n_steps: int) -> None:
    """Step all streams ``n_steps`` times with random inputs: no features, scores, windows or numpy.

    Args:
        bank: The networks.
        plan: The streams, of the full rectangle of groups and rows.
        n_steps: Steps.
    """
    n_hidden = bank.n_hidden
    kernel, bias = torch.from_numpy(bank.kernel[plan.groups]), torch.from_numpy(bank.bias[plan.groups])[:, None]
    x_h = torch.from_numpy(
        np.random.default_rng(0).normal(size=(plan.n_groups, plan.n_rows, N_FEATURES + n_hidden)).astype(np.float32)
    )
    c = torch.zeros(plan.n_groups, plan.n_rows, n_hidden)
    with torch.no_grad():
        for _ in range(n_steps):
            h, c = lstm_step(torch.baddbmm(bias, x_h, kernel), c)
            x_h[..., N_FEATURES:] = h
