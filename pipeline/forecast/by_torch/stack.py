"""What a stack of cells does with its numbers: a step, a sequence of steps, and dropout; ``stack`` says where they lie.

Shapes: N networks, B rows per network, T steps, I inputs, H hidden units, L layers.
"""

import torch
from torch import Tensor

from pipeline.forecast.by_torch.cells import CELLS
from pipeline.forecast.by_torch.cells.base import Layer
from pipeline.forecast.stack import SHAPES, Stack


def step(stack: Stack, weights: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Advance by one step, without gradients.

    Args:
        stack: Layout of the weights.
        weights: Shape (N, n_weights); may be a view with any stride between networks.
        x: Inputs, shape (N, B, I).
        state: Shape (N, B, n_state); zeros at the start.

    Returns:
        h of the top layer, shape (N, B, H), and the new state, shape (N, B, n_state).
    """
    n = stack.n_hidden
    news = []
    with torch.no_grad():
        for layer, own in zip(_layers(stack, weights), _states(stack, state), strict=True):
            new = CELLS[stack.cell].step(layer, torch.cat((x, own[..., :n]), dim=-1), own)
            x = new[..., :n]
            news.append(new)
        return x, news[0] if stack.n_layers == 1 else torch.cat(news, dim=-1)


def sequence(
    stack: Stack,
    weights: Tensor,
    x: Tensor,
    is_there: Tensor | None = None,
    keep: Tensor | None = None,
    state: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Advance by T steps, differentiable with respect to weights, inputs and state.

    Args:
        stack: Layout of the weights.
        weights: Shape (N, n_weights).
        x: Inputs, shape (T, N, B, I).
        is_there: False where the reading is missing: state and output stay as they were, as if
            the step were not in the sequence; boolean, shape (T, N, B). None where all are there.
        keep: Dropout factors from ``keep_factors``, shape (N, B, n_keep). None for no dropout.
        state: First state, shape (N, B, n_state). None for zeros.

    Returns:
        h of the top layer at every step, shape (T, N, B, H), and the last state.
    """
    if state is None:
        state = x.new_zeros(*x.shape[1:3], stack.n_state)
    lasts = []
    for k, (layer, own) in enumerate(zip(_layers(stack, weights), _states(stack, state), strict=True)):
        across, up = (None, None) if keep is None else _factors(stack, keep, k)
        x, last = CELLS[stack.cell].sequence(layer, x if up is None else x * up, own, is_there, across)
        lasts.append(last)
    return x, torch.cat(lasts, dim=-1)


def keep_factors(stack: Stack, draws: Tensor) -> Tensor:
    """Return dropout factors: 0 for a dropped unit, ``1 / (1 - chance)`` for a kept one.

    The form of Gal & Ghahramani, "A theoretically grounded application of dropout in recurrent
    neural networks", 2016, with tied masks: one mask per row and layer, the same at every step
    and for all gates, both between layers and on the recurrent way. The state itself is never
    dropped, nor is the network's input.

    Args:
        stack: Its chances.
        draws: Uniform in [0, 1), shape (N, B, n_keep).

    Returns:
        Factors, shape (N, B, n_keep); their mean is 1.
    """
    chance = draws.new_full((stack.n_keep,), stack.dropout)
    chance[: stack.n_layers * stack.n_hidden] = stack.recurrent_dropout
    return (draws >= chance) / (1 - chance)


def _layers(stack: Stack, weights: Tensor) -> list[Layer]:
    """Return each layer's weights as views."""
    n_networks, n = len(weights), stack.n_hidden
    parts = [weights[:, start:end] for start, end in stack.places]
    kernels = [part.view(n_networks, -1, SHAPES[stack.cell].n_gates * n) for part in parts[::2]]
    return [Layer(kernel, part.view(n_networks, -1, n)) for kernel, part in zip(kernels, parts[1::2], strict=True)]


def _states(stack: Stack, state: Tensor) -> tuple[Tensor, ...]:
    """Return each layer's state as a view."""
    return state.chunk(stack.n_layers, dim=-1)


def _factors(stack: Stack, keep: Tensor, k: int) -> tuple[Tensor, Tensor | None]:
    """Return layer ``k``'s dropout factors on the recurrent way and on its input."""
    parts = keep.chunk(2 * stack.n_layers - 1, dim=-1)
    return parts[k], parts[stack.n_layers + k - 1] if k else None
