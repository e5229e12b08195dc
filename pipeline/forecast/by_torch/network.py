"""What a network does with its numbers: the stack's steps and the head over them; ``network`` says where they lie.

Shapes: N networks, B rows per network, T steps, F features, H hidden units, C targets.
"""

import torch
from torch import Tensor

from pipeline.forecast.by_torch import stack
from pipeline.forecast.network import Network


def step(network: Network, weights: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Advance (N, B, F) by one reading; return outputs (N, B, 2C) and the new state."""
    h, state = stack.step(network.stack, weights[:, : network.stack.n_weights], x, state)
    return _outputs(network, weights, h, x), state


def sequence(network: Network, weights: Tensor, x: Tensor, keep: Tensor | None = None) -> Tensor:
    """Run (T, N, B, F) from a zero state; return outputs (N, T * B, 2C), differentiable in the weights."""
    hs = stack.sequence(network.stack, weights[:, : network.stack.n_weights], x, keep=keep)[0]
    return _outputs(network, weights, _by_network(hs), _by_network(x))


def _outputs(network: Network, weights: Tensor, h: Tensor, x: Tensor) -> Tensor:
    """Apply the head to (N, B, H) and (N, B, F); return (N, B, 2C)."""
    n_outputs = network.n_outputs
    kernel = weights[:, network.stack.n_weights : -n_outputs].view(len(weights), -1, n_outputs)
    return torch.baddbmm(weights[:, None, -n_outputs:], torch.cat((h, x), dim=-1), kernel)


def _by_network(x: Tensor) -> Tensor:
    return x.transpose(0, 1).reshape(x.shape[1], -1, x.shape[-1])
