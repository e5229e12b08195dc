"""Fine-tuning: a few bounded gradient steps of many networks at once, on windows already seen.

Pure: weights and windows in, new weights out. Which streams are due, and when, is decided elsewhere.
Recipe of DETECTION.md 2.1: Student-t likelihood, Adam (Kingma & Ba 2015), clipped gradients.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.core.records import F32, I64, Bool
from pipeline.forecast.bank import Bank
from pipeline.forecast.cells import lstm_sequence

NU = 4.0  # degrees of freedom of the Student-t likelihood
N_SETTLING = 4  # first steps of a window are not scored: the hidden state starts at zero
MIN_LOG_SPREAD, MAX_LOG_SPREAD = -6.0, 4.0
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.99, 1e-8
_MAX_NORM = 5.0
_FIXED = ("key", "n_rounds")
_WEIGHTS = ("kernel", "bias", "head", "head_bias")


@dataclass(frozen=True, slots=True)
class Windows:
    """Training windows of G groups; B windows of T readings, F features, C targets.

    Attributes:
        x: Features, float32, shape (G, B, T, F).
        y: Targets, scaled, float32, shape (G, B, T, C).
        is_known: The target has been observed and may teach, shape (G, B, T, C).
    """

    x: F32
    y: F32
    is_known: Bool


def student_t_loss(location: Tensor, log_spread: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Return the negative log-likelihood per group, up to a constant.

    ``log s + (nu + 1) / 2 * log(1 + ((y - mu) / s)^2 / nu)`` with nu = 4: outliers pull with bounded
    force. ``log s`` is kept within [-6, 4].

    Args:
        location: mu, shape (T, G, B, C).
        log_spread: log s, shape (T, G, B, C).
        y: Targets, shape (T, G, B, C).
        weight: 1 where the target counts, else 0.

    Returns:
        Loss summed over groups, each the mean over its T * B * C places; a scalar.
    """
    log_s = log_spread.clamp(MIN_LOG_SPREAD, MAX_LOG_SPREAD)
    z = (y - location) * torch.exp(-log_s)
    nll = log_s + (NU + 1) / 2 * torch.log1p(z * z / NU)
    return (nll * weight).sum() / (y.shape[0] * y.shape[2])


def fine_tune(bank: Bank, groups: I64, minibatches: list[Windows], learning_rate: float) -> Bool:
    """Take one optimiser step per minibatch; networks that turn out not finite keep their old weights.

    Args:
        bank: Changed in place at ``groups`` only.
        groups: Networks to train, shape (G,).
        minibatches: Windows, the same groups in each.
        learning_rate: Adam's step size.

    Returns:
        True per group where the new weights were accepted, shape (G,).
    """
    before = bank.take(groups)
    state = {name: torch.from_numpy(array) for name, array in bank.take(groups).items() if name not in _FIXED}
    for windows in minibatches:
        weights = [state[name].requires_grad_() for name in _WEIGHTS]
        gradients = torch.autograd.grad(_loss(weights, windows), weights)
        with torch.no_grad():
            _adam(state, gradients, learning_rate)
    after = {name: tensor.detach().numpy() for name, tensor in state.items()}
    is_finite: Bool = np.logical_and.reduce(
        [np.isfinite(a.reshape(len(groups), -1)).all(axis=1) for a in after.values()],
    )
    kept = {name: np.where(is_finite.reshape(-1, *[1] * (a.ndim - 1)), a, before[name]) for name, a in after.items()}
    bank.put(groups, before | kept)
    bank.n_rounds[groups] += 1
    return is_finite


def _loss(weights: list[Tensor], windows: Windows) -> Tensor:
    """Forward pass and loss, averaged over targets."""
    kernel, bias, head, head_bias = weights
    x = torch.from_numpy(windows.x).permute(2, 0, 1, 3).contiguous()  # (T, G, B, F)
    y = torch.from_numpy(windows.y).permute(2, 0, 1, 3)
    weight = torch.from_numpy(windows.is_known).permute(2, 0, 1, 3).to(torch.float32)
    weight[:N_SETTLING] = 0
    hs = lstm_sequence(x, kernel, bias)
    h_x = torch.cat((hs, x), dim=-1).transpose(0, 1)  # (G, T, B, H + F)
    flat = h_x.reshape(len(kernel), -1, head.shape[1])
    out = torch.baddbmm(head_bias[:, None], flat, head).view(*h_x.shape[:3], -1).transpose(0, 1)
    return student_t_loss(out[..., 0::2], out[..., 1::2], y, weight)


def _adam(state: dict[str, Tensor], gradients: tuple[Tensor, ...], learning_rate: float) -> None:
    """One step per group, gradients clipped to norm 5 per group."""
    squared = torch.stack([g.flatten(1).square().sum(dim=1) for g in gradients]).sum(dim=0)  # (G,)
    shrink = (_MAX_NORM / squared.sqrt()).clamp(max=1.0)
    state["n_steps"] += 1
    n = state["n_steps"].to(torch.float32)
    correct_1, correct_2 = 1 - _BETA_1**n, 1 - _BETA_2**n
    for name, gradient in zip(_WEIGHTS, gradients, strict=True):
        each = (-1, *[1] * (gradient.dim() - 1))
        g = gradient * shrink.view(each)
        m, v = state[f"m_{name}"], state[f"v_{name}"]
        m.lerp_(g, 1 - _BETA_1)
        v.mul_(_BETA_2).addcmul_(g, g, value=1 - _BETA_2)
        step = (m / correct_1.view(each)) / ((v / correct_2.view(each)).sqrt() + _EPSILON)
        state[name] = state[name].detach() - learning_rate * step
