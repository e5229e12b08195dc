"""Layers of one cell, with all weights of a network in one flat vector.

Flat weights and state make a network a row of an array: it is drawn, trained, copied, averaged,
packed and restored as one piece, and only this file knows which number is which.

Layout of the weights, layer by layer: the kernel row by row, then the vectors (see ``Layer``).
Layout of the state, layer by layer: h, then c where the cell has one.

Shapes: N networks, B rows per network, T steps, I inputs, H hidden units, L layers.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from pipeline.core.records import F32, F64
from pipeline.forecast.cells.base import Cell, Layer
from pipeline.forecast.cells.gru import Gru
from pipeline.forecast.cells.lstm import Lstm
from pipeline.forecast.cells.lstm_variants import CoupledLstm, PeepholeLstm
from pipeline.forecast.cells.rnn import Rnn

CELLS: dict[str, Cell] = {
    "lstm": Lstm(),
    "peephole": PeepholeLstm(),
    "coupled": CoupledLstm(),
    "gru": Gru(),
    "rnn": Rnn(),
}


@dataclass(frozen=True)
class Stack:
    """The shape of a recurrent network; it holds no weights.

    Attributes:
        cell: A name in ``CELLS``.
        n_inputs: Inputs I.
        n_hidden: Hidden units H of every layer.
        n_layers: Layers L; each above the first takes the h of the one below as its input.
        dropout: Chance that a hidden unit is dropped on its way up to the next layer.
        recurrent_dropout: Chance that it is dropped on its way into the gates of the next step.

    Example:
        >>> stack = Stack("lstm", n_inputs=2, n_hidden=3)
        >>> stack.n_weights, stack.n_state
        (72, 6)
    """

    cell: str
    n_inputs: int
    n_hidden: int
    n_layers: int = 1
    dropout: float = 0.0
    recurrent_dropout: float = 0.0

    @cached_property
    def n_weights(self) -> int:
        """Weights per network."""
        return self._places[-1][1]

    @cached_property
    def n_state(self) -> int:
        """Floats of state per row."""
        return self.n_layers * CELLS[self.cell].n_parts * self.n_hidden

    @cached_property
    def n_keep(self) -> int:
        """Dropout factors per row."""
        return (2 * self.n_layers - 1) * self.n_hidden

    def initial(self, draws: F32 | F64) -> F32:
        """Return first weights.

        Kernels are uniform within ``+-1 / sqrt(H)``, vectors 0 but for a forget bias of 1 (Gers,
        Schmidhuber & Cummins 2000).

        Args:
            draws: Uniform in [0, 1), shape (N, n_weights).

        Returns:
            float32, shape (N, n_weights).
        """
        weights = np.asarray((2 * draws - 1) / np.sqrt(self.n_hidden), np.float32)
        for start, end in self._places[1::2]:
            weights[:, start:end] = 0
            for place, value in CELLS[self.cell].starts.items():
                at = start + place * self.n_hidden
                weights[:, at : at + self.n_hidden] = value
        return weights

    def step(self, weights: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Advance by one step, without gradients.

        Args:
            weights: Shape (N, n_weights); may be a view with any stride between networks.
            x: Inputs, shape (N, B, I).
            state: Shape (N, B, n_state); zeros at the start.

        Returns:
            h of the top layer, shape (N, B, H), and the new state, shape (N, B, n_state).
        """
        n = self.n_hidden
        news = []
        with torch.no_grad():
            for layer, own in zip(self._layers(weights), self._states(state), strict=True):
                new = CELLS[self.cell].step(layer, torch.cat((x, own[..., :n]), dim=-1), own)
                x = new[..., :n]
                news.append(new)
            return x, news[0] if self.n_layers == 1 else torch.cat(news, dim=-1)

    def sequence(
        self,
        weights: Tensor,
        x: Tensor,
        is_there: Tensor | None = None,
        keep: Tensor | None = None,
        state: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Advance by T steps, differentiable with respect to weights, inputs and state.

        Args:
            weights: Shape (N, n_weights).
            x: Inputs, shape (T, N, B, I).
            is_there: False where the reading is missing: state and output stay as they were, as if
                the step were not in the sequence; boolean, shape (T, N, B). None where all are there.
            keep: Dropout factors from ``keep``, shape (N, B, n_keep). None for no dropout.
            state: First state, shape (N, B, n_state). None for zeros.

        Returns:
            h of the top layer at every step, shape (T, N, B, H), and the last state.
        """
        if state is None:
            state = x.new_zeros(*x.shape[1:3], self.n_state)
        lasts = []
        for k, (layer, own) in enumerate(zip(self._layers(weights), self._states(state), strict=True)):
            across, up = (None, None) if keep is None else self._factors(keep, k)
            x, last = CELLS[self.cell].sequence(layer, x if up is None else x * up, own, is_there, across)
            lasts.append(last)
        return x, torch.cat(lasts, dim=-1)

    def keep(self, draws: Tensor) -> Tensor:
        """Return dropout factors: 0 for a dropped unit, ``1 / (1 - chance)`` for a kept one.

        The form of Gal & Ghahramani, "A theoretically grounded application of dropout in recurrent
        neural networks", 2016, with tied masks: one mask per row and layer, the same at every step
        and for all gates, both between layers and on the recurrent way. The state itself is never
        dropped, nor is the network's input.

        Args:
            draws: Uniform in [0, 1), shape (N, B, n_keep).

        Returns:
            Factors, shape (N, B, n_keep); their mean is 1.
        """
        chance = draws.new_full((self.n_keep,), self.dropout)
        chance[: self.n_layers * self.n_hidden] = self.recurrent_dropout
        return (draws >= chance) / (1 - chance)

    @cached_property
    def _places(self) -> list[tuple[int, int]]:
        """Where each layer's kernel and vectors lie in the flat weights: kernel, vectors, kernel, vectors, ..."""
        n, cell = self.n_hidden, CELLS[self.cell]
        n_rows = [self.n_inputs + n] + (self.n_layers - 1) * [2 * n]
        sizes = [size for rows in n_rows for size in (rows * cell.n_gates * n, cell.n_vectors * n)]
        return [(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]

    def _layers(self, weights: Tensor) -> list[Layer]:
        """Return each layer's weights as views."""
        n_networks, n = len(weights), self.n_hidden
        parts = [weights[:, start:end] for start, end in self._places]
        kernels = [part.view(n_networks, -1, CELLS[self.cell].n_gates * n) for part in parts[::2]]
        return [Layer(kernel, part.view(n_networks, -1, n)) for kernel, part in zip(kernels, parts[1::2], strict=True)]

    def _states(self, state: Tensor) -> tuple[Tensor, ...]:
        """Return each layer's state as a view."""
        return state.chunk(self.n_layers, dim=-1)

    def _factors(self, keep: Tensor, k: int) -> tuple[Tensor, Tensor | None]:
        """Return layer ``k``'s dropout factors on the recurrent way and on its input."""
        parts = keep.chunk(2 * self.n_layers - 1, dim=-1)
        return parts[k], parts[self.n_layers + k - 1] if k else None
