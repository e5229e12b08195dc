"""The LSTM, as one step and as a sequence with a hand-written backward pass.

The backward pass is written out because autograd over T steps costs several times the arithmetic
for networks this small. Shapes as in ``base``.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from pipeline.forecast.cells.base import Cell, Layer, without_missing


class Lstm(Cell):
    """Long short-term memory.

    Hochreiter & Schmidhuber, "Long short-term memory", 1997, with the forget gate of Gers,
    Schmidhuber & Cummins, "Learning to forget", 2000::

        i, f, o = sigmoid(W [x, h] + b)     g = tanh(W [x, h] + b)
        c' = f * c + i * g                  h' = o * tanh(c')

    Kernel columns and vectors: i, f, o, g.
    """

    n_gates: ClassVar[int] = 4
    n_vectors: ClassVar[int] = 4
    n_parts: ClassVar[int] = 2
    starts: ClassVar[Mapping[int, float]] = {1: 1.0}

    def step(self, layer: Layer, x_h: Tensor, state: Tensor) -> Tensor:
        """See ``Cell.step``; works in place, so without gradients."""
        n = layer.n_hidden
        gates = torch.baddbmm(layer.bias(4), x_h, layer.kernel)
        i, f, o, g = _squash(gates, out=gates).chunk(4, dim=-1)
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
        if is_there is not None:
            x = without_missing(x, is_there)
        hs, c = _Sequence.apply(x, layer.kernel, layer.bias(4), h, c, is_there, keep)  # type: ignore[no-untyped-call] # torch leaves apply untyped
        return hs, torch.cat((hs[-1], c), dim=-1)


class _Sequence(torch.autograd.Function):
    """Forward and backward pass of ``Lstm.sequence``.

    All that is kept lies as (N, T, B, ...), so that the weight gradient of all steps and rows is
    one matrix product per network, without a copy.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's own type
        x: Tensor,
        kernel: Tensor,
        bias: Tensor,
        h: Tensor,
        c: Tensor,
        is_there: Tensor | None,
        keep: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Run forward, keeping what backward needs; a missing step is one with i = o = 0 and f = 1."""
        (n_steps, n_nets, n_rows, n_inputs), n = x.shape, h.shape[-1]
        size = (n_nets, n_steps, n_rows)
        x_h = x.new_empty(*size, n_inputs + n)
        x_h[..., :n_inputs] = x.transpose(0, 1)
        gates, squashed, hs = x.new_empty(*size, 4 * n), x.new_empty(*size, n), x.new_empty(*size, n)
        cs = x.new_empty(n_nets, n_steps + 1, n_rows, n)
        cs[:, 0] = c
        missing = None if is_there is None else ~is_there.transpose(0, 1)[..., None]
        raw = x.new_empty(n_nets, n_rows, 4 * n)
        before, after = cs[:, :-1].unbind(1), cs[:, 1:].unbind(1)
        steps = zip(x_h.unbind(1), gates.unbind(1), before, after, squashed.unbind(1), hs.unbind(1), strict=True)
        for t, (x_h_t, gates_t, old_c, new_c, squashed_t, new_h) in enumerate(steps):
            x_h_t[..., n_inputs:] = h if keep is None else h * keep
            torch.baddbmm(bias, x_h_t, kernel, out=raw)
            i, f, o, g = _squash(raw, out=gates_t).chunk(4, dim=-1)
            if missing is not None:
                _shut(i, f, o, missing[:, t])
            torch.mul(f, old_c, out=new_c).addcmul_(i, g)
            _tanh(new_c, out=squashed_t)
            torch.mul(o, squashed_t, out=new_h)
            if missing is not None:
                torch.where(missing[:, t], h, new_h, out=new_h)
            h = new_h
        ctx.save_for_backward(x_h, kernel, gates, cs, squashed, missing, keep)
        return hs.transpose(0, 1), cs[:, -1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_hs: Tensor, dc: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401 - torch's own type
        """Backpropagate through time; the weight gradients are one matrix product at the end."""
        x_h, kernel, gates, cs, squashed, missing, keep = ctx.saved_tensors
        n = cs.shape[-1]
        n_inputs = x_h.shape[-1] - n
        d_gates = _slopes(gates, cs[:, :-1], squashed)  # becomes the gradient, step by step
        _, f, o, _ = gates.chunk(4, dim=-1)
        h_to_c = (1 - squashed * squashed).mul_(o).unbind(1)
        w_h = kernel[:, n_inputs:].transpose(1, 2)
        stays = None if missing is None else missing.to(d_hs.dtype)
        dh, dc = torch.zeros_like(dc), dc.clone()
        for t, (d_gates_t, f_t) in reversed(list(enumerate(zip(d_gates.unbind(1), f.unbind(1), strict=True)))):
            dh += d_hs[t]
            dc.addcmul_(dh, h_to_c[t])
            for gate, pull in zip(d_gates_t.chunk(4, dim=-1), (dc, dc, dh, dc), strict=True):
                gate.mul_(pull)
            dc *= f_t
            through = torch.bmm(d_gates_t, w_h)
            if keep is not None:
                through *= keep
            dh = through if stays is None else through.addcmul_(stays[:, t], dh)
        d_flat = d_gates.flatten(1, 2)
        d_kernel = torch.bmm(x_h.flatten(1, 2).transpose(1, 2), d_flat)
        d_x = None
        if ctx.needs_input_grad[0]:
            d_x = torch.bmm(d_flat, kernel[:, :n_inputs].transpose(1, 2)).view(*x_h.shape[:3], -1).transpose(0, 1)
        return d_x, d_kernel, d_flat.sum(dim=1, keepdim=True), dh, dc, None, None


def _tanh(a: Tensor, out: Tensor | None = None) -> Tensor:
    """Return ``2 sigmoid(2 a) - 1``, which is tanh: torch's vector sigmoid costs a tenth of its tanh."""
    return torch.mul(a, 2, out=out).sigmoid_().mul_(2).sub_(1)


def _squash(raw: Tensor, out: Tensor) -> Tensor:
    """Apply sigmoid to i, f, o and tanh to g; ``raw`` is overwritten, shape (..., 4H)."""
    n = raw.shape[-1] // 4
    raw[..., 3 * n :].mul_(2)
    torch.sigmoid(raw, out=out)
    out[..., 3 * n :].mul_(2).sub_(1)  # as in _tanh
    return out


def _shut(i: Tensor, f: Tensor, o: Tensor, missing: Tensor) -> None:
    """Close the gates where a step is missing, so that c goes on as it is and no gradient leaks."""
    i.masked_fill_(missing, 0)
    f.masked_fill_(missing, 1)
    o.masked_fill_(missing, 0)


def _slopes(gates: Tensor, old_c: Tensor, squashed: Tensor) -> Tensor:
    """Return d c' / d raw for i, f and g, and d h' / d raw for o, shape as ``gates``."""
    slopes = torch.addcmul(gates, gates, gates, value=-1)  # s (1 - s)
    i, _, _, g = gates.chunk(4, dim=-1)
    of_i, of_f, of_o, of_g = slopes.chunk(4, dim=-1)
    of_i.mul_(g)
    of_f.mul_(old_c)
    of_o.mul_(squashed)
    torch.addcmul(i, i * g, g, value=-1, out=of_g)  # i (1 - g^2)
    return slopes


def lstm_step(gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Apply the gates: pre-activations i, f, o, g, shape (..., 4H), overwritten, and c to new h and c."""
    i, f, o, g = _squash(gates, out=gates).chunk(4, dim=-1)
    new_c = torch.addcmul(f * c, i, g)
    return o * _tanh(new_c), new_c


def lstm_sequence(x: Tensor, kernel: Tensor, bias: Tensor) -> Tensor:
    """Run the cell over T steps from a zero state: x (T, N, B, I) to h of every step (T, N, B, H)."""
    layer = Layer(kernel, bias.view(len(bias), 4, -1))
    hs, _ = Lstm().sequence(layer, x, x.new_zeros(*x.shape[1:3], 2 * layer.n_hidden), None, None)
    return hs
