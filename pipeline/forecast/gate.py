"""The gate: may new weights go live? And must those that did be taken back?

A challenger is held against the champion on windows it was not trained on: it must be finite, must
foretell about as well, and must still find faults that are put into those windows. A network that
has learnt to expect anything foretells nothing wrong; the seeded faults tell.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import torch

from pipeline.core.records import F32, I8, Bool
from pipeline.forecast.network import Network
from pipeline.forecast.targets import ACTIVITY
from pipeline.forecast.training import MAX_LOG_SPREAD, MIN_LOG_SPREAD, Windows, forward, student_t_nll, targets

_MOST_WORSE = 0.25  # nats per target that a challenger may be worse on hold-out windows
_FAULT = 4.0  # size of a seeded fault, spreads of the stream
_FOUND = 4.0  # residual, in foretold scales, at which a seeded fault counts as found
_MOST_LOST = 0.25  # share of the seeded faults that a challenger may lose


class Outcome(IntEnum):
    """What became of a fine-tune; the lower-case name is the metric label."""

    ACCEPTED = 0
    NOT_FINITE = 1
    HOLD_OUT = 2
    FAULTS = 3


@dataclass(frozen=True, slots=True)
class Report:
    """How networks do on windows, per group; shape (G,) each.

    Attributes:
        loss: Mean negative log-likelihood per known target, nats; NaN where none is known.
        found: Share of seeded faults that would be seen; NaN likewise.
    """

    loss: F32
    found: F32


def examine(network: Network, weights: F32, windows: Windows) -> Report:
    """Run networks over hold-out windows.

    Args:
        network: Layout of the weights.
        weights: Shape (G, E, P).
        windows: ``is_known`` marks what is judged.
    """
    with torch.no_grad():
        location, log_spread = forward(network, torch.from_numpy(weights), windows)
        y, counts = targets(windows)
        n = counts.sum(dim=(1, 2, 3, 4))
        n_members = weights.shape[1]
        loss = (student_t_nll(location, log_spread, y) * counts).sum(dim=(1, 2, 3, 4)) / (n * n_members)
        levels, scale = [i for i in range(y.shape[-1]) if i != ACTIVITY], log_spread.clamp(MIN_LOG_SPREAD, MAX_LOG_SPREAD)
        faulty = torch.asinh(torch.sinh(y.clamp(-20, 20)) + _FAULT)
        is_found = ((faulty - location).abs() * torch.exp(-scale) > _FOUND).to(torch.float32)
        judged = counts[..., levels]
        found = (is_found[..., levels] * judged).sum(dim=(1, 2, 3, 4)) / (judged.sum(dim=(1, 2, 3, 4)) * n_members)
        return Report(loss.numpy(), found.numpy())


def is_finite(weights: F32) -> Bool:
    """Say which groups' weights are all finite, shape (G,)."""
    finite: Bool = np.isfinite(weights).all(axis=(1, 2))
    return finite


def verdict(champion: Report, challenger: Report, finite: Bool) -> I8:
    """Decide what becomes of challengers.

    Where nothing was held out yet (a young stream) only finiteness is asked for.

    Returns:
        ``Outcome`` per group, int8, shape (G,).

    Example:
        >>> good, bad = Report(np.zeros(1), np.ones(1)), Report(np.ones(1), np.ones(1))
        >>> Outcome(verdict(good, bad, np.ones(1, bool))[0]).name
        'HOLD_OUT'
    """
    is_worse = ~(challenger.loss <= champion.loss + _MOST_WORSE) & ~np.isnan(champion.loss)
    is_blind = ~(challenger.found >= champion.found - _MOST_LOST) & ~np.isnan(champion.found)
    decided = np.select([~finite, is_worse, is_blind], [Outcome.NOT_FINITE, Outcome.HOLD_OUT, Outcome.FAULTS], 0)
    return decided.astype(np.int8)


def is_regression(live: Report, previous: Report) -> Bool:
    """Say where weights in force do worse, on readings neither had seen, than those before them, shape (G,)."""
    with np.errstate(invalid="ignore"):
        return ~(live.loss <= previous.loss + 2 * _MOST_WORSE) & ~np.isnan(previous.loss)
