"""The gate: may new weights go live? And must those that did be taken back?

A challenger is held against the champion on windows it was not trained on: it must be finite, must
foretell about as well, and must still find faults that are put into those windows. A network that
has learnt to expect anything foretells nothing wrong; the seeded faults tell.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from pipeline.core.records import F32, I8, Bool
from pipeline.forecast.network import Network
from pipeline.forecast.targets import ACTIVITY
from pipeline.forecast.training import MAX_LOG_SPREAD, MIN_LOG_SPREAD, NU, Windows, forward, targets

# Of sound fine-tunes on public recordings one in a hundred is worse than this; stricter gates cost accuracy.
_MOST_WORSE = 0.5  # nats per target that a challenger may be worse on hold-out windows
_REGRESSION = 1.0  # nats per target by which weights in force are worse than those before, to be taken back
_FAULT = 4.0  # size of a seeded fault, spreads of the stream
_FOUND = 4.0  # residual, in foretold scales, at which a seeded fault counts as found
_WORST = 1e6  # nats, for a forecast that is no number
_FAR = 20.0  # squashed units; the hyperbolic sine of more overflows
_MOST_LOST = 0.25  # share of the seeded faults that a challenger may lose


class Outcome(IntEnum):
    """What became of a fine-tune; the lower-case name is the metric label."""

    ACCEPTED = 0
    NOT_FINITE = 1
    HOLD_OUT = 2
    FAULTS = 3


@dataclass(frozen=True, slots=True)
class Comparison:
    """How challengers do beside champions on the same windows, per group; shape (G,) each.

    Attributes:
        worse: Mean of how much worse the challenger foretold each target, nats; NaN where no target is known.
        lost: Share of the seeded faults that the champion would see and the challenger would not; NaN likewise.
    """

    worse: F32
    lost: F32


def compare(network: Network, champion: F32, challenger: F32, windows: Windows) -> Comparison:
    """Run both over the same windows, which neither should have been trained on.

    Args:
        network: Layout of the weights.
        champion: Weights, shape (G, E, P).
        challenger: Weights, shape (G, E, P).
        windows: ``is_known`` marks the targets that are judged.
    """
    y, counts = targets(windows)
    with np.errstate(all="ignore"):  # a network may foretell anything, and where nothing is known nothing is the mean
        fault = np.arcsinh(np.sinh(y.clip(-_FAR, _FAR)) + _FAULT)
        (loss, found), (new_loss, new_found) = (
            _examine(*forward(network, weights, windows), y, fault) for weights in (champion, challenger)
        )
        levels = counts * (np.arange(y.shape[-1]) != ACTIVITY)
        return Comparison(_mean(new_loss - loss, counts), _mean(found - new_found, levels))


def _mean(found: F32, counts: F32) -> F32:
    """Return the mean of each group over the targets that count, of all its members; NaN where there is none.

    Args:
        found: Shape (G, E, T, B, C).
        counts: 0 or 1, shape (G, 1, T, B, C).
    """
    n = counts.sum(axis=(1, 2, 3, 4)) * found.shape[1]
    mean: F32 = (found * counts).sum(axis=(1, 2, 3, 4)) / n
    return mean


def _examine(location: F32, log_spread: F32, y: F32, fault: F32) -> tuple[F32, F32]:
    """Return the loss of each target, and 1 where a fault seeded into it, and nothing without it, would be seen.

    Args:
        location: Foretold, shape (G, E, T, B, C).
        log_spread: Likewise.
        y: Targets, shape (G, 1, T, B, C).
        fault: Targets with a fault, likewise.

    Returns:
        Shape (G, E, T, B, C) each.
    """
    log_s = log_spread.clip(MIN_LOG_SPREAD, MAX_LOG_SPREAD)
    scale = np.exp(log_s)
    is_found = (np.abs(fault - location) > _FOUND * scale) & (np.abs(y - location) <= _FOUND * scale)
    z = (y - location) / scale
    loss = log_s + (NU + 1) / 2 * np.log1p(z * z / NU)  # Student-t, as in fine-tuning
    return np.nan_to_num(loss, nan=_WORST, posinf=_WORST, neginf=_WORST), is_found.astype(np.float32)


def is_finite(*arrays: F32) -> Bool:
    """Say which groups are all finite in all arrays, shape (G,)."""
    finite: Bool = np.logical_and.reduce([np.isfinite(a).all(axis=(1, 2)) for a in arrays])
    return finite


def verdict(found: Comparison, finite: Bool) -> I8:
    """Decide what becomes of challengers.

    Where nothing was held out yet (a young stream) only finiteness is asked for.

    Returns:
        ``Outcome`` per group, int8, shape (G,).

    Example:
        >>> worse = Comparison(np.ones(1, np.float32), np.zeros(1, np.float32))
        >>> Outcome(verdict(worse, np.ones(1, bool))[0]).name
        'HOLD_OUT'
    """
    tests = [~finite, found.worse > _MOST_WORSE, found.lost > _MOST_LOST]
    return np.select(tests, [Outcome.NOT_FINITE, Outcome.HOLD_OUT, Outcome.FAULTS], Outcome.ACCEPTED).astype(np.int8)


def is_regression(since: Comparison) -> Bool:
    """Say where weights in force, as challenger, do so much worse than those before that they must go, shape (G,)."""
    judged: Bool = since.worse > _REGRESSION
    return judged
