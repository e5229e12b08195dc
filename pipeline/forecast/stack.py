"""Layers of one cell, with all weights of a network in one flat vector: how many numbers, and where they lie.

Flat weights and state make a network a row of an array: it is drawn, trained, copied, averaged,
packed and restored as one piece. What the numbers do is the business of ``compiled`` and ``by_torch``.

Layout of the weights, layer by layer: the kernel row by row, from input and hidden state to the gates side by
side, shape (I + H, gates * H); then the vectors, biases first, shape (V, H).
Layout of the state, layer by layer: h, then c where the cell has one.

Shapes: N networks, I inputs, H hidden units, L layers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

import numpy as np

from pipeline.core.records import F32, F64


@dataclass(frozen=True, slots=True)
class CellShape:
    """How many numbers a recurrent cell has; its equations are in ``by_torch.cells``.

    Attributes:
        n_gates: Blocks of H columns in the kernel.
        n_vectors: Vectors V of H weights beside the kernel; all start at 0 but those of ``starts``.
        n_parts: Vectors of H floats in the state; the first is the output h.
        starts: First values of vectors that do not start at 0, by place.
    """

    n_gates: int
    n_vectors: int
    n_parts: int
    starts: Mapping[int, float] = field(default_factory=dict)


#: By name: the LSTM, with peepholes, with coupled gates, the GRU, and the plain recurrent network.
SHAPES: Mapping[str, CellShape] = {
    "lstm": CellShape(n_gates=4, n_vectors=4, n_parts=2, starts={1: 1.0}),
    "peephole": CellShape(n_gates=4, n_vectors=7, n_parts=2, starts={1: 1.0}),
    "coupled": CellShape(n_gates=3, n_vectors=3, n_parts=2, starts={0: -1.0}),
    "gru": CellShape(n_gates=3, n_vectors=4, n_parts=1),
    "rnn": CellShape(n_gates=1, n_vectors=1, n_parts=1),
}


@dataclass(frozen=True)
class Stack:
    """The shape of a recurrent network; it holds no weights.

    Attributes:
        cell: A name in ``SHAPES``.
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
        return self.places[-1][1]

    @cached_property
    def n_state(self) -> int:
        """Floats of state per row."""
        return self.n_layers * SHAPES[self.cell].n_parts * self.n_hidden

    @cached_property
    def n_keep(self) -> int:
        """Dropout factors per row."""
        return (2 * self.n_layers - 1) * self.n_hidden

    @cached_property
    def places(self) -> list[tuple[int, int]]:
        """Where each layer's kernel and vectors lie in the flat weights: kernel, vectors, kernel, vectors, ..."""
        n, shape = self.n_hidden, SHAPES[self.cell]
        n_rows = [self.n_inputs + n] + (self.n_layers - 1) * [2 * n]
        sizes = [size for rows in n_rows for size in (rows * shape.n_gates * n, shape.n_vectors * n)]
        return [(end - size, end) for size, end in zip(sizes, accumulate(sizes), strict=True)]

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
        for start, end in self.places[1::2]:
            weights[:, start:end] = 0
            for place, value in SHAPES[self.cell].starts.items():
                at = start + place * self.n_hidden
                weights[:, at : at + self.n_hidden] = value
        return weights
