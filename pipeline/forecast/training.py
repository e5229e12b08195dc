"""Fine-tuning: a few bounded gradient steps of many networks at once, on windows already seen.

Pure: weights and windows in, new weights out. Which streams are due, and when, is decided elsewhere;
whether the new weights may go live is the gate's.
Recipe of DETECTION.md 2.1: Student-t likelihood, Adam (Kingma & Ba 2015), clipped gradients.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.core.records import F32, F64, I32, Bool
from pipeline.forecast import compiled
from pipeline.forecast.network import Network

NU = 4.0  # degrees of freedom of the Student-t likelihood
N_SETTLING = 4  # first steps of a window are not scored: the hidden state starts at zero
MIN_LOG_SPREAD, MAX_LOG_SPREAD = -6.0, 4.0
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.99, 1e-8
_MAX_NORM = 5.0


@dataclass(frozen=True, slots=True)
class Windows:
    """Training windows of G groups; B windows of T readings, F features, C targets.

    Attributes:
        x: Features, float32, shape (G, B, T, F).
        y: Targets, scaled, float32, shape (G, B, T, C).
        is_known: The target has been observed and counts, shape (G, B, T, C).
    """

    x: F32
    y: F32
    is_known: Bool

    def split(self, n: int) -> "list[Windows]":
        """Part the windows of each group into ``n`` minibatches, in order."""
        parts = (np.split(array, n, axis=1) for array in (self.x, self.y, self.is_known))
        return [Windows(*part) for part in zip(*parts, strict=True)]


@dataclass(frozen=True, slots=True)
class Weights:
    """Weights of G groups of E members, and the optimiser's state.

    Attributes:
        weights: float32, shape (G, E, P).
        m: First moment, shape (G, E, P).
        v: Second moment, shape (G, E, P).
        n_steps: Optimiser steps taken, int32, shape (G,).
    """

    weights: F32
    m: F32
    v: F32
    n_steps: I32


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


def forward(network: Network, weights: Tensor, windows: Windows, keep: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Run every member of every group over its group's windows.

    Args:
        network: Layout of the weights.
        weights: Shape (G, E, P).
        windows: Of the same groups.
        keep: Dropout masks of the stack, or None.

    Returns:
        Location and log-spread, shape (G, E, T, B, C) each.
    """
    n_groups, n_members = weights.shape[:2]
    n_rows, n_steps = windows.x.shape[1:3]
    if keep is None and not weights.requires_grad and compiled.serves(network):
        out = torch.from_numpy(compiled.outputs(network, weights.flatten(0, 1).numpy(), windows.x))
    else:
        x = torch.from_numpy(windows.x).permute(2, 0, 1, 3)[:, :, None].expand(-1, -1, n_members, -1, -1)
        out = network.sequence(weights.flatten(0, 1), x.flatten(1, 2), keep)  # (G * E, T * B, 2C)
    laid = out.view(n_groups, n_members, n_steps, n_rows, -1)
    return laid[..., 0::2], laid[..., 1::2]


def targets(windows: Windows) -> tuple[Tensor, Tensor]:
    """Return targets and their weights, 0 or 1, shape (G, 1, T, B, C), as ``forward`` lays them out."""
    y = torch.from_numpy(windows.y).transpose(1, 2)[:, None]
    counts = torch.from_numpy(windows.is_known).transpose(1, 2)[:, None].to(torch.float32)
    counts[:, :, :N_SETTLING] = 0
    return y, counts


def fine_tune(
    network: Network,
    before: Weights,
    windows: Windows,
    n_batches: int,
    learning_rate: float,
    draws: F64 | None = None,
) -> Weights:
    """Take one optimiser step per minibatch.

    Args:
        network: Layout of the weights.
        before: Not changed.
        windows: Of all minibatches, one after the other.
        n_batches: How many these are.
        learning_rate: Adam's step size.
        draws: For dropout, uniform in [0, 1), shape (minibatches, G * E, B, stack.n_keep); None for no dropout.

    Returns:
        New weights; not checked, they may be anything if the windows were.
    """
    if compiled.serves(network):
        weights, m, v = _fine_tune_compiled(network, before, windows, n_batches, learning_rate)
    else:
        weights, m, v = _fine_tune_by_torch(network, before, windows, n_batches, learning_rate, draws)
    return Weights(weights, m, v, before.n_steps + np.int32(n_batches))


def _fine_tune_by_torch(
    network: Network, before: Weights, windows: Windows, n_batches: int, learning_rate: float, draws: F64 | None
) -> tuple[F32, F32, F32]:
    """Take the steps of ``fine_tune`` with torch; return weights and moments."""
    steps = torch.from_numpy(before.n_steps).to(torch.float32)[:, None, None]
    weights, m, v = (torch.from_numpy(a).clone() for a in (before.weights, before.m, before.v))
    for number, batch in enumerate(windows.split(n_batches), start=1):
        weights.requires_grad_()
        y, counts = targets(batch)
        keep = None if draws is None else network.stack.keep(torch.from_numpy(draws[number - 1]).float())
        nll = student_t_nll(*forward(network, weights, batch, keep), y)
        loss = (nll * counts).sum() / (batch.x.shape[1] * batch.x.shape[2])  # each network's own mean, summed
        (gradient,) = torch.autograd.grad(loss, weights)
        with torch.no_grad():
            weights = weights.detach() - learning_rate * _adam(gradient, m, v, steps + number)
    return weights.numpy(), m.numpy(), v.numpy()


def _fine_tune_compiled(
    network: Network, before: Weights, windows: Windows, n_batches: int, learning_rate: float
) -> tuple[F32, F32, F32]:
    """Take the steps of ``fine_tune`` with the compiled helper; return weights and moments."""
    shape = before.weights.shape
    counts = windows.is_known.astype(np.float32)
    counts[:, :, :N_SETTLING] = 0
    start = (a.reshape(-1, shape[-1]) for a in (before.weights, before.m, before.v))
    n_taken = np.repeat(before.n_steps, shape[1])
    after = compiled.fine_tune(network, tuple(start), n_taken, (windows.x, windows.y, counts), n_batches, learning_rate)
    weights, m, v = (a.reshape(shape) for a in after)
    return weights, m, v


def _adam(gradient: Tensor, m: Tensor, v: Tensor, n_steps: Tensor) -> Tensor:
    """Return the step of each network, its gradient clipped to norm 5; ``m`` and ``v`` move on in place."""
    norm = gradient.square().sum(dim=-1, keepdim=True).sqrt()
    g = gradient * (_MAX_NORM / norm).clamp(max=1.0)
    m.lerp_(g, 1 - _BETA_1)
    v.mul_(_BETA_2).addcmul_(g, g, value=1 - _BETA_2)
    root = (v / (1 - _BETA_2**n_steps)).sqrt_().add_(_EPSILON)
    return (m / (1 - _BETA_1**n_steps)) / root
