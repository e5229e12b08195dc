"""Pending, open, closing, closed: in this order, with hysteresis, and told once each."""

from collections.abc import Sequence

import numpy as np

from pipeline.core.records import EpisodeEvent, Event, Readings, Steps, episode_id
from pipeline.core.settings import DetectionSettings, Settings
from pipeline.runtime.follow_up import FollowUp
from pipeline.runtime.lifecycle import Lifecycle

LEVEL = 5.0
N_QUIET = DetectionSettings().n_quiet


def batch(scores: Sequence[float], begin_s: float = 0.0, opened_s: float = np.nan) -> tuple[Readings, Steps]:
    """Return readings of one stream, a second apart; the episode is open from ``opened_s`` on."""
    n = len(scores)
    time = begin_s + np.arange(float(n))
    readings = Readings(["t"], np.zeros(n, np.int32), time, np.ones(n), np.zeros(n, np.uint8))
    steps = Steps.blank(n)
    steps.score[:], steps.level[:] = scores, LEVEL
    steps.opened[:] = np.where(time >= opened_s, opened_s, np.nan)
    return readings, steps


def event(kind: Event, at_s: float, opened_s: float) -> EpisodeEvent:
    numbers = (6.0, opened_s, 3.0, 1.0, 0.0, 2.0, LEVEL, "next_reading")
    return EpisodeEvent(kind, "t", episode_id("t", opened_s), opened_s, at_s, *numbers)


def states(lifecycle: Lifecycle, scores: Sequence[float], begin_s: float = 0.0, opened_s: float = np.nan) -> list[str]:
    return [state for _, state, _ in lifecycle.follow(*batch(scores, begin_s, opened_s))]


def test_nearly_an_alert_is_pending_until_it_has_been_calm_for_a_while() -> None:
    lifecycle = Lifecycle(DetectionSettings())
    assert states(lifecycle, [1.0, 3.9]) == []
    assert states(lifecycle, [4.1]) == ["pending"]
    assert states(lifecycle, [1.0] * (N_QUIET // 4 - 1) + [4.5]) == []
    assert states(lifecycle, [1.0] * (N_QUIET // 4)) == ["closed"]
    assert lifecycle.dump() == []


def test_the_states_of_an_episode_follow_each_other_and_are_retained() -> None:
    follow = FollowUp(Settings())
    seen: list[tuple[str, bool]] = []

    def take(scores: Sequence[float], begin_s: float, opened_s: float = np.nan, *events: EpisodeEvent) -> None:
        readings, steps = batch(scores, begin_s, opened_s)
        steps.events = list(events)
        news = follow.gather(readings, steps, 1e9 + begin_s)
        seen.extend((state.state, bool(state.episode)) for state in news.states)

    take([1.0, 4.2], 0.0)
    take([6.0], 2.0, 2.0, event(Event.OPEN, 2.0, 2.0))
    take([1.0] * (N_QUIET // 4), 3.0, 2.0)
    take([5.5], 40.0, 2.0)
    take([1.0] * (N_QUIET // 4), 41.0, 2.0)
    take([1.0], 80.0, np.nan, event(Event.CLOSE, 80.0, 2.0))
    take([1.0] * 50, 90.0)
    names = [state for state, _ in seen]
    assert names == ["pending", "open", "closing", "open", "closing", "closed"]
    assert [has_episode for _, has_episode in seen] == [False, True, True, True, True, True]


def test_it_goes_on_after_a_restart() -> None:
    lifecycle, again = Lifecycle(DetectionSettings()), Lifecycle(DetectionSettings())
    states(lifecycle, [4.5, 1.0, 1.0])
    again.load(lifecycle.dump())
    rest = [1.0] * (N_QUIET // 4 - 2)
    assert states(again, rest) == states(lifecycle, rest) == ["closed"]
