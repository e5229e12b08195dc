"""A missing reading leaves no trace, a short sequence needs no padding, and dropout is one mask per sequence."""

import itertools

import pytest
import torch
from torch import Tensor

from pipeline.forecast.by_torch.cells import CELLS
from pipeline.forecast.by_torch.stack import keep_factors, sequence
from pipeline.forecast.stack import SHAPES, Stack

T, N, B, F, H = 12, 2, 3, 3, 4  # steps, networks, rows, inputs, hidden units
every_stack = pytest.mark.parametrize(("cell", "n_layers"), list(itertools.product(CELLS, [1, 2])))


def draws(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@every_stack
def test_a_sequence_with_missing_steps_equals_the_sequence_without_them(cell: str, n_layers: int) -> None:
    stack = Stack(cell, F, H, n_layers)
    weights, first = draws(N, stack.n_weights).requires_grad_(), draws(N, B, stack.n_state, seed=8)
    is_there = draws(T, N, B, seed=9) > -0.4
    x = draws(T, N, B, F, seed=10).masked_fill(~is_there[..., None], torch.nan)
    pull = draws(T, N, B, H, seed=11) * is_there[..., None]
    hs, state = sequence(stack, weights, x, is_there, state=first)
    (gradient,) = torch.autograd.grad((hs * pull).sum() + state.sum(), weights)
    expected = torch.zeros_like(gradient)
    for n, b in itertools.product(range(N), range(B)):
        kept = is_there[:, n, b]
        short, last = sequence(
            stack, weights[n : n + 1], x[kept, n, b][:, None, None], state=first[n : n + 1, b : b + 1]
        )
        assert torch.allclose(hs[kept, n, b], short[:, 0, 0], rtol=0, atol=1e-12)
        assert torch.allclose(state[n, b], last[0, 0], rtol=0, atol=1e-12)
        expected += torch.autograd.grad((short[:, 0, 0] * pull[kept, n, b]).sum() + last.sum(), weights)[0]
    assert torch.allclose(gradient, expected, rtol=0, atol=1e-10)


@every_stack
def test_the_output_repeats_exactly_where_a_step_is_missing(cell: str, n_layers: int) -> None:
    stack = Stack(cell, F, H, n_layers)
    is_there = torch.ones(T, N, B, dtype=torch.bool)
    is_there[5:8, 0, 1] = False
    hs, _ = sequence(stack, draws(N, stack.n_weights), draws(T, N, B, F, seed=8), is_there)
    assert torch.equal(hs[5:8, 0, 1], hs[4, 0, 1].expand(3, -1))
    assert not torch.equal(hs[5, 1, 1], hs[4, 1, 1])


@every_stack
def test_rows_of_different_lengths_end_as_if_each_had_been_alone(cell: str, n_layers: int) -> None:
    stack = Stack(cell, F, H, n_layers)
    weights, x, lengths = draws(N, stack.n_weights), draws(T, N, B, F, seed=8), [T, 5, 1]
    at = torch.arange(T)[:, None, None]
    for is_there, start in ((at < torch.tensor(lengths), 0), (at >= T - torch.tensor(lengths), T)):
        _, state = sequence(stack, weights, x, is_there.expand(T, N, B))
        for b, length in enumerate(lengths):
            own = x[:length, :, b : b + 1] if start == 0 else x[T - length :, :, b : b + 1]
            assert torch.allclose(state[:, b], sequence(stack, weights, own)[1][:, 0], rtol=0, atol=1e-12)


@every_stack
def test_a_row_with_nothing_there_keeps_its_state_and_teaches_nothing(cell: str, n_layers: int) -> None:
    stack = Stack(cell, F, H, n_layers)
    weights, first = draws(N, stack.n_weights).requires_grad_(), draws(N, B, stack.n_state, seed=8)
    nothing = torch.zeros(T, N, B, dtype=torch.bool)
    hs, state = sequence(stack, weights, torch.full((T, N, B, F), torch.nan, dtype=torch.float64), nothing, state=first)
    assert torch.equal(state, first)
    (gradient,) = torch.autograd.grad((hs * draws(T, N, B, H, seed=9)).sum(), weights)
    assert not gradient.any()


def input_rows(stack: Stack, k: int) -> tuple[slice, int]:
    """Return where layer ``k``'s kernel lies in the flat weights, and how many of its rows are inputs."""
    sizes = [Stack(stack.cell, n_in, H).n_weights for n_in in (stack.n_inputs, *[H] * (stack.n_layers - 1))]
    n_in = H if k else stack.n_inputs
    n_kernel = (n_in + H) * SHAPES[stack.cell].n_gates * H
    return slice(sum(sizes[:k]), sum(sizes[:k]) + n_kernel), n_in


@every_stack
def test_dropout_equals_a_network_whose_dropped_rows_are_scaled_for_the_whole_sequence(
    cell: str, n_layers: int
) -> None:
    stack = Stack(cell, F, H, n_layers, dropout=0.5, recurrent_dropout=0.25)
    weights, x = draws(N, stack.n_weights), draws(T, N, 1, F, seed=8)
    keep = keep_factors(
        stack, torch.rand(N, 1, stack.n_keep, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    )
    factors = keep[:, 0].view(N, -1, H).unbind(1)  # recurrent way of each layer, then the way up to all but the first
    thinned = weights.clone()
    for k in range(n_layers):
        at, n_in = input_rows(stack, k)
        kernel = thinned[:, at].view(N, n_in + H, -1)
        kernel[:, n_in:] *= factors[k][..., None]
        if k:
            kernel[:, :n_in] *= factors[n_layers + k - 1][..., None]
    hs, state = sequence(stack, weights, x, keep=keep)
    expected, last = sequence(stack, thinned, x)
    assert not torch.allclose(hs, sequence(stack, weights, x)[0], rtol=0, atol=1e-3)
    assert torch.allclose(hs, expected, rtol=0, atol=1e-12)
    assert torch.allclose(state, last, rtol=0, atol=1e-12)


def test_dropout_factors_are_a_function_of_the_draws_with_mean_one() -> None:
    stack = Stack("lstm", F, H, n_layers=2, dropout=0.5, recurrent_dropout=0.2)
    uniforms = torch.rand(4, 500, stack.n_keep, generator=torch.Generator().manual_seed(1))
    keep = keep_factors(stack, uniforms)
    assert torch.equal(keep, keep_factors(stack, uniforms))
    assert set(keep[..., : 2 * H].flatten().tolist()) == {0.0, 1.25}
    assert set(keep[..., 2 * H :].flatten().tolist()) == {0.0, 2.0}
    assert torch.allclose(keep.mean(dim=(0, 1)), torch.ones(stack.n_keep), atol=0.1)


def test_without_dropout_every_unit_is_kept() -> None:
    stack = Stack("gru", F, H, n_layers=2)
    assert torch.equal(keep_factors(stack, torch.zeros(N, B, stack.n_keep)), torch.ones(N, B, stack.n_keep))
