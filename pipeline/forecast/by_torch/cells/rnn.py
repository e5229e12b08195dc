"""The plain recurrent network: no gates, so its gradient vanishes over long times; the counter-example."""

import torch
from torch import Tensor

from pipeline.forecast.by_torch.cells.base import Cell, Layer


class Rnn(Cell):
    """Plain recurrent cell: ``h' = tanh(W [x, h] + b)`` (Elman, "Finding structure in time", 1990)."""

    def step(self, layer: Layer, x_h: Tensor, state: Tensor) -> Tensor:  # noqa: ARG002 - the gates see all of it
        """See ``Cell.step``."""
        return torch.tanh(torch.baddbmm(layer.bias(1), x_h, layer.kernel))
