"""Every cell agrees with its published equations, and with torch's own where torch has it, forward and gradient."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pipeline.forecast.by_torch.cells import CELLS
from pipeline.forecast.by_torch.stack import keep_factors, sequence
from pipeline.forecast.stack import Stack

N_INPUTS = 3
every_cell = pytest.mark.parametrize("cell", CELLS)
every_size = pytest.mark.parametrize(
    ("n_networks", "n_rows", "n_steps", "n_hidden"), [(1, 1, 1, 2), (1, 4, 7, 5), (3, 1, 2, 4), (4, 3, 24, 6)]
)

#: From input, h, c, the matrices W (H, I) and U (H, H) per gate, and the vectors, to the next h and c.
Book = Callable[[Tensor, Tensor, Tensor, list[Tensor], list[Tensor], list[Tensor]], tuple[Tensor, Tensor]]


def draws(*shape: int, seed: int = 7) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def lstm_by_the_book(
    x: Tensor, h: Tensor, c: Tensor, w: list[Tensor], u: list[Tensor], v: list[Tensor]
) -> tuple[Tensor, Tensor]:
    i = torch.sigmoid(w[0] @ x + u[0] @ h + v[0])
    f = torch.sigmoid(w[1] @ x + u[1] @ h + v[1])
    o = torch.sigmoid(w[2] @ x + u[2] @ h + v[2])
    g = torch.tanh(w[3] @ x + u[3] @ h + v[3])
    c = f * c + i * g
    return o * torch.tanh(c), c


def peephole_by_the_book(
    x: Tensor, h: Tensor, c: Tensor, w: list[Tensor], u: list[Tensor], v: list[Tensor]
) -> tuple[Tensor, Tensor]:
    i = torch.sigmoid(w[0] @ x + u[0] @ h + v[0] + v[4] * c)
    f = torch.sigmoid(w[1] @ x + u[1] @ h + v[1] + v[5] * c)
    g = torch.tanh(w[3] @ x + u[3] @ h + v[3])
    c = f * c + i * g
    o = torch.sigmoid(w[2] @ x + u[2] @ h + v[2] + v[6] * c)
    return o * torch.tanh(c), c


def coupled_by_the_book(
    x: Tensor, h: Tensor, c: Tensor, w: list[Tensor], u: list[Tensor], v: list[Tensor]
) -> tuple[Tensor, Tensor]:
    i = torch.sigmoid(w[0] @ x + u[0] @ h + v[0])
    f = 1 - i
    o = torch.sigmoid(w[1] @ x + u[1] @ h + v[1])
    g = torch.tanh(w[2] @ x + u[2] @ h + v[2])
    c = f * c + i * g
    return o * torch.tanh(c), c


def gru_by_the_book(
    x: Tensor, h: Tensor, c: Tensor, w: list[Tensor], u: list[Tensor], v: list[Tensor]
) -> tuple[Tensor, Tensor]:
    r = torch.sigmoid(w[0] @ x + u[0] @ h + v[0])
    z = torch.sigmoid(w[1] @ x + u[1] @ h + v[1])
    n = torch.tanh(w[2] @ x + v[2] + r * (u[2] @ h + v[3]))
    return (1 - z) * n + z * h, c


def rnn_by_the_book(
    x: Tensor, h: Tensor, c: Tensor, w: list[Tensor], u: list[Tensor], v: list[Tensor]
) -> tuple[Tensor, Tensor]:
    return torch.tanh(w[0] @ x + u[0] @ h + v[0]), c


BOOKS: dict[str, tuple[int, Book]] = {
    "lstm": (4, lstm_by_the_book),
    "peephole": (4, peephole_by_the_book),
    "coupled": (3, coupled_by_the_book),
    "gru": (3, gru_by_the_book),
    "rnn": (1, rnn_by_the_book),
}


def by_the_book(cell: str, weights: Tensor, x: Tensor, n_hidden: int) -> Tensor:
    """Run one network's layer over one row, gate by gate: weights (P,) and x (T, I) to h of every step (T, H)."""
    n_gates, advance = BOOKS[cell]
    n_kernel = (x.shape[1] + n_hidden) * n_gates * n_hidden
    gates = weights[:n_kernel].view(-1, n_gates, n_hidden).permute(1, 2, 0).unbind()
    w, u = [gate[:, : x.shape[1]] for gate in gates], [gate[:, x.shape[1] :] for gate in gates]
    vectors = list(weights[n_kernel:].view(-1, n_hidden).unbind())
    h = c = torch.zeros(n_hidden, dtype=x.dtype)
    hs = []
    for x_t in x:
        h, c = advance(x_t, h, c, w, u, vectors)
        hs.append(h)
    return torch.stack(hs)


@every_cell
@every_size
def test_a_layer_and_its_gradients_equal_a_plain_loop_over_the_papers_equations(
    cell: str, n_networks: int, n_rows: int, n_steps: int, n_hidden: int
) -> None:
    stack = Stack(cell, N_INPUTS, n_hidden)
    weights = draws(n_networks, stack.n_weights).requires_grad_()
    x = draws(n_steps, n_networks, n_rows, N_INPUTS, seed=8)
    hs, _ = sequence(stack, weights, x)
    expected = torch.stack(
        [
            torch.stack([by_the_book(cell, weights[n], x[:, n, b], n_hidden) for b in range(n_rows)], dim=1)
            for n in range(n_networks)
        ],
        dim=1,
    )
    pull = draws(*hs.shape, seed=9)
    ours, theirs = (torch.autograd.grad((each * pull).sum(), weights)[0] for each in (hs, expected))
    assert torch.allclose(hs, expected, rtol=0, atol=1e-12)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-10)


#: Torch's module, the place among its gates of each of ours, the same for its recurrent bias; ours has one bias.
TORCHS = {
    "lstm": (torch.nn.LSTM, [0, 1, 3, 2]),  # torch: i, f, g, o
    "gru": (torch.nn.GRU, [0, 1, 2]),
    "rnn": (torch.nn.RNN, [0]),
}


def give_weights(theirs: torch.nn.RNNBase, cell: str, weights: Tensor) -> None:
    """Load one network's flat weights (P,) into torch's module."""
    n, order, end = theirs.hidden_size, TORCHS[cell][1], 0
    with torch.no_grad():
        for k in range(theirs.num_layers):
            n_in = n if k else theirs.input_size
            start, end = end, end + (n_in + n) * len(order) * n
            gates = weights[start:end].view(-1, len(order), n).permute(1, 2, 0).unbind()
            n_vectors = len(order) + (cell == "gru")
            vectors = weights[end : end + n_vectors * n].view(-1, n).unbind()
            end += n_vectors * n
            for ours, place in enumerate(order):
                at = slice(place * n, (place + 1) * n)
                getattr(theirs, f"weight_ih_l{k}")[at] = gates[ours][:, :n_in]
                getattr(theirs, f"weight_hh_l{k}")[at] = gates[ours][:, n_in:]
                getattr(theirs, f"bias_ih_l{k}")[at] = vectors[ours]
                getattr(theirs, f"bias_hh_l{k}")[at] = 0
            if cell == "gru":  # the one recurrent bias that does not add to the other
                getattr(theirs, f"bias_hh_l{k}")[2 * n :] = vectors[3]


@pytest.mark.parametrize("cell", TORCHS)
@pytest.mark.parametrize("n_layers", [1, 2])
def test_a_stack_and_its_gradients_equal_torchs(cell: str, n_layers: int) -> None:
    stack = Stack(cell, N_INPUTS, n_hidden=5, n_layers=n_layers)
    weights = draws(3, stack.n_weights).requires_grad_()
    x = draws(9, 3, 4, N_INPUTS, seed=8)
    pull = draws(9, 3, 4, 5, seed=9)
    hs, state = sequence(stack, weights, x)
    (gradient,) = torch.autograd.grad((hs * pull).sum(), weights)
    for network in range(3):
        theirs = TORCHS[cell][0](N_INPUTS, 5, n_layers, dtype=torch.float64)
        give_weights(theirs, cell, weights[network].detach())
        expected, last = theirs(x[:, network])
        assert torch.allclose(hs[:, network], expected, rtol=0, atol=1e-12)
        parts = last if cell == "lstm" else (last,)
        laid = torch.stack(parts).permute(2, 1, 0, 3).reshape(4, -1)  # rows, then layers, then h and c
        assert torch.allclose(state[network], laid, rtol=0, atol=1e-12)
        (expected * pull[:, network]).sum().backward()
        twin = TORCHS[cell][0](N_INPUTS, 5, n_layers, dtype=torch.float64)
        give_weights(twin, cell, gradient[network])  # carries our gradients in torch's order
        for name, parameter in theirs.named_parameters():
            if not name.startswith("bias_hh"):
                assert torch.allclose(twin.get_parameter(name), parameter.grad, rtol=0, atol=1e-10), name
        if cell == "gru":
            ours, grad = twin.bias_hh_l0[10:], theirs.bias_hh_l0.grad[10:]
            assert torch.allclose(ours, grad, rtol=0, atol=1e-10)


@every_cell
@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("extras", [(), ("missing",), ("dropout",), ("missing", "dropout")])
def test_gradients_of_weights_inputs_and_state_agree_with_numerical_ones(
    cell: str, n_layers: int, extras: tuple[str, ...]
) -> None:
    stack = Stack(cell, N_INPUTS, n_hidden=2, n_layers=n_layers, dropout=0.3, recurrent_dropout=0.3)
    weights, x = draws(2, stack.n_weights), draws(4, 2, 2, N_INPUTS, seed=8)
    state = draws(2, 2, stack.n_state, seed=9)
    is_there = draws(4, 2, 2, seed=10) > -0.5 if "missing" in extras else None
    keep = keep_factors(stack, torch.sigmoid(draws(2, 2, stack.n_keep, seed=11))) if "dropout" in extras else None

    def run(weights: Tensor, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        return sequence(stack, weights, x, is_there, keep, state)

    assert torch.autograd.gradcheck(run, [a.requires_grad_() for a in (weights, x, state)], fast_mode=True)


@every_cell
def test_the_gradient_of_the_last_hidden_state_alone_reaches_the_first_step(cell: str) -> None:
    stack = Stack(cell, N_INPUTS, n_hidden=3)
    x = draws(6, 1, 1, N_INPUTS).requires_grad_()
    (gradient,) = torch.autograd.grad(sequence(stack, draws(1, stack.n_weights), x)[0][-1].sum(), x)
    assert gradient[0].abs().sum() > 1e-6
