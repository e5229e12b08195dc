"""The gated recurrent unit: one gate that forgets and one that resets, no separate cell state."""

import torch
from torch import Tensor

from pipeline.forecast.by_torch.cells.base import Cell, Layer


class Gru(Cell):
    """Gated recurrent unit.

    Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
    translation", 2014, with the reset gate after the product, as in torch and cuDNN::

        r = sigmoid(W_r [x, h] + b_r)     z = sigmoid(W_z [x, h] + b_z)
        n = tanh(W_n x + b_n + r * (U_n h + b_h))
        h' = (1 - z) * n + z * h

    Kernel columns: r, z, n (rows of x hold W_n, rows of h hold U_n). Vectors: b_r, b_z, b_n, b_h.
    """

    def step(self, layer: Layer, x_h: Tensor, state: Tensor) -> Tensor:
        """See ``Cell.step``."""
        n, n_inputs, kernel, vectors = layer.n_hidden, layer.n_inputs, layer.kernel, layer.vectors
        r, z = torch.baddbmm(layer.bias(2), x_h, kernel[..., : 2 * n]).sigmoid().chunk(2, dim=-1)
        of_h = torch.baddbmm(vectors[:, 3:4], x_h[..., n_inputs:], kernel[:, n_inputs:, 2 * n :])
        of_x = torch.baddbmm(vectors[:, 2:3], x_h[..., :n_inputs], kernel[:, :n_inputs, 2 * n :])
        return torch.lerp(torch.tanh(torch.addcmul(of_x, r, of_h)), state, z)
