"""The compiled helper beside torch: the same numbers, at every width of vectors and every shape."""

import numpy as np
import pytest

from pipeline.core.forecast_settings import ForecastSettings
from pipeline.core.records import F32
from pipeline.forecast import compiled
from pipeline.forecast.bank import empty_bank, step
from pipeline.forecast.network import Network, network_for
from pipeline.forecast.training import Weights, Windows, fine_tune, forward

LEVELS = [0, 3, 4]
pytestmark = pytest.mark.skipif(
    not compiled.serves(network_for(ForecastSettings())), reason="the compiled helper was not built: no C compiler"
)


@pytest.fixture(params=LEVELS)
def _level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    best = compiled.level()
    if request.param > best:
        pytest.skip(f"this processor has no such instructions: level {best}")
    monkeypatch.setattr(compiled, "level", lambda: request.param)


def made(
    network: Network, n_groups: int, n_members: int, n_rows: int, length: int, seed: int
) -> tuple[Weights, Windows]:
    """Return networks in the midst of training, and windows for them."""
    rng = np.random.default_rng(seed)
    weights = network.initial(rng.random((n_groups * n_members, network.stack.n_weights)))
    weights += rng.normal(0, 0.2, weights.shape).astype(np.float32)
    weights = weights.reshape(n_groups, n_members, -1)
    m = rng.normal(0, 0.01, weights.shape).astype(np.float32)
    before = Weights(weights, m, m * m, rng.integers(0, 99, n_groups).astype(np.int32))
    x = rng.normal(0, 1.5, (n_groups, n_rows, length, network.n_inputs)).astype(np.float32)
    y = rng.standard_t(2, (n_groups, n_rows, length, 4)).astype(np.float32)
    return before, Windows(x, y, rng.random(y.shape) < 0.8)


def by_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "serves", lambda _: False)


@pytest.mark.usefixtures("_level")
@pytest.mark.parametrize(
    ("hidden", "n_context", "n_groups", "n_members", "n_rows", "length"),
    [(24, 0, 2, 2, 16, 48), (5, 3, 1, 1, 1, 16), (33, 1, 1, 3, 17, 20), (2, 0, 3, 1, 7, 6), (8, 0, 1, 2, 40, 9)],
)
def test_it_learns_and_foretells_what_torch_does(
    monkeypatch: pytest.MonkeyPatch,
    hidden: int,
    n_context: int,
    n_groups: int,
    n_members: int,
    n_rows: int,
    length: int,
) -> None:
    inputs = [{"stream": "*", "inputs": [f"c{i}" for i in range(n_context)]}] if n_context else []
    network = network_for(ForecastSettings.model_validate({"hidden": hidden, "context": inputs}))
    before, windows = made(network, n_groups, n_members, 3 * n_rows, length, hidden)
    ours, foretold = (
        fine_tune(network, before, windows, 3, 5e-3),
        forward(network, before.weights, windows),
    )
    by_torch(monkeypatch)
    theirs = fine_tune(network, before, windows, 3, 5e-3)
    for one, other in zip(foretold, forward(network, before.weights, windows), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)
    for name in ("m", "v", "weights"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), atol=2e-5, err_msg=name)
    assert np.array_equal(ours.n_steps, theirs.n_steps)
    assert np.abs(ours.weights - before.weights).max() > 1e-3


@pytest.mark.usefixtures("_level")
@pytest.mark.parametrize("size", [1e2, 1e5, 1e20])
def test_gates_at_their_ends_are_as_torch_has_them(monkeypatch: pytest.MonkeyPatch, size: float) -> None:
    network = network_for(ForecastSettings(hidden=6))
    before, windows = made(network, 1, 1, 8, 12, 3)
    far = Windows(windows.x * np.float32(size), windows.y, windows.is_known)
    ours = forward(network, before.weights, far)
    by_torch(monkeypatch)
    for one, other in zip(ours, forward(network, before.weights, far), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6 * float(np.abs(other).max()))  # sums cancel


@pytest.mark.usefixtures("_level")
@pytest.mark.parametrize("trouble", [np.nan, np.inf, 3e38])
@pytest.mark.parametrize("where", ["x", "weights"])
def test_what_is_no_number_never_becomes_a_finite_network(trouble: float, where: str) -> None:
    network = network_for(ForecastSettings(hidden=6))
    before, windows = made(network, 2, 1, 8, 12, 4)
    array: F32 = windows.x[0, 2, 7] if where == "x" else before.weights[0, 0]
    array[...] = trouble
    after = fine_tune(network, before, windows, 1, 5e-3)
    assert not np.isfinite(after.weights[0]).all()
    assert np.isfinite(after.weights[1]).all(), "the other network has no part in it"


def test_a_network_does_not_depend_on_which_others_are_taught_beside_it() -> None:
    network = network_for(ForecastSettings())
    before, windows = made(network, 5, 1, 16, 48, 5)
    together = fine_tune(network, before, windows, 1, 5e-3)
    for i in range(5):
        one = slice(i, i + 1)
        own = Weights(before.weights[one], before.m[one], before.v[one], before.n_steps[one])
        alone = fine_tune(network, own, Windows(windows.x[one], windows.y[one], windows.is_known[one]), 1, 5e-3)
        assert np.array_equal(alone.weights[0], together.weights[i])


@pytest.mark.parametrize("setting", [{"cell": "gru"}, {"layers": 2}, {"dropout": 0.1}])
def test_other_networks_are_not_its_business(setting: dict[str, object]) -> None:
    assert not compiled.serves(network_for(ForecastSettings.model_validate(setting)))


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    network = network_for(ForecastSettings(hidden=6))
    before, windows = made(network, 2, 1, 8, 12, 4)
    counts = windows.is_known.astype(np.float32)
    start = before.weights[:, 0], before.m[:, 0], before.v[:, 0]
    for x, y in ((windows.x[..., :3], windows.y), (windows.x, windows.y[:, :4]), (windows.x[:, :, :5], windows.y)):
        with pytest.raises(ValueError, match="do not fit"):
            compiled.fine_tune(network, start, before.n_steps, (x, y, counts), 1, 5e-3)
    with pytest.raises(ValueError, match="do not fit"):
        compiled.outputs(network, before.weights[:, 0, :-1], windows.x)


@pytest.mark.usefixtures("_level")
@pytest.mark.parametrize(("hidden", "n_groups", "n_streams"), [(24, 5, 5), (24, 1, 9), (5, 3, 7), (33, 4, 1)])
def test_a_step_is_what_torch_makes_of_it(
    monkeypatch: pytest.MonkeyPatch, hidden: int, n_groups: int, n_streams: int
) -> None:
    network = network_for(ForecastSettings(hidden=hidden))
    bank, rng = empty_bank(n_groups, network, 2), np.random.default_rng(hidden)
    bank.initialise(network, np.arange(n_groups), rng.integers(0, 99, n_groups).astype(np.uint64))
    bank.weights += rng.normal(0, 0.2, bank.weights.shape).astype(np.float32)
    group_of = np.sort(rng.integers(0, n_groups, n_streams)).astype(np.int32)
    x = rng.normal(0, 2, (n_streams, network.n_inputs)).astype(np.float32)
    state = rng.normal(0, 1, (n_streams, 2, 2 * hidden)).astype(np.float32)
    x[0, 0], state[-1, 1, 0] = 1e20, np.nan  # a gate at its end; a state that is no number
    before = state.copy()
    ours = step(network, bank, group_of, x, state)
    assert np.array_equal(state, before, equal_nan=True), "what it is given stays as it is"
    alone = [step(network, bank, group_of[[i]], x[[i]], state[[i]]) for i in range(n_streams)]
    by_torch(monkeypatch)
    for place, (one, other) in enumerate(zip(ours, step(network, bank, group_of, x, state), strict=True)):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-5)
        assert np.array_equal(one, np.concatenate([each[place] for each in alone]), equal_nan=True)


def test_a_group_that_is_not_there_is_refused() -> None:
    network = network_for(ForecastSettings(hidden=6))
    bank = empty_bank(2, network, 1)
    for group in (-1, 2):
        with pytest.raises(ValueError, match="do not fit"):
            step(network, bank, np.array([group], np.int32), *(np.zeros(s, np.float32) for s in ((1, 14), (1, 1, 12))))
