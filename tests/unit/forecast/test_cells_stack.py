"""One flat vector per network: its layout, its first values, and the step that the stream lives on."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.forecast.by_torch.cells import CELLS
from pipeline.forecast.by_torch.stack import sequence, step
from pipeline.forecast.stack import Stack

every_stack = pytest.mark.parametrize(("cell", "n_layers"), list(itertools.product(CELLS, [1, 3])))


def draws(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(
    ("cell", "n_weights", "n_state"),
    [
        ("lstm", (3 + 5) * 20 + 20, 10),
        ("peephole", (3 + 5) * 20 + 35, 10),
        ("coupled", (3 + 5) * 15 + 15, 10),
        ("gru", (3 + 5) * 15 + 20, 5),
        ("rnn", (3 + 5) * 5 + 5, 5),
    ],
)
def test_a_layer_has_as_many_weights_and_floats_of_state_as_its_equations(
    cell: str, n_weights: int, n_state: int
) -> None:
    stack = Stack(cell, n_inputs=3, n_hidden=5)
    assert (stack.n_weights, stack.n_state) == (n_weights, n_state)
    taller = Stack(cell, n_inputs=3, n_hidden=5, n_layers=2)
    assert taller.n_weights == n_weights + Stack(cell, n_inputs=5, n_hidden=5).n_weights
    assert taller.n_state == 2 * n_state


def test_the_first_kernel_takes_the_draws_row_by_row() -> None:
    stack = Stack("lstm", n_inputs=2, n_hidden=4, n_layers=2)
    uniforms = np.random.default_rng(1).random((3, stack.n_weights))
    weights = stack.initial(uniforms)
    assert weights.dtype == np.float32
    assert np.allclose(weights[:, :96], (2 * uniforms[:, :96] - 1) / 2, rtol=0, atol=1e-7)
    assert np.abs(weights[:, 112 : 112 + 128]).max() <= 0.5


@pytest.mark.parametrize(
    ("cell", "vectors"),
    [
        ("lstm", [0, 1, 0, 0]),
        ("peephole", [0, 1, 0, 0, 0, 0, 0]),
        ("coupled", [-1, 0, 0]),
        ("gru", [0, 0, 0, 0]),
        ("rnn", [0]),
    ],
)
def test_biases_start_at_zero_but_for_a_forget_bias_of_one(cell: str, vectors: list[float]) -> None:
    stack = Stack(cell, n_inputs=2, n_hidden=3, n_layers=2)
    weights = stack.initial(np.full((1, stack.n_weights), 0.25))
    n_first = Stack(cell, n_inputs=2, n_hidden=3).n_weights
    for of_layer in (weights[0, :n_first], weights[0, n_first:]):
        assert of_layer[-3 * len(vectors) :].tolist() == np.repeat(vectors, 3).tolist()


@every_stack
def test_stepping_equals_the_sequence(cell: str, n_layers: int) -> None:
    stack = Stack(cell, n_inputs=3, n_hidden=4, n_layers=n_layers)
    weights, x, state = draws(2, stack.n_weights), draws(6, 2, 3, 3, seed=8), draws(2, 3, stack.n_state, seed=9)
    hs, last = sequence(stack, weights, x, state=state)
    for x_t, expected in zip(x, hs, strict=True):
        h, state = step(stack, weights, x_t, state)
        assert torch.allclose(h, expected, rtol=0, atol=1e-12)
    assert torch.allclose(state, last, rtol=0, atol=1e-12)


@every_stack
def test_a_sequence_cut_in_two_equals_the_whole(cell: str, n_layers: int) -> None:
    stack = Stack(cell, n_inputs=3, n_hidden=4, n_layers=n_layers)
    weights, x = draws(2, stack.n_weights), draws(7, 2, 3, 3, seed=8)
    hs, last = sequence(stack, weights, x)
    early, state = sequence(stack, weights, x[:3])
    late, state = sequence(stack, weights, x[3:], state=state)
    assert torch.allclose(torch.cat((early, late)), hs, rtol=0, atol=1e-12)
    assert torch.allclose(state, last, rtol=0, atol=1e-12)


@every_stack
def test_no_network_and_no_row_feels_another(cell: str, n_layers: int) -> None:
    stack = Stack(cell, n_inputs=3, n_hidden=4, n_layers=n_layers)
    weights, x = draws(3, stack.n_weights), draws(5, 3, 2, 3, seed=8)
    hs, _ = sequence(stack, weights, x)
    for n, b in itertools.product(range(3), range(2)):
        alone, _ = sequence(stack, weights[n : n + 1], x[:, n : n + 1, b : b + 1])
        assert torch.allclose(hs[:, n, b], alone[:, 0, 0], rtol=0, atol=1e-12)


@every_stack
def test_weights_may_be_a_slice_of_a_wider_array(cell: str, n_layers: int) -> None:
    stack = Stack(cell, n_inputs=3, n_hidden=4, n_layers=n_layers)
    wide = draws(4, stack.n_weights + 11)
    slim, x, state = wide[::2, 5:-6], draws(2, 3, 3, seed=8), draws(2, 3, stack.n_state, seed=9)
    assert torch.equal(step(stack, slim, x, state)[1], step(stack, slim.contiguous(), x, state)[1])
    of_wide, of_slim = sequence(stack, slim, x[None])[0], sequence(stack, slim.contiguous(), x[None])[0]
    assert torch.equal(of_wide, of_slim)


@every_stack
@pytest.mark.parametrize("size", [1e-30, 1e3, 1e15])
def test_hostile_inputs_leave_values_and_gradients_finite(cell: str, n_layers: int, size: float) -> None:
    stack = Stack(cell, n_inputs=3, n_hidden=4, n_layers=n_layers)
    weights = torch.from_numpy(stack.initial(np.random.default_rng(1).random((2, stack.n_weights)))).requires_grad_()
    x = (size * draws(6, 2, 3, 3).sign()).float()
    hs, state = sequence(stack, weights, x)
    (gradient,) = torch.autograd.grad(hs.sum() + state.sum(), weights)
    assert hs.isfinite().all()
    assert state.isfinite().all()
    assert gradient.isfinite().all()
    assert step(stack, weights, x[0], state)[1].isfinite().all()


def test_in_single_precision_the_lstm_is_as_good_as_torchs() -> None:
    stack = Stack("lstm", n_inputs=3, n_hidden=8)
    weights, x = draws(1, stack.n_weights), draws(50, 1, 4, 3, seed=8)
    exact, rough = sequence(stack, weights, x)[0], sequence(stack, weights.float(), x.float())[0]
    assert torch.allclose(rough.double(), exact, rtol=0, atol=3e-6)
