"""The steps of fine-tuning with autograd, and forward passes over the same windows; see ``training``.

Shapes: S sets of windows, E networks that see the same set, N = S * E; B windows of T readings, F features, C targets.
"""

import numpy as np
import torch
from torch import Tensor

from pipeline.core.records import F32, F64, I32
from pipeline.forecast.by_torch.network import sequence
from pipeline.forecast.by_torch.stack import keep_factors
from pipeline.forecast.network import Network
from pipeline.forecast.training import BETA_1, BETA_2, EPSILON, MAX_LOG_SPREAD, MAX_NORM, MIN_LOG_SPREAD, NU


def outputs(network: Network, weights: F32, x: F32) -> F32:
    """See ``backend.Backend``."""
    with torch.no_grad():
        laid = _forward(network, torch.from_numpy(weights).view(len(x), -1, weights.shape[-1]), torch.from_numpy(x))
        found: F32 = laid.flatten(0, 1).numpy()
        return found


def fine_tune(
    network: Network,
    start: tuple[F32, F32, F32],
    n_taken: I32,
    windows: tuple[F32, F32, F32],
    n_batches: int,
    rate: float,
    draws: F64 | None = None,
) -> tuple[F32, F32, F32]:
    """See ``backend.Backend``."""
    n_sets = len(windows[0])
    weights, m, v = (torch.from_numpy(a).view(n_sets, -1, a.shape[-1]).clone() for a in start)
    taken = torch.from_numpy(n_taken).to(torch.float32).view(n_sets, -1, 1)
    batches = zip(*(np.split(a, n_batches, axis=1) for a in windows), strict=True)
    for number, batch in enumerate(batches, start=1):
        weights.requires_grad_()
        x, y, counts = (torch.from_numpy(a) for a in batch)
        y, counts = (a.transpose(1, 2)[:, None] for a in (y, counts))  # (S, 1, T, B, C)
        keep = None if draws is None else keep_factors(network.stack, torch.from_numpy(draws[number - 1]).float())
        laid = _forward(network, weights, x, keep)
        nll = student_t_nll(laid[..., 0::2], laid[..., 1::2], y)
        loss = (nll * counts).sum() / (x.shape[1] * x.shape[2])  # each network's own mean, summed
        (gradient,) = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            weights = weights.detach() - rate * _adam(gradient, m, v, taken + number)
    after = (a.flatten(0, 1).numpy() for a in (weights, m, v))
    return next(after), next(after), next(after)


def student_t_nll(location: Tensor, log_spread: Tensor, y: Tensor) -> Tensor:
    """Return the negative log-likelihood of each target, up to a constant.

    ``log s + (nu + 1) / 2 * log(1 + ((y - mu) / s)^2 / nu)`` with nu = 4: outliers pull with bounded
    force. ``log s`` is kept within [-6, 4].

    Args:
        location: mu, any shape.
        log_spread: log s, same shape.
        y: Targets, same shape.
    """
    log_s = log_spread.clamp(MIN_LOG_SPREAD, MAX_LOG_SPREAD)
    z = (y - location) * torch.exp(-log_s)
    return log_s + (NU + 1) / 2 * torch.log1p(z * z / NU)


def _forward(network: Network, weights: Tensor, x: Tensor, keep: Tensor | None = None) -> Tensor:
    """Run networks (S, E, P) over windows (S, B, T, F); return outputs (S, E, T, B, 2C)."""
    n_rows, n_steps = x.shape[1:3]
    laid = x.permute(2, 0, 1, 3)[:, :, None].expand(-1, -1, weights.shape[1], -1, -1)
    out = sequence(network, weights.flatten(0, 1), laid.flatten(1, 2), keep)  # (N, T * B, 2C)
    return out.view(*weights.shape[:2], n_steps, n_rows, -1)


def _adam(gradient: Tensor, m: Tensor, v: Tensor, n_steps: Tensor) -> Tensor:
    """Return the step of each network, its gradient clipped to norm 5; ``m`` and ``v`` move on in place."""
    norm = gradient.square().sum(dim=-1, keepdim=True).sqrt()
    g = gradient * (MAX_NORM / norm).clamp(max=1.0)
    m.lerp_(g, 1 - BETA_1)
    v.mul_(BETA_2).addcmul_(g, g, value=1 - BETA_2)
    root = (v / (1 - BETA_2**n_steps)).sqrt_().add_(EPSILON)
    return (m / (1 - BETA_1**n_steps)) / root
