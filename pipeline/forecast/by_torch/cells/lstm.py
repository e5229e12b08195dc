"""The LSTM, as one step and as a sequence with a hand-written backward pass.

The backward pass is written out because autograd over T steps costs several times the arithmetic
for networks this small. Shapes as in ``base``.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pipeline.forecast.by_torch.cells.base import Cell, Layer, without_missing

Gates = tuple[Tensor, Tensor, Tensor, Tensor]


class Lstm(Cell):
    """Long short-term memory.

    Hochreiter & Schmidhuber, "Long short-term memory", 1997, with the forget gate of Gers,
    Schmidhuber & Cummins, "Learning to forget", 2000::

        i, f, o = sigmoid(W [x, h] + b)     g = tanh(W [x, h] + b)
        c' = f * c + i * g                  h' = o * tanh(c')

    Kernel columns and vectors: i, f, o, g.
    """

    def step(self, layer: Layer, x_h: Tensor, state: Tensor) -> Tensor:
        """See ``Cell.step``; works in place, so without gradients."""
        n = layer.n_hidden
        gates = torch.baddbmm(layer.bias(4), x_h, layer.kernel)
        i, f, o, g = _squash(gates)
        new = torch.empty_like(state)
        h, c = new.chunk(2, dim=-1)
        torch.mul(f, state[..., n:], out=c).addcmul_(i, g)
        torch.mul(o, _tanh(c), out=h)
        return new

    def sequence(
        self,
        layer: Layer,
        x: Tensor,
        state: Tensor,
        is_there: Tensor | None,
        keep: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """See ``Cell.sequence``."""
        h, c = state.chunk(2, dim=-1)
        missing = None
        if is_there is not None:
            x, missing = without_missing(x, is_there), ~is_there[..., None]
        hs, c = _Sequence.apply(x, layer.kernel, layer.bias(4), h, c, missing, keep)  # type: ignore[no-untyped-call] # torch leaves apply untyped
        return hs, torch.cat((hs[-1], c), dim=-1)


class _Sequence(torch.autograd.Function):
    """Forward and backward pass of ``Lstm.sequence``.

    The bias is one more row of the weights, whose input is always 1: so a step is one product
    forward and two backward, and nothing as large as the sequence is written but what is kept.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own type
        x: Tensor,
        kernel: Tensor,
        bias: Tensor,
        h: Tensor,
        c: Tensor,
        missing: Tensor | None,
        keep: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Run forward, keeping what backward needs; shapes (T, N, B, ...) throughout."""
        size, n_inputs, n = x.shape[:3], x.shape[-1], h.shape[-1]
        weights = torch.cat((kernel, bias), dim=1)
        weights[..., 3 * n :] *= 2  # as in _tanh
        x_h_1 = x.new_empty(*size, n_inputs + n + 1)
        x_h_1[..., :n_inputs], x_h_1[..., -1] = x, 1
        h_in = x_h_1[..., n_inputs:-1]
        gates, squashed, hs = x.new_empty(*size, 4 * n), x.new_empty(*size, n), x.new_empty(*size, n)
        cs = x.new_empty(len(x) + 1, *size[1:], n)
        cs[0] = c
        parts = (h_in, x_h_1, gates, *gates.chunk(4, dim=-1), cs[:-1], cs[1:], squashed, hs)
        steps = zip(*(a.unbind() for a in parts), strict=True)
        for t, (h_in_t, x_h_1_t, gates_t, i, f, o, g, old_c, new_c, squashed_t, new_h) in enumerate(steps):
            h_in_t.copy_(h if keep is None else h * keep)
            torch.bmm(x_h_1_t, weights, out=gates_t).sigmoid_()
            g.add_(g).sub_(1)
            if missing is not None:
                _shut(i, f, o, missing[t])
            torch.mul(f, old_c, out=new_c).addcmul_(i, g)
            torch.mul(o, _tanh(new_c, out=squashed_t), out=new_h)
            if missing is not None:
                torch.where(missing[t], h, new_h, out=new_h)
            h = new_h
        ctx.save_for_backward(x_h_1, kernel, gates, cs, squashed, missing, keep)
        return hs, cs[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_hs: Tensor, dc: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's own type
        """Backpropagate through time."""
        x_h_1, kernel, gates, cs, squashed, missing, keep = ctx.saved_tensors
        n = cs.shape[-1]
        w_x, w_h = kernel.transpose(1, 2).tensor_split([kernel.shape[1] - n], dim=-1)
        w_h = w_h.contiguous()  # a copy costs less than products with every step's transposed one
        d_x = x_h_1.new_empty(*x_h_1.shape[:3], w_x.shape[-1]) if ctx.needs_input_grad[0] else None
        d_weights = x_h_1.new_zeros(len(kernel), x_h_1.shape[-1], 4 * n)
        d_gates = torch.empty_like(gates[0])
        d_parts = d_gates.chunk(4, dim=-1)
        dh, dc = torch.zeros_like(dc), dc.clone()
        parts = (x_h_1.transpose(2, 3), *gates.chunk(4, dim=-1), cs[:-1], squashed, d_hs)
        steps = zip(*(a.unbind() for a in parts), strict=True)
        for t, (x_h_1_t, i, f, o, g, old_c, squashed_t, d_h) in reversed(list(enumerate(steps))):
            dh += d_h
            _through_gates((i, f, o, g), old_c, squashed_t, dh, dc, out=d_parts)
            d_weights.baddbmm_(x_h_1_t, d_gates)
            if d_x is not None:
                torch.bmm(d_gates, w_x, out=d_x[t])
            through_h = torch.bmm(d_gates, w_h)
            if keep is not None:
                through_h *= keep
            dh = through_h if missing is None else through_h.addcmul_(missing[t].to(dh.dtype), dh)
        return d_x, d_weights[:, :-1], d_weights[:, -1:], dh, dc, None, None


def _tanh(a: Tensor, out: Tensor | None = None) -> Tensor:
    """Return ``2 sigmoid(2 a) - 1``, which is tanh: torch's vector sigmoid costs a tenth of its tanh."""
    s = torch.add(a, a, out=out).sigmoid_()
    return s.add_(s).sub_(1)  # added to itself: a number as operand costs more than all the rest of a small tensor


def _squash(gates: Tensor) -> tuple[Tensor, ...]:
    """Apply sigmoid to i, f, o and tanh to g, in place, shape (..., 4H); return the four as views."""
    i, f, o, g = gates.chunk(4, dim=-1)
    g.add_(g)
    gates.sigmoid_()
    g.add_(g).sub_(1)  # as in _tanh
    return i, f, o, g


def _shut(i: Tensor, f: Tensor, o: Tensor, missing: Tensor) -> None:
    """Close the gates where a step is missing: c goes on as it is, and no gradient enters."""
    i.masked_fill_(missing, 0)
    f.masked_fill_(missing, 1)
    o.masked_fill_(missing, 0)


def _through_gates(
    gates: Gates, old_c: Tensor, squashed: Tensor, dh: Tensor, dc: Tensor, out: tuple[Tensor, ...]
) -> None:
    """Backpropagate one step; sigmoid' = s (1 - s), tanh' = 1 - g^2.

    Args:
        gates: i, f, o, g, shape (N, B, H) each.
        old_c: c before the step, shape (N, B, H).
        squashed: tanh of c after it, shape (N, B, H).
        dh: Gradient of h after the step, shape (N, B, H).
        dc: Gradient of c after the step, and on return of c before it, shape (N, B, H).
        out: Receive the gradients of what went into the gates' sigmoid and tanh, likewise.
    """
    i, f, o, g = gates
    d_i, d_f, d_o, d_g = out
    dh_o = dh * o
    part = dh_o * squashed
    torch.addcmul(part, part, o, value=-1, out=d_o)
    dc.add_(dh_o).addcmul_(part, squashed, value=-1)
    dc_i = dc * i
    part = dc_i * g
    torch.addcmul(part, part, i, value=-1, out=d_i)
    torch.addcmul(dc_i, part, g, value=-1, out=d_g)
    dc *= f
    part = dc * old_c
    torch.addcmul(part, part, f, value=-1, out=d_f)
