"""Fine-tuning: a few bounded gradient steps of many networks at once, on windows already seen.

Pure: weights and windows in, new weights out. Which streams are due, and when, is decided elsewhere;
whether the new weights may go live is the gate's.
Recipe of DETECTION.md 2.1: Student-t likelihood, Adam (Kingma & Ba 2015), clipped gradients; its numbers are here,
its arithmetic is the backend's.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.records import F32, F64, I32, Bool
from pipeline.forecast.backend import backend_for
from pipeline.forecast.network import Network

NU = 4.0  # degrees of freedom of the Student-t likelihood
N_SETTLING = 4  # first steps of a window are not scored: the hidden state starts at zero
MIN_LOG_SPREAD, MAX_LOG_SPREAD = -6.0, 4.0
BETA_1, BETA_2, EPSILON = 0.9, 0.99, 1e-8  # of Adam
MAX_NORM = 5.0  # of a gradient


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


def forward(network: Network, weights: F32, windows: Windows) -> tuple[F32, F32]:
    """Run every member of every group over its group's windows.

    Args:
        network: Layout of the weights.
        weights: Shape (G, E, P).
        windows: Of the same groups.

    Returns:
        Location and log-spread, shape (G, E, T, B, C) each.
    """
    out = backend_for(network).outputs(network, _flat(weights), windows.x)
    laid = out.reshape(*weights.shape[:2], *out.shape[1:])
    return laid[..., 0::2], laid[..., 1::2]


def targets(windows: Windows) -> tuple[F32, F32]:
    """Return targets and their weights, 0 or 1, shape (G, 1, T, B, C), as ``forward`` lays them out."""
    return windows.y.swapaxes(1, 2)[:, None], counts(windows).swapaxes(1, 2)[:, None]


def counts(windows: Windows) -> F32:
    """Return the weights of targets, 0 or 1, shape (G, B, T, C): the first steps of a window are not scored."""
    known = windows.is_known.astype(np.float32)
    known[:, :, :N_SETTLING] = 0
    return known


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
    shape = before.weights.shape
    start = _flat(before.weights), _flat(before.m), _flat(before.v)
    n_taken = np.repeat(before.n_steps, shape[1])
    known = windows.x, windows.y, counts(windows)
    after = backend_for(network).fine_tune(network, start, n_taken, known, n_batches, learning_rate, draws)
    weights, m, v = (a.reshape(shape) for a in after)
    return Weights(weights, m, v, before.n_steps + np.int32(n_batches))


def _flat(weights: F32) -> F32:
    """Lay (G, E, P) out as (N, P)."""
    return weights.reshape(-1, weights.shape[-1])
