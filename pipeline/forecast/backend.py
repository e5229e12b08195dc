"""Who computes networks: the compiled helper where it serves their layout, else torch. Arrays in, arrays out.

Shapes: G groups of E members, N = G * E networks of P weights; A streams; S sets of B windows of T readings, of which
network n sees set n // (N / S); F features, C targets.
"""

from typing import Protocol

from pipeline.core.records import F32, F64, I32
from pipeline.forecast import compiled
from pipeline.forecast.network import Network


class Backend(Protocol):
    """What ``compiled`` and ``by_torch`` both do, each with its own rounding.

    Attributes:
        N_AT_ONCE: Groups that are best fine-tuned with one call: more are no faster, and their windows take memory.
    """

    N_AT_ONCE: int

    def step(self, network: Network, weights: F32, group_of: I32, x: F32, state: F32) -> tuple[F32, F32]:
        """Advance streams by one reading.

        Args:
            network: Layout of the weights.
            weights: Shape (G, E, P).
            group_of: Group of each stream, shape (A,).
            x: Features, shape (A, F).
            state: Hidden state, shape (A, E, state).

        Returns:
            Outputs (location, log-spread per target), shape (A, E, 2C), and the new state.
        """

    def outputs(self, network: Network, weights: F32, x: F32) -> F32:
        """Run networks over windows from a zero state.

        Args:
            network: Layout of the weights.
            weights: Shape (N, P).
            x: Features, shape (S, B, T, F).

        Returns:
            Location and log-spread per target, shape (N, T, B, 2C).
        """

    def fine_tune(
        self,
        network: Network,
        start: tuple[F32, F32, F32],
        n_taken: I32,
        windows: tuple[F32, F32, F32],
        n_batches: int,
        rate: float,
        draws: F64 | None = None,
    ) -> tuple[F32, F32, F32]:
        """Take one optimiser step per minibatch; see ``training.fine_tune``.

        Args:
            network: Layout of the weights.
            start: Weights, first and second moment, shape (N, P) each; not changed.
            n_taken: Optimiser steps before, shape (N,).
            windows: Features (S, B, T, F), targets (S, B, T, C) and whether these count, 0 or 1, likewise.
            n_batches: Minibatches that B windows are, in order.
            rate: Adam's step size.
            draws: For dropout, shape (minibatches, N, B / minibatches, stack.n_keep); None for no dropout.

        Returns:
            New weights, first and second moment.
        """


def backend_for(network: Network) -> Backend:
    """Return who computes networks of this layout; torch is loaded where it is needed, and not before."""
    if compiled.serves(network):
        return compiled
    from pipeline.forecast import by_torch

    return by_torch
