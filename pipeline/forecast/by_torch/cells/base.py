"""What every recurrent cell offers: one step, and a sequence of steps, of one layer.

Shapes: N networks (one set of weights each), B rows per network, T steps, I inputs, H hidden units.
A cell is its equations; it holds no weights and no state itself.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor


class Layer(NamedTuple):
    """The weights of one layer.

    Attributes:
        kernel: From input and hidden state to the gates, side by side, shape (N, I + H, gates * H).
        vectors: Biases, one per gate, and what else a cell needs per hidden unit, shape (N, V, H).
    """

    kernel: Tensor
    vectors: Tensor

    @property
    def n_hidden(self) -> int:
        """Hidden units H."""
        return int(self.vectors.shape[2])

    @property
    def n_inputs(self) -> int:
        """Inputs I."""
        return int(self.kernel.shape[1]) - self.n_hidden

    def bias(self, n_gates: int) -> Tensor:
        """Return the first ``n_gates`` vectors side by side, shape (N, 1, n_gates * H)."""
        return self.vectors[:, :n_gates].reshape(len(self.vectors), 1, -1)


class Cell(ABC):
    """One recurrent cell; ``stack.SHAPES`` says how many gates, vectors and parts of state it has."""

    @abstractmethod
    def step(self, layer: Layer, x_h: Tensor, state: Tensor) -> Tensor:
        """Advance by one step.

        Args:
            layer: Weights.
            x_h: Input beside the hidden state as the gates see it: with recurrent dropout some of
                it is 0; shape (N, B, I + H).
            state: What the cell remembers, never dropped, shape (N, B, n_parts * H).

        Returns:
            New state, shape as ``state``.
        """

    def sequence(
        self,
        layer: Layer,
        x: Tensor,
        state: Tensor,
        is_there: Tensor | None,
        keep: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Advance by T steps, differentiable with respect to weights, inputs and state.

        Args:
            layer: Weights.
            x: Inputs, shape (T, N, B, I).
            state: First state, shape (N, B, n_parts * H).
            is_there: False where a step is missing: it leaves the state as it is, and its input is
                never read; boolean, shape (T, N, B). None where all are there.
            keep: Factor on the hidden state on its way into the gates, the same at every step
                (recurrent dropout), shape (N, B, H). None for 1.

        Returns:
            h of every step, shape (T, N, B, H), and the last state.
        """
        n = layer.n_hidden
        hs = []
        for t, x_t in enumerate(x if is_there is None else without_missing(x, is_there)):
            h = state[..., :n]
            new = self.step(layer, torch.cat((x_t, h if keep is None else h * keep), dim=-1), state)
            state = new if is_there is None else torch.where(is_there[t, ..., None], new, state)
            hs.append(state[..., :n])
        return torch.stack(hs), state


def without_missing(x: Tensor, is_there: Tensor) -> Tensor:
    """Put 0 for inputs that are missing: what stands there (NaN, say) must not reach a gradient.

    Args:
        x: Inputs, shape (..., I).
        is_there: Shape (...).
    """
    return x.masked_fill(~is_there[..., None], 0)
