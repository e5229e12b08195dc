"""The LSTM cell, batched over groups, as one step and as a sequence with a hand-written backward pass.

Hochreiter & Schmidhuber 1997 with the forget gate of Gers, Schmidhuber & Cummins 2000::

    i, f, o = sigmoid(W [x, h] + b)   g = tanh(W [x, h] + b)
    c' = f * c + i * g                h' = o * tanh(c')

Shapes: G groups (one set of weights each), B rows per group, T steps, F features, H hidden. The
gates lie side by side as i, f, o, g, so that one sigmoid covers three of them. The backward pass is
written out because autograd over T steps costs several times the arithmetic for nets this small.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def lstm_step(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Apply the gates.

    Args:
        gates: Pre-activations i, f, o, g, shape (..., 4H); overwritten.
        c: Cell state, shape (..., H).

    Returns:
        New h and c, shape (..., H) each.
    """
    n = c.shape[-1]
    sigmoids = gates[..., : 3 * n].sigmoid_()
    g = gates[..., 3 * n :].tanh_()
    new_c = torch.addcmul(sigmoids[..., n : 2 * n] * c, sigmoids[..., :n], g)
    return sigmoids[..., 2 * n :] * torch.tanh(new_c), new_c


class _LstmSequence(torch.autograd.Function):
    """Forward and backward pass of ``lstm_sequence``."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:  # noqa: ANN401 - torch's own type
        """Run forward, keeping what backward needs."""
        n_steps, n_groups, n_rows, n_features = x.shape
        n_hidden = bias.shape[1] // 4
        w_x, w_h = kernel[:, :n_features], kernel[:, n_features:]
        flat = x.transpose(0, 1).reshape(n_groups, n_steps * n_rows, n_features)
        gates = torch.baddbmm(bias[:, None], flat, w_x).view(n_groups, n_steps, n_rows, -1)
        gates = gates.transpose(0, 1).contiguous()  # (T, G, B, 4H)
        hs = x.new_zeros(n_steps + 1, n_groups, n_rows, n_hidden)
        cs = torch.zeros_like(hs)
        for t in range(n_steps):
            if t:
                gates[t].baddbmm_(hs[t], w_h)
            hs[t + 1], cs[t + 1] = lstm_step(gates[t], cs[t])
        ctx.save_for_backward(flat, w_h, gates, hs, cs)
        return hs[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor]:  # noqa: ANN401 - torch's own type
        """Backpropagate through time; the weight gradients are two matrix products at the end."""
        flat, w_h, gates, hs, cs = ctx.saved_tensors
        n = w_h.shape[1]
        d_gates = torch.empty_like(gates)
        dh = torch.zeros_like(hs[0])
        dc = torch.zeros_like(hs[0])
        w_h_t = w_h.transpose(1, 2)
        squashed = torch.tanh(cs[1:])
        slope = _activation_slopes(gates, n)
        for t in range(len(gates) - 1, -1, -1):
            i, f, o, g = gates[t].split(n, dim=-1)
            dh = dh + grad[t]
            d_o = dh * squashed[t]
            dc = dc + dh * o * (1 - squashed[t] * squashed[t])
            torch.cat((dc * g, dc * cs[t], d_o, dc * i), dim=-1, out=d_gates[t])
            d_gates[t].mul_(slope[t])
            dc = dc * f
            if t:
                dh = torch.bmm(d_gates[t], w_h_t)
        return None, *_weight_gradients(flat, hs, d_gates)


def lstm_sequence(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Run the cell over T steps from a zero state.

    Args:
        x: Inputs, shape (T, G, B, F); data, no gradient flows to them.
        kernel: From input and hidden state to the gates, shape (G, F + H, 4H).
        bias: Shape (G, 4H).

    Returns:
        h of every step, shape (T, G, B, H).
    """
    hs: Tensor = _LstmSequence.apply(x, kernel, bias)  # type: ignore[no-untyped-call] # torch leaves apply untyped
    return hs


def _activation_slopes(gates: Tensor, n: int) -> Tensor:
    """Return the derivatives of sigmoid and tanh from their values, shape as ``gates``."""
    slope = gates * (1 - gates)
    torch.mul(gates[..., 3 * n :], gates[..., 3 * n :], out=slope[..., 3 * n :])
    slope[..., 3 * n :].neg_().add_(1)
    return slope


def _weight_gradients(flat: Tensor, hs: Tensor, d_gates: Tensor) -> tuple[Tensor, Tensor]:
    """Sum the gradients of kernel and bias over steps and rows."""
    n_steps, n_groups, n_rows, width = d_gates.shape
    d_flat = d_gates.transpose(0, 1).reshape(n_groups, n_steps * n_rows, width)
    h_flat = hs[:-1].transpose(0, 1).reshape(n_groups, n_steps * n_rows, -1)
    d_kernel = torch.cat((torch.bmm(flat.transpose(1, 2), d_flat), torch.bmm(h_flat.transpose(1, 2), d_flat)), dim=1)
    return d_kernel, d_flat.sum(dim=1)
