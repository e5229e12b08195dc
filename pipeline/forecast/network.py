"""One network: a stack of recurrent cells and a linear head over it, as one flat vector of weights.

Hidden state in, outputs out; what they mean is the business of ``targets``. A flat vector makes a
bank of networks one array, and an optimiser step, a check or a copy one operation.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.core.forecast_settings import ForecastSettings
from pipeline.core.records import F32, F64
from pipeline.forecast.cells import Stack
from pipeline.forecast.features import N_FEATURES
from pipeline.forecast.targets import N_TARGETS

torch.set_num_threads(1)  # nets this small run many times slower on more

_START_WEIGHTS = (1.0, 0.8, 0.5, 0.0)  # damped persistence, per target
_START_LOG_SPREAD = -1.0


@dataclass(frozen=True, slots=True)
class Network:
    """Sizes and layout: the stack's weights, then the head from [h, x] to location and log-spread per target.

    Attributes:
        stack: The recurrent part.
    """

    stack: Stack

    @property
    def n_inputs(self) -> int:
        """Features F."""
        return self.stack.n_inputs

    @property
    def n_outputs(self) -> int:
        """Location and log-spread of each target."""
        return 2 * N_TARGETS

    @property
    def n_weights(self) -> int:
        """Length P of the flat vector."""
        return self.stack.n_weights + (self.stack.n_hidden + self.n_inputs + 1) * self.n_outputs

    @property
    def has_dropout(self) -> bool:
        """Units are dropped in training."""
        return max(self.stack.dropout, self.stack.recurrent_dropout) > 0

    def initial(self, draws: F64) -> F32:
        """Return fresh weights; the head starts as damped persistence, so that forecasts are sane at once.

        Args:
            draws: Uniform in [0, 1), shape (N, stack.n_weights).

        Returns:
            Shape (N, P).
        """
        weights = np.zeros((len(draws), self.n_weights), np.float32)
        weights[:, : self.stack.n_weights] = self.stack.initial(draws)
        head, bias = self._head(torch.from_numpy(weights))
        for target, weight in enumerate(_START_WEIGHTS):
            head[:, self.stack.n_hidden, 2 * target] = weight  # on the squashed value
        bias[:, 1::2] = _START_LOG_SPREAD
        return weights

    def _head(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Return views of the head's kernel (N, H + F, 2C) and bias (N, 2C)."""
        n = len(weights)
        kernel = weights[:, self.stack.n_weights : -self.n_outputs]
        return kernel.view(n, -1, self.n_outputs), weights[:, -self.n_outputs :]

    def outputs(self, weights: Tensor, h: Tensor, x: Tensor) -> Tensor:
        """Apply the head to (N, B, H) and (N, B, F); return (N, B, 2C)."""
        kernel, bias = self._head(weights)
        return torch.baddbmm(bias[:, None], torch.cat((h, x), dim=-1), kernel)

    def step(self, weights: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Advance (N, B, F) by one reading; return outputs (N, B, 2C) and the new state."""
        h, state = self.stack.step(weights[:, : self.stack.n_weights], x, state)
        return self.outputs(weights, h, x), state

    def sequence(self, weights: Tensor, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """Run (T, N, B, F) from a zero state; return outputs (N, T * B, 2C), differentiable in the weights."""
        hs = self.stack.sequence(weights[:, : self.stack.n_weights], x, keep=keep)[0]
        n = x.shape[1]
        return self.outputs(weights, hs.transpose(0, 1).reshape(n, -1, hs.shape[-1]), _by_network(x))


def _by_network(x: Tensor) -> Tensor:
    return x.transpose(0, 1).reshape(x.shape[1], -1, x.shape[-1])


def network_for(settings: ForecastSettings) -> Network:
    """Return the network that the settings describe."""
    return Network(
        Stack(
            cell=settings.cell,
            n_inputs=N_FEATURES + settings.n_context,
            n_hidden=settings.hidden,
            n_layers=settings.layers,
            dropout=settings.dropout,
            recurrent_dropout=settings.recurrent_dropout,
        )
    )
