"""The LSTM cell agrees with its published equations, with torch's own and with numerical gradients."""

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.core.records import F64
from pipeline.forecast.cells import lstm_sequence, lstm_step

N_FEATURES = 3
SIZES = pytest.mark.parametrize(
    ("n_groups", "n_rows", "n_steps", "n_hidden"), [(1, 1, 1, 2), (1, 4, 7, 5), (3, 1, 2, 4), (4, 3, 24, 6)]
)


def draws(n_groups: int, n_rows: int, n_steps: int, n_hidden: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return inputs (T, G, B, F), kernel (G, F + H, 4H) and bias (G, 4H), float64."""
    generator = torch.Generator().manual_seed(7)
    shapes = ((n_steps, n_groups, n_rows, N_FEATURES), (n_groups, N_FEATURES + n_hidden, 4 * n_hidden))
    x, kernel = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    bias = torch.randn((n_groups, 4 * n_hidden), generator=generator, dtype=torch.float64)
    return x, kernel.requires_grad_(), bias.requires_grad_()


def torch_lstm(kernel: Tensor, bias: Tensor) -> torch.nn.LSTM:
    """Return torch's LSTM with the weights of one group: ours lie as i, f, o, g, torch's as i, f, g, o."""
    n_hidden = len(bias) // 4
    i, f, o, g = torch.arange(4 * n_hidden).chunk(4)
    order = torch.cat((i, f, g, o))
    lstm = torch.nn.LSTM(N_FEATURES, n_hidden, dtype=torch.float64)
    weights = {
        "weight_ih_l0": kernel[:N_FEATURES].T[order],
        "weight_hh_l0": kernel[N_FEATURES:].T[order],
        "bias_ih_l0": bias[order],
        "bias_hh_l0": torch.zeros_like(bias),
    }
    lstm.load_state_dict(weights)
    return lstm


def sigmoid(a: F64) -> F64:
    return 1 / (1 + np.exp(-a))


def by_the_book(x: F64, kernel: F64, bias: F64) -> F64:
    """Transcribe the equations for one group and one row: x (T, F) to h of every step (T, H)."""
    n = len(bias) // 4
    h, c, hs = np.zeros(n), np.zeros(n), []
    for x_t in x:
        z = np.concatenate((x_t, h)) @ kernel + bias
        i, f, o = (sigmoid(z[k * n : (k + 1) * n]) for k in range(3))
        c = f * c + i * np.tanh(z[3 * n :])
        h = o * np.tanh(c)
        hs.append(h)
    return np.array(hs)


@SIZES
def test_the_sequence_and_its_gradients_equal_torchs_lstm(
    n_groups: int, n_rows: int, n_steps: int, n_hidden: int
) -> None:
    x, kernel, bias = draws(n_groups, n_rows, n_steps, n_hidden)
    hs = lstm_sequence(x, kernel, bias)
    pull = torch.randn(hs.shape, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    d_kernel, d_bias = torch.autograd.grad((hs * pull).sum(), (kernel, bias))
    for group in range(n_groups):
        theirs = torch_lstm(kernel[group].detach(), bias[group].detach())
        expected, _ = theirs(x[:, group])
        assert torch.allclose(hs[:, group], expected, rtol=0, atol=1e-6)
        (expected * pull[:, group]).sum().backward()
        twin = torch_lstm(d_kernel[group], d_bias[group])  # carries our gradients in torch's order
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
            gradient = getattr(theirs, name).grad
            assert torch.allclose(getattr(twin, name), gradient, rtol=1e-6, atol=1e-6), name


@SIZES
def test_the_sequence_equals_a_plain_transcription_of_the_equations(
    n_groups: int, n_rows: int, n_steps: int, n_hidden: int
) -> None:
    x, kernel, bias = draws(n_groups, n_rows, n_steps, n_hidden)
    hs = lstm_sequence(x, kernel, bias).detach().numpy()
    for group in range(n_groups):
        for row in range(n_rows):
            weights = kernel[group].detach().numpy(), bias[group].detach().numpy()
            assert np.allclose(hs[:, group, row], by_the_book(x[:, group, row].numpy(), *weights), rtol=0, atol=1e-12)


@SIZES
def test_stepping_equals_the_sequence(n_groups: int, n_rows: int, n_steps: int, n_hidden: int) -> None:
    x, kernel, bias = draws(n_groups, n_rows, n_steps, n_hidden)
    h = c = torch.zeros(n_groups, n_rows, n_hidden, dtype=torch.float64)
    with torch.no_grad():
        for x_t, expected in zip(x, lstm_sequence(x, kernel, bias), strict=True):
            h, c = lstm_step(torch.baddbmm(bias[:, None], torch.cat((x_t, h), dim=-1), kernel), c)
            assert torch.allclose(h, expected, rtol=0, atol=1e-12)


def test_the_backward_pass_agrees_with_numerical_gradients() -> None:
    x, kernel, bias = draws(n_groups=2, n_rows=2, n_steps=5, n_hidden=3)
    assert torch.autograd.gradcheck(lambda k, b: lstm_sequence(x, k, b), (kernel, bias))


def test_the_gradient_of_the_last_hidden_state_alone_reaches_the_first_step() -> None:
    x, kernel, bias = draws(n_groups=1, n_rows=1, n_steps=6, n_hidden=3)
    x[1:] = 0  # only the first step sees an input, so all of the input's gradient has come through time
    (d_kernel,) = torch.autograd.grad(lstm_sequence(x, kernel, bias)[-1].sum(), (kernel,))
    assert d_kernel[0, :N_FEATURES].abs().sum() > 1e-6


def test_no_group_feels_the_weights_of_another() -> None:
    x, kernel, bias = draws(n_groups=3, n_rows=2, n_steps=4, n_hidden=3)
    before = lstm_sequence(x, kernel, bias).detach().clone()
    with torch.no_grad():
        kernel[1] += 1
    after = lstm_sequence(x, kernel, bias).detach()
    assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])
    assert not torch.equal(after[:, 1], before[:, 1])
