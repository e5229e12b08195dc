"""Variants of the LSTM: gates that see the cell state, and one gate that both writes and forgets."""

import torch
from torch import Tensor

from pipeline.forecast.by_torch.cells.base import Cell, Layer


class PeepholeLstm(Cell):
    """LSTM whose gates see the cell state.

    Gers & Schmidhuber, "Recurrent nets that time and count", 2000: i and f see the old cell state,
    o the new one, each unit its own::

        i = sigmoid(W_i [x, h] + p_i * c + b_i)     f = sigmoid(W_f [x, h] + p_f * c + b_f)
        g = tanh(W_g [x, h] + b_g)                  c' = f * c + i * g
        o = sigmoid(W_o [x, h] + p_o * c' + b_o)    h' = o * tanh(c')

    Kernel columns: i, f, o, g. Vectors: b_i, b_f, b_o, b_g, p_i, p_f, p_o.
    """

    def step(self, layer: Layer, x_h: Tensor, state: Tensor) -> Tensor:
        """See ``Cell.step``."""
        c = state[..., layer.n_hidden :]
        p_i, p_f, p_o = layer.vectors[:, 4:, None].unbind(dim=1)
        i, f, o, g = torch.baddbmm(layer.bias(4), x_h, layer.kernel).chunk(4, dim=-1)
        i, f = torch.sigmoid(i + p_i * c), torch.sigmoid(f + p_f * c)
        new_c = f * c + i * torch.tanh(g)
        return torch.cat((torch.sigmoid(o + p_o * new_c) * torch.tanh(new_c), new_c), dim=-1)


class CoupledLstm(Cell):
    """LSTM that forgets exactly as much as it writes.

    "Coupled input and forget gate" of Greff et al., "LSTM: a search space odyssey", 2017, here
    without peepholes::

        i, o = sigmoid(W [x, h] + b)     g = tanh(W [x, h] + b)
        c' = (1 - i) * c + i * g         h' = o * tanh(c')

    Kernel columns and vectors: i, o, g. The bias of i starts at -1, which is a forget bias of 1.
    """

    def step(self, layer: Layer, x_h: Tensor, state: Tensor) -> Tensor:
        """See ``Cell.step``."""
        c = state[..., layer.n_hidden :]
        i, o, g = torch.baddbmm(layer.bias(3), x_h, layer.kernel).chunk(3, dim=-1)
        new_c = torch.lerp(c, torch.tanh(g), torch.sigmoid(i))
        return torch.cat((torch.sigmoid(o) * torch.tanh(new_c), new_c), dim=-1)
