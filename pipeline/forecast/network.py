"""One network: a stack of recurrent cells and a linear head over it, as one flat vector of weights.

Hidden state in, outputs out; what they mean is the business of ``targets``. A flat vector makes a
bank of networks one array, and an optimiser step, a check or a copy one operation.
"""

from dataclasses import dataclass

import numpy as np

from pipeline.core.forecast_settings import ForecastSettings
from pipeline.core.records import F32, F64
from pipeline.forecast.features import N_FEATURES
from pipeline.forecast.stack import Stack
from pipeline.forecast.targets import N_TARGETS

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
        persistence = self.stack.n_weights + self.stack.n_hidden * self.n_outputs  # where the squashed value comes in
        for target, weight in enumerate(_START_WEIGHTS):
            weights[:, persistence + 2 * target] = weight
        weights[:, -self.n_outputs + 1 :: 2] = _START_LOG_SPREAD
        return weights


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
