"""Recurrent cells, batched over networks: tensors in, tensors out; knows no stream, no training, no clock."""

from collections.abc import Mapping

from pipeline.forecast.by_torch.cells.base import Cell
from pipeline.forecast.by_torch.cells.gru import Gru
from pipeline.forecast.by_torch.cells.lstm import Lstm
from pipeline.forecast.by_torch.cells.lstm_variants import CoupledLstm, PeepholeLstm
from pipeline.forecast.by_torch.cells.rnn import Rnn

#: By the names of ``stack.SHAPES``.
CELLS: Mapping[str, Cell] = {
    "lstm": Lstm(),
    "peephole": PeepholeLstm(),
    "coupled": CoupledLstm(),
    "gru": Gru(),
    "rnn": Rnn(),
}
