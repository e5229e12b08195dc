"""Fine-tuning: the loss, Adam, clipping, and that no network is touched by another's trouble."""

import math

import numpy as np
import pytest
import torch

from pipeline.core.records import F32, I64
from pipeline.forecast.bank import Bank, empty_bank
from pipeline.forecast.cells import lstm_sequence
from pipeline.forecast.features import N_FEATURES
from pipeline.forecast.targets import N_TARGETS
from pipeline.forecast.training import N_SETTLING, Windows, fine_tune, student_t_loss

N_HIDDEN, N_ROWS, N_STEPS = 4, 3, 12
WEIGHTS = ("kernel", "bias", "head", "head_bias")
ALL = np.arange(3)


def made_bank(n_groups: int = 3) -> Bank:
    bank = empty_bank(n_groups, N_HIDDEN)
    bank.initialise(np.arange(n_groups), np.arange(1, n_groups + 1, dtype=np.uint64))
    return bank


def made_windows(n_groups: int = 3, seed: int = 1, size: float = 1.0) -> Windows:
    """Return windows of something learnable: targets are fixed functions of the inputs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (n_groups, N_ROWS, N_STEPS, N_FEATURES)).astype(np.float32)
    y = np.stack([0.3 * x[..., 0] + 0.5 * x[..., k] + 0.2 for k in range(1, N_TARGETS + 1)], axis=-1)
    return Windows(x, (size * y).astype(np.float32), rng.random(y.shape) < 0.9)


def loss_of(bank: Bank, windows: Windows, group: int) -> float:
    """Return the loss of one network, written out place by place."""
    x, y, is_known = windows.x[group], windows.y[group], windows.is_known[group]
    sequence = torch.from_numpy(x).permute(1, 0, 2)[:, None]
    weights = (torch.from_numpy(getattr(bank, name)[[group]]) for name in ("kernel", "bias"))
    hs = lstm_sequence(sequence, *weights)[:, 0].permute(1, 0, 2).numpy()
    out = np.concatenate((hs, x), axis=2) @ bank.head[group] + bank.head_bias[group]
    total = 0.0
    for row, t, target in zip(*np.nonzero(is_known), strict=True):
        if t >= N_SETTLING:
            mu, log_s = out[row, t, 2 * target], out[row, t, 2 * target + 1]
            z = (y[row, t, target] - mu) / math.exp(log_s)
            total += float(log_s) + 2.5 * math.log(1 + z * z / 4)
    return total / (N_STEPS * N_ROWS)


def rows_of(bank: Bank, group: int) -> dict[str, F32 | I64]:
    return {name: array[group].copy() for name, array in bank.arrays().items()}


def is_same(a: dict[str, F32 | I64], b: dict[str, F32 | I64], *, but: tuple[str, ...] = ()) -> bool:
    return all(np.array_equal(a[name], b[name], equal_nan=True) for name in a if name not in but)


def test_the_loss_is_the_student_t_likelihood_by_hand() -> None:
    y = torch.tensor([1.0, -2.0, 0.5, 3.0]).view(2, 1, 1, 2)
    location = torch.tensor([0.0, 1.0, 0.5, 9.0]).view(2, 1, 1, 2)
    log_s = torch.tensor([0.0, math.log(2), -1.0, 0.0]).view(2, 1, 1, 2)
    weight = torch.tensor([1.0, 1.0, 1.0, 0.0]).view(2, 1, 1, 2)
    expected = 2.5 * math.log(1 + 1 / 4) + (math.log(2) + 2.5 * math.log(1 + 1.5**2 / 4)) + -1.0
    assert student_t_loss(location, log_s, y, weight).item() == pytest.approx(expected / 2, abs=1e-6)  # T * B = 2


def log_likelihood(y: torch.Tensor, location: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = torch.distributions.StudentT(4.0, location, scale).log_prob(y)  # type: ignore[no-untyped-call] # torch leaves it untyped
    return found


def test_the_loss_differs_from_torchs_student_t_by_a_constant_only() -> None:
    rng = np.random.default_rng(2)
    y, location, log_s = (torch.from_numpy(rng.normal(0, 1, (6, 1, 4, 2))) for _ in range(3))
    ours = student_t_loss(location, log_s, y, torch.ones_like(y)) * 24  # summed over T * B * C = 48 places
    theirs = log_likelihood(y, location, log_s.exp()).sum()
    at_its_peak = log_likelihood(torch.zeros(48), torch.zeros(48), torch.ones(48)).sum()
    assert ours.item() == pytest.approx((at_its_peak - theirs).item(), abs=1e-4)


def test_an_outlier_pulls_with_bounded_force() -> None:
    location = torch.zeros(1, 1, 2, 1, requires_grad=True)
    y = torch.tensor([2.0, 1e4]).view(1, 1, 2, 1)
    loss = student_t_loss(location, torch.zeros_like(location), y, torch.ones_like(y))
    (pull,) = torch.autograd.grad(loss, (location,))
    near, far = pull.flatten().abs().tolist()
    assert far < near < 1.5


def test_a_network_cannot_become_infinitely_sure() -> None:
    log_s = torch.full((1, 1, 1, 1), -50.0, requires_grad=True)
    loss = student_t_loss(torch.zeros_like(log_s), log_s, torch.zeros_like(log_s), torch.ones_like(log_s))
    (pull,) = torch.autograd.grad(loss, (log_s,))
    assert loss.item() == -6
    assert pull.item() == 0


def test_fine_tuning_lowers_the_loss_of_every_network_on_a_fixed_minibatch() -> None:
    bank, windows = made_bank(), made_windows()
    losses = [[loss_of(bank, windows, group) for group in range(3)]]
    for _ in range(4):
        assert fine_tune(bank, ALL, [windows] * 5, 5e-3).all()
        losses.append([loss_of(bank, windows, group) for group in range(3)])
    assert (np.diff(losses, axis=0) < 0).all()
    assert (np.array(losses[0]) - losses[-1] > 0.1).all()
    assert bank.n_steps.tolist() == [20, 20, 20]
    assert bank.n_rounds.tolist() == [4, 4, 4]


def test_networks_that_are_not_named_stay_as_they_were_bit_for_bit() -> None:
    bank = made_bank(5)
    before = [rows_of(bank, group) for group in range(5)]
    fine_tune(bank, np.array([3, 1]), [made_windows(2)], 5e-3)
    assert [is_same(rows_of(bank, group), before[group]) for group in range(5)] == [True, False, True, False, True]


def test_a_network_trains_the_same_alone_as_among_others() -> None:
    windows = made_windows()
    together, alone = made_bank(), made_bank()
    fine_tune(together, ALL, [windows] * 3, 5e-3)
    only = Windows(windows.x[1:2], windows.y[1:2], windows.is_known[1:2])
    fine_tune(alone, np.array([1]), [only] * 3, 5e-3)
    for name in WEIGHTS:
        assert np.allclose(getattr(together, name)[1], getattr(alone, name)[1], rtol=0, atol=1e-6), name


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_poisoned_window_is_refused_and_the_other_networks_train_on(poison: float) -> None:
    bank, clean = made_bank(), made_bank()
    fine_tune(bank, ALL, [made_windows()], 5e-3)  # so that there are moments to keep
    fine_tune(clean, ALL, [made_windows()], 5e-3)
    before = rows_of(bank, 1)
    bad, good = made_windows(seed=2), made_windows(seed=2)
    bad.x[1, 0, 5, 0] = poison
    assert fine_tune(bank, ALL, [good, bad, good], 5e-3).tolist() == [True, False, True]
    assert fine_tune(clean, ALL, [good, good, good], 5e-3).all()
    assert is_same(rows_of(bank, 1), before, but=("n_rounds",))
    assert bank.n_rounds[1] == 2, "a refused round must draw other windows next time"
    for group in (0, 2):
        assert is_same(rows_of(bank, group), rows_of(clean, group))


def test_unknown_targets_teach_nothing() -> None:
    windows = made_windows()
    other = Windows(windows.x, np.where(windows.is_known, windows.y, np.float32(7)), windows.is_known)
    banks = made_bank(), made_bank()
    for bank, given in zip(banks, (windows, other), strict=True):
        fine_tune(bank, ALL, [given], 5e-3)
    assert np.array_equal(banks[0].head, banks[1].head)


def test_the_first_steps_of_a_window_are_not_scored() -> None:
    windows, bank = made_windows(), made_bank()
    early = np.zeros_like(windows.is_known)
    early[:, :, :N_SETTLING] = True
    before = bank.head.copy()
    fine_tune(bank, ALL, [Windows(windows.x, windows.y, early)], 5e-3)
    assert np.array_equal(bank.head, before)


def reference_gradients(bank: Bank, windows: Windows) -> list[torch.Tensor]:
    """Return the gradients of the first network's loss by autograd through torch's own LSTM equations."""
    tensors = [torch.from_numpy(getattr(bank, name)[0].copy()).requires_grad_() for name in WEIGHTS]
    loss = _autograd_loss(tensors, windows)
    return list(torch.autograd.grad(loss, tensors))


def _autograd_loss(tensors: list[torch.Tensor], windows: Windows) -> torch.Tensor:
    kernel, bias, head, head_bias = tensors
    x, y = torch.from_numpy(windows.x[0]), torch.from_numpy(windows.y[0])
    weight = torch.from_numpy(windows.is_known[0]).to(torch.float32)
    h = c = torch.zeros(N_ROWS, N_HIDDEN)
    total = torch.zeros(())
    for t in range(N_STEPS):
        gates = torch.cat((x[:, t], h), dim=1) @ kernel + bias
        i, f, o, g = gates.chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        out = torch.cat((h, x[:, t]), dim=1) @ head + head_bias
        if t >= N_SETTLING:
            z = (y[:, t] - out[:, 0::2]) * (-out[:, 1::2]).exp()
            total = total + ((out[:, 1::2] + 2.5 * torch.log1p(z * z / 4)) * weight[:, t]).sum()
    return total / (N_STEPS * N_ROWS)


def norm(gradients: list[torch.Tensor]) -> float:
    return math.sqrt(sum(float(g.square().sum()) for g in gradients))


def test_a_step_is_the_step_of_torchs_adam_where_nothing_is_clipped() -> None:
    bank = made_bank(1)
    tensors = [torch.from_numpy(getattr(bank, name)[0].copy()).requires_grad_() for name in WEIGHTS]
    adam = torch.optim.Adam(tensors, lr=5e-3, betas=(0.9, 0.99), eps=1e-8)
    for round_ in range(8):
        minibatch = made_windows(1, seed=round_)
        gradients = torch.autograd.grad(_autograd_loss(tensors, minibatch), tensors)
        assert norm(list(gradients)) < 5
        for tensor, gradient in zip(tensors, gradients, strict=True):
            tensor.grad = gradient
        adam.step()
        fine_tune(bank, np.array([0]), [minibatch], 5e-3)
    for name, tensor in zip(WEIGHTS, tensors, strict=True):
        assert np.allclose(getattr(bank, name)[0], tensor.detach().numpy(), rtol=0, atol=2e-5), name


def test_gradients_beyond_norm_5_are_shrunk_to_it_and_smaller_ones_are_not() -> None:
    for size, is_clipped in ((1.0, False), (40.0, True)):
        bank, windows = made_bank(1), made_windows(1, size=size)
        bank.head_bias[0, 1::2] = -4 if is_clipped else 0  # very sure, hence steep, where the targets are far
        gradients = reference_gradients(bank, windows)
        shrink = min(1.0, 5 / norm(gradients))
        assert (shrink < 1) == is_clipped
        fine_tune(bank, np.array([0]), [windows], 5e-3)
        for name, gradient in zip(WEIGHTS, gradients, strict=True):
            moment = getattr(bank, f"m_{name}")[0]  # after one step: a tenth of what Adam was given
            assert np.allclose(moment, 0.1 * shrink * gradient.numpy(), rtol=1e-3, atol=1e-5), name


def test_the_first_step_moves_no_weight_by_more_than_the_learning_rate() -> None:
    bank = made_bank()
    before = rows_of(bank, 0)
    fine_tune(bank, ALL, [made_windows(size=1e4)], 5e-3)
    for name in WEIGHTS:
        assert np.abs(getattr(bank, name)[0] - before[name]).max() <= 5e-3 * 1.001, name
