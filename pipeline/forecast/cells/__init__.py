"""Recurrent cells, batched over networks: tensors in, tensors out; knows no stream, no training, no clock."""

from pipeline.forecast.cells.stack import CELLS, Stack

__all__ = ["CELLS", "Stack"]
