"""Which readings reach the networks as inputs and as targets: numbers in, the same numbers out.

Reading number k of a stream has the value ``k * k``, so that every value names its reading and every
change its place. Fine-tuning is intercepted where the windows meet the networks.
"""

from dataclasses import dataclass, field

import numpy as np
import pytest

from pipeline.core.records import F64, I64, Bool, Readings
from pipeline.core.settings import Settings
from pipeline.core.short_floats import lengthened
from pipeline.forecast.features import N_OUTLOOK, features, squash, unsquash
from pipeline.forecast.network import Network
from pipeline.forecast.targets import ACTIVITY, LONG, NEXT, SHORT
from pipeline.forecast.training import Weights, Windows
from pipeline.runtime.session import Session

WINDOW, KEPT, MINUTE = 16, 128, 60.0
HORIZON = {NEXT: 1, SHORT: 8, LONG: 32}
SETTINGS = Settings.model_validate(
    {
        "streams": {"window_len": KEPT},
        "forecast": {"hidden": 4},
        "training": {"takeover": 0, "window": WINDOW, "steps": 8, "batch": 32},
    }
)
DUE_AT_110 = SETTINGS.model_copy(update={"training": SETTINGS.training.model_copy(update={"every": 110})})


@dataclass
class Drawn:
    """Stands where the networks would train, and keeps the windows they would have seen."""

    windows: list[Windows] = field(default_factory=list)

    def __call__(self, _: Network, before: Weights, windows: Windows, *_args: object) -> Weights:
        """Change nothing."""
        self.windows.append(windows)
        return before

    def stacked(self) -> Windows:
        """Return all windows of one network, as (N, T, ...)."""
        columns = ([getattr(w, name)[0] for w in self.windows] for name in ("x", "y", "is_known"))
        return Windows(*(np.concatenate(column) for column in columns))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    drawn = Drawn()
    monkeypatch.setattr("pipeline.flow.learning.fine_tune", drawn)
    return drawn


def feed(session: Session, numbers: range) -> None:
    number = np.array(numbers, np.float64)
    slots, flags = np.zeros(len(number), np.int32), np.zeros(len(number), np.uint8)
    session.process(Readings(["s"], slots, number * MINUTE, number * number, flags), now=np.inf)


def fed(n: int) -> Session:
    session = Session(SETTINGS)
    feed(session, range(n))
    return session


def scale_of(session: Session) -> tuple[F64, F64]:
    """Return the scale that the windows were cut in."""
    pending = session.state.pending
    return pending.location_of_scale[:1], pending.spread_of_scale[:1]


def numbers_in(session: Session, windows: Windows) -> I64:
    """Return which reading each input is, shape (N, T)."""
    squares = unsquash(windows.x[..., 0].astype(np.float64), *scale_of(session))
    found: I64 = np.sqrt(np.maximum(squares, 0)).round().astype(np.int64)
    expected = squash(found.astype(np.float64) ** 2, *scale_of(session))
    assert windows.x[..., 0] == pytest.approx(expected, abs=1e-6), "an input is no reading at all"
    return found


def is_held_out(number: I64) -> Bool:
    """Say which readings are kept for the examination: the last sixteen of every 128."""
    held: Bool = number % 128 >= 112
    return held


@pytest.mark.parametrize("n", [60, 128, 200, 250])  # before the ring is full, just full, wrapped
def test_every_window_is_a_run_of_consecutive_readings_still_kept(drawn: Drawn, n: int) -> None:
    session = fed(n)
    session.fine_tune()
    number = numbers_in(session, drawn.stacked())
    assert number.shape[1] == WINDOW
    assert (np.diff(number, axis=1) == 1).all()
    assert number.min() == max(0, n - KEPT) + 1, "the oldest: the reading before a window must still be kept"
    assert number.max() == n - 2, "the newest: the last input of a window needs a reading after it"


@pytest.mark.parametrize("n", [60, 200])
def test_change_calendar_and_interval_belong_to_the_same_reading_as_the_value(drawn: Drawn, n: int) -> None:
    session = fed(n)
    session.fine_tune()
    windows = drawn.stacked()
    number = numbers_in(session, windows).astype(np.float64)
    middle, spread = scale_of(session)
    z, before = (squash(k * k, middle, spread) for k in (number, number - 1))
    unknown, no_context = np.full((*z.shape, N_OUTLOOK), np.nan), np.zeros((*z.shape, 0), np.float32)
    expected = features(z, z - before, number * MINUTE, np.ones_like(z), unknown, no_context)
    assert windows.x[..., :7] == pytest.approx(expected[..., :7], abs=1e-5)


@pytest.mark.parametrize("n", [60, 200])
def test_what_was_known_of_the_next_reading_belongs_to_the_same_reading_as_the_value(drawn: Drawn, n: int) -> None:
    session = fed(n)
    session.fine_tune()
    windows = drawn.stacked()
    number = numbers_in(session, windows)
    middle, spread = scale_of(session)
    square = number.astype(np.float64) ** 2
    known = (
        session.state.windows.unit[0] * lengthened(session.state.windows.outlook[0, number % KEPT]) + square[..., None]
    )
    z, zeros, no_context = squash(square, middle, spread), np.zeros(number.shape), np.zeros((*number.shape, 0))
    expected = features(z, zeros, zeros, zeros, squash(known, middle, spread), no_context.astype(np.float32))
    assert windows.x[..., 7:] == pytest.approx(expected[..., 7:], abs=1e-5)
    assert windows.x[:, -1, 7:].any(axis=1).all(), "baselines foretell the next square"


@pytest.mark.parametrize("target", HORIZON)
@pytest.mark.parametrize("n", [60, 200])
def test_a_level_target_is_the_mean_of_the_readings_after_the_input(drawn: Drawn, n: int, target: int) -> None:
    session = fed(n)
    session.fine_tune()
    windows = drawn.stacked()
    number = numbers_in(session, windows)
    is_known = windows.is_known[..., target]
    is_complete = number + HORIZON[target] < n
    assert np.array_equal(is_known, is_complete & ~is_held_out(number + 1)), "known exactly when all its readings are"
    means = np.mean([(number + h) ** 2 for h in range(1, HORIZON[target] + 1)], axis=0)
    expected = squash(means, *scale_of(session))
    assert windows.y[..., target][is_known] == pytest.approx(expected[is_known], abs=1e-5)


@pytest.mark.parametrize("n", [60, 200])
def test_the_activity_target_begins_with_the_change_away_from_the_input(drawn: Drawn, n: int) -> None:
    session = fed(n)
    session.fine_tune()
    windows = drawn.stacked()
    number = numbers_in(session, windows)
    is_known = windows.is_known[..., ACTIVITY]
    assert np.array_equal(is_known, (number + 32 < n) & ~is_held_out(number + 1))
    spread = session.state.pending.spread_of_scale[0]
    mean_change = ((number + 32.0) ** 2 - number**2) / 32  # rising: the changes add up
    expected = np.log(mean_change / spread + 0.01)
    assert windows.y[..., ACTIVITY][is_known] == pytest.approx(expected[is_known], abs=1e-5)


def test_every_place_can_be_drawn_and_half_of_the_windows_are_recent(drawn: Drawn) -> None:
    data = SETTINGS.model_dump() | {"streams": {"window_len": 2048}}
    session = Session(Settings.model_validate(data))
    rng = np.random.default_rng(1)
    n = 1500
    time, value = np.arange(n, dtype=np.float64) * MINUTE, rng.normal(size=n)
    session.process(Readings(["s"], np.zeros(n, np.int32), time, value, np.zeros(n, np.uint8)), now=np.inf)
    session.fine_tune()
    middle, spread = scale_of(session)
    z = squash(value, middle, spread)
    first = np.abs(drawn.stacked().x[:, :1, 0] - z).argmin(axis=1)  # which reading each window starts with
    newest = n - WINDOW - 1
    assert len(first) == 8 * 32
    assert 1 <= first.min() < 100
    assert newest - 20 < first.max() <= newest
    is_recent = first >= newest - 400
    assert 0.5 <= is_recent.mean() < 0.75  # one half always, and some of the other half by chance


def test_readings_of_an_open_episode_are_no_targets(drawn: Drawn) -> None:
    session = Session(DUE_AT_110)
    untaught = {70, 71, 95}
    for k in range(110):
        feed(session, range(k, k + 1))
        if k in untaught:
            session.state.windows.mark_untaught(np.array([0]))
    session.fine_tune()
    windows = drawn.stacked()
    number = numbers_in(session, windows)
    for target, horizon in HORIZON.items():
        is_clear = np.logical_and.reduce([~np.isin(number + h, list(untaught)) for h in range(1, horizon + 1)])
        expected = is_clear & (number + horizon < 110)
        assert np.array_equal(windows.is_known[..., target], expected), target
        assert expected.any(), "the test must show something"
        assert not expected[number + horizon < 110].all()


def test_no_activity_target_touches_a_reading_of_an_open_episode(drawn: Drawn) -> None:
    session = Session(DUE_AT_110)
    for k in range(110):
        feed(session, range(k, k + 1))
        if k == 60:
            session.state.windows.mark_untaught(np.array([0]))
    session.fine_tune()
    windows = drawn.stacked()
    number = numbers_in(session, windows)
    touches = (number <= 60) & (number + 32 >= 60)  # its first change starts at the input itself
    assert np.array_equal(windows.is_known[..., ACTIVITY], ~touches & (number + 32 < 110))


def test_a_reading_of_an_episode_gives_no_known_target_its_value(drawn: Drawn) -> None:
    """A glitch of a million, marked as episode: every target that counts stays among the squares."""
    session = Session(SETTINGS)
    feed(session, range(80))
    glitch = Readings(["s"], np.zeros(1, np.int32), np.array([80 * MINUTE]), np.array([1e6]), np.zeros(1, np.uint8))
    session.process(glitch, now=np.inf)
    session.state.windows.mark_untaught(np.array([0]))
    feed(session, range(81, 120))
    session.fine_tune()
    windows = drawn.stacked()
    bounds = squash(np.array([0.0, 120.0**2]), *scale_of(session))
    for target in HORIZON:
        known = windows.y[..., target][windows.is_known[..., target]]
        assert bounds[0] <= known.min()
        assert known.max() <= bounds[1]


def test_a_shared_network_draws_from_all_its_streams_alike(drawn: Drawn) -> None:
    data = SETTINGS.model_dump() | {"forecast": {"hidden": 4, "sharing": "fleet"}}
    session = Session(Settings.model_validate(data))
    n, names = 60, ["night", "morning", "noon", "evening"]  # the streams are told by the time of day
    time = (np.arange(n)[:, None] + np.arange(4) * 6 * 3600.0).ravel()
    value = np.random.default_rng(1).normal(size=4 * n)
    stream = np.tile(np.arange(4, dtype=np.int32), n)
    session.process(Readings(names, stream, time, value, np.zeros(4 * n, np.uint8)), now=np.inf)
    session.fine_tune()
    x = drawn.stacked().x
    assert len(x) == 16 * 32 * 4  # a minibatch grows with the streams; young networks take twice the steps
    six_hours = np.arctan2(x[..., 2], x[..., 3]) / (np.pi / 2)
    member = six_hours.round().astype(np.int64) % 4
    assert (member == member[:, :1]).all(), "a window holds readings of one stream"
    assert np.bincount(member[:, 0], minlength=4) == pytest.approx([512] * 4, abs=80)


def test_the_same_readings_draw_the_same_windows_and_the_next_round_others(drawn: Drawn) -> None:
    starts = []
    for n_rounds in (0, 0, 1):
        session = fed(100)
        session.model.bank.n_rounds[:] = n_rounds  # as the networks themselves count
        drawn.windows.clear()
        session.fine_tune()
        starts.append(numbers_in(session, drawn.stacked())[:, 0])
    assert np.array_equal(starts[0], starts[1])
    assert not np.array_equal(starts[0], starts[2])
