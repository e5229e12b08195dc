"""Fine-tuning: the loss, Adam, clipping, and that no network is touched by another's trouble; by torch and compiled."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.core.forecast_settings import ForecastSettings
from pipeline.forecast import compiled
from pipeline.forecast.by_torch.training import student_t_nll
from pipeline.forecast.features import N_FEATURES
from pipeline.forecast.network import Network, network_for
from pipeline.forecast.targets import N_TARGETS
from pipeline.forecast.training import N_SETTLING, Weights, Windows, fine_tune

N_HIDDEN, N_ROWS, N_STEPS = 4, 3, 12
NETWORK = network_for(ForecastSettings(hidden=N_HIDDEN))
N_KERNEL = (N_FEATURES + N_HIDDEN) * 4 * N_HIDDEN


def made_weights(n_groups: int = 3, n_members: int = 1) -> Weights:
    draws = np.random.default_rng(7).random((n_groups * n_members, NETWORK.stack.n_weights))
    weights = NETWORK.initial(draws).reshape(n_groups, n_members, -1)
    return Weights(weights, np.zeros_like(weights), np.zeros_like(weights), np.zeros(n_groups, np.int32))


def made_windows(n_groups: int = 3, seed: int = 1, size: float = 1.0) -> Windows:
    """Return windows of something learnable: targets are fixed functions of the inputs."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (n_groups, N_ROWS, N_STEPS, N_FEATURES)).astype(np.float32)
    y = np.stack([0.3 * x[..., 0] + 0.5 * x[..., k] + 0.2 for k in range(1, N_TARGETS + 1)], axis=-1)
    return Windows(x, (size * y).astype(np.float32), rng.random(y.shape) < 0.9)


@pytest.fixture(autouse=True, params=["torch", "compiled"])
def _teacher(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "torch":
        monkeypatch.setattr(compiled, "serves", lambda _: False)
    elif not compiled.serves(NETWORK):
        pytest.skip("the compiled helper was not built: no C compiler at the installation")


def tuned(before: Weights, minibatches: list[Windows]) -> Weights:
    return fine_tune(NETWORK, before, joined(minibatches), len(minibatches), 5e-3)


def joined(minibatches: list[Windows]) -> Windows:
    """Lay minibatches one after the other."""
    arrays = ([getattr(each, name) for each in minibatches] for name in ("x", "y", "is_known"))
    return Windows(*(np.concatenate(parts, axis=1) for parts in arrays))


def loss_of(flat: torch.Tensor, windows: Windows, group: int = 0) -> torch.Tensor:
    """Return the loss of one network by the equations of the LSTM and of Student's t, written out step by step."""
    x, y = torch.from_numpy(windows.x[group]), torch.from_numpy(windows.y[group])
    counts = torch.from_numpy(windows.is_known[group]).to(torch.float32)
    kernel = flat[:N_KERNEL].view(N_FEATURES + N_HIDDEN, 4 * N_HIDDEN)
    bias = flat[N_KERNEL : NETWORK.stack.n_weights]
    head = flat[NETWORK.stack.n_weights : -2 * N_TARGETS].view(N_HIDDEN + N_FEATURES, 2 * N_TARGETS)
    h = c = torch.zeros(N_ROWS, N_HIDDEN)
    total = torch.zeros(())
    for t in range(N_STEPS):
        i, f, o, g = (torch.cat((x[:, t], h), dim=1) @ kernel + bias).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        out = torch.cat((h, x[:, t]), dim=1) @ head + flat[-2 * N_TARGETS :]
        if t >= N_SETTLING:
            z = (y[:, t] - out[:, 0::2]) * (-out[:, 1::2]).exp()
            total = total + ((out[:, 1::2] + 2.5 * torch.log1p(z * z / 4)) * counts[:, t]).sum()
    return total / (N_STEPS * N_ROWS)


def gradient_of(flat: torch.Tensor, windows: Windows) -> torch.Tensor:
    (gradient,) = torch.autograd.grad(loss_of(flat, windows), flat)
    return gradient


def leaf(weights: Weights, group: int = 0) -> torch.Tensor:
    return torch.from_numpy(weights.weights[group, 0].copy()).requires_grad_()


def arrays(weights: Weights, group: int) -> list[bytes]:
    return [array[group].tobytes() for array in (weights.weights, weights.m, weights.v)]


def test_the_loss_is_the_student_t_likelihood_by_hand() -> None:
    y, location = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([0.0, 1.0, 0.5])
    log_s = torch.tensor([0.0, math.log(2), -1.0])
    expected = [2.5 * math.log(1 + 1 / 4), math.log(2) + 2.5 * math.log(1 + 1.5**2 / 4), -1.0]
    assert student_t_nll(location, log_s, y).tolist() == pytest.approx(expected, abs=1e-6)


def log_likelihood(y: torch.Tensor, location: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = torch.distributions.StudentT(4.0, location, scale).log_prob(y)  # type: ignore[no-untyped-call] # torch leaves it untyped
    return found


def test_the_loss_differs_from_torchs_student_t_by_a_constant_only() -> None:
    rng = np.random.default_rng(2)
    y, location, log_s = (torch.from_numpy(rng.normal(0, 1, 48)) for _ in range(3))
    ours = student_t_nll(location, log_s, y)
    at_its_peak = log_likelihood(torch.zeros(48), torch.zeros(48), torch.ones(48))
    theirs = at_its_peak - log_likelihood(y, location, log_s.exp())
    assert ours.tolist() == pytest.approx(theirs.tolist(), abs=1e-6)


def test_an_outlier_pulls_with_bounded_force() -> None:
    location = torch.zeros(2, requires_grad=True)
    loss = student_t_nll(location, torch.zeros(2), torch.tensor([2.0, 1e4])).sum()
    (pull,) = torch.autograd.grad(loss, (location,))
    near, far = pull.abs().tolist()
    assert far < near < 1.5


def test_a_network_cannot_become_infinitely_sure() -> None:
    log_s = torch.full((1,), -50.0, requires_grad=True)
    loss = student_t_nll(torch.zeros(1), log_s, torch.zeros(1))
    (pull,) = torch.autograd.grad(loss, (log_s,))
    assert loss.item() == -6
    assert pull.item() == 0


def test_fine_tuning_lowers_the_loss_of_every_network_on_a_fixed_minibatch() -> None:
    weights, windows = made_weights(), made_windows()
    losses = [[loss_of(leaf(weights, group), windows, group).item() for group in range(3)]]
    for _ in range(4):
        weights = tuned(weights, [windows] * 5)
        losses.append([loss_of(leaf(weights, group), windows, group).item() for group in range(3)])
    assert (np.diff(losses, axis=0) < 0).all()
    assert (np.array(losses[0]) - losses[-1] > 0.1).all()
    assert weights.n_steps.tolist() == [20, 20, 20]


def test_fine_tuning_changes_nothing_that_it_was_given() -> None:
    before, windows = made_weights(), made_windows()
    given = [before.weights, before.m, before.v, before.n_steps, windows.x, windows.y, windows.is_known]
    copies = [array.copy() for array in given]
    tuned(before, [windows] * 2)
    assert all(np.array_equal(a, b) for a, b in zip(given, copies, strict=True))


@pytest.mark.parametrize("n_members", [1, 2])
def test_a_network_trains_the_same_alone_as_among_others(n_members: int) -> None:
    windows, before = made_windows(), made_weights(n_members=n_members)
    together = tuned(before, [windows] * 3)
    only = Windows(windows.x[1:2], windows.y[1:2], windows.is_known[1:2])
    own = slice(1, 2)
    alone = tuned(Weights(before.weights[own], before.m[own], before.v[own], before.n_steps[own]), [only] * 3)
    assert np.allclose(together.weights[1], alone.weights[0], rtol=0, atol=1e-6)


def test_each_member_of_an_ensemble_trains_as_a_network_of_its_own() -> None:
    windows, before = made_windows(), made_weights(n_members=3)
    together = tuned(before, [windows] * 3)
    for member in range(3):
        own = slice(member, member + 1)
        part = Weights(before.weights[:, own], before.m[:, own], before.v[:, own], before.n_steps)
        assert np.allclose(together.weights[:, own], tuned(part, [windows] * 3).weights, rtol=0, atol=1e-6)


@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_poisoned_window_spoils_its_own_network_only(poison: float) -> None:
    before, good, bad = made_weights(), made_windows(seed=2), made_windows(seed=2)
    bad.x[1, 0, 5, 0] = poison
    found, expected = tuned(before, [good, bad, good]), tuned(before, [good, good, good])
    assert not np.isfinite(found.weights[1]).all()
    assert [arrays(found, group) == arrays(expected, group) for group in (0, 1, 2)] == [True, False, True]


def test_unknown_targets_teach_nothing() -> None:
    windows = made_windows()
    other = replace(windows, y=np.where(windows.is_known, windows.y, np.float32(7)))
    one, two = (tuned(made_weights(), [given]).weights for given in (windows, other))
    assert np.array_equal(one, two)


def test_the_first_steps_of_a_window_are_not_scored() -> None:
    windows, before = made_windows(), made_weights()
    early = np.zeros_like(windows.is_known)
    early[:, :, :N_SETTLING] = True
    assert np.array_equal(tuned(before, [replace(windows, is_known=early)]).weights, before.weights)


def test_a_step_is_the_step_of_torchs_adam_where_nothing_is_clipped() -> None:
    weights = made_weights(1)
    flat = leaf(weights)
    adam = torch.optim.Adam([flat], lr=5e-3, betas=(0.9, 0.99), eps=1e-8)
    for round_ in range(8):
        minibatch = made_windows(1, seed=round_)
        flat.grad = gradient_of(flat, minibatch)
        assert flat.grad.norm() < 5
        adam.step()
        weights = tuned(weights, [minibatch])
    assert np.allclose(weights.weights[0, 0], flat.detach().numpy(), rtol=0, atol=2e-5)


@pytest.mark.parametrize(("size", "is_clipped"), [(1.0, False), (40.0, True)])
def test_gradients_beyond_norm_5_are_shrunk_to_it_and_smaller_ones_are_not(
    size: float,
    is_clipped: bool,  # noqa: FBT001 - a case
) -> None:
    weights, windows = made_weights(1), made_windows(1, size=size)
    weights.weights[0, 0, -2 * N_TARGETS + 1 :: 2] = -4 if is_clipped else 0  # very sure, hence steep, where far off
    gradient = gradient_of(leaf(weights), windows)
    shrink = min(1.0, 5 / float(gradient.norm()))
    assert (shrink < 1) == is_clipped
    moment = tuned(weights, [windows]).m[0, 0]  # after one step: a tenth of what Adam was given
    assert np.allclose(moment, 0.1 * shrink * gradient.numpy(), rtol=1e-3, atol=1e-5)


def test_members_are_clipped_each_by_its_own_gradient() -> None:
    before, windows = made_weights(1, n_members=2), made_windows(1)
    before.weights[0, 1, -2 * N_TARGETS + 1 :: 2] = -4
    moments = tuned(before, [windows]).m[0]
    norms = 10 * np.linalg.norm(moments.astype(np.float64), axis=1)
    assert norms[0] < 4
    assert norms[1] == pytest.approx(5, rel=1e-3)


def test_the_first_step_moves_no_weight_by_more_than_the_learning_rate() -> None:
    before = made_weights()
    moved = np.abs(tuned(before, [made_windows(size=1e4)]).weights - before.weights)
    assert moved.max() <= 5e-3 * 1.001


def dropping(chance: float) -> Network:
    return network_for(ForecastSettings(hidden=N_HIDDEN, recurrent_dropout=chance))


def test_dropout_follows_its_draws_and_no_draws_are_no_dropout() -> None:
    network, windows, before = dropping(0.5), made_windows(), made_weights()
    draws = np.random.default_rng(1).random((1, 3, N_ROWS, network.stack.n_keep))
    plain = tuned(before, [windows]).weights
    np.testing.assert_allclose(fine_tune(network, before, windows, 1, 5e-3).weights, plain, atol=1e-5)
    dropped = fine_tune(network, before, windows, 1, 5e-3, draws).weights
    assert np.array_equal(fine_tune(network, before, windows, 1, 5e-3, draws).weights, dropped)
    assert np.abs(dropped - plain).max() > 1e-3
    assert np.array_equal(fine_tune(dropping(0.0), before, windows, 1, 5e-3, draws).weights, plain)
