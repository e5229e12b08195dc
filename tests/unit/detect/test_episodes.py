"""Episodes: open at the level, hold, close when quiet or accepted as the new normal, and then cool down."""

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.core.records import Event
from pipeline.core.settings import DetectionSettings
from pipeline.detect.episodes import Change, Episodes, Seen

SETTINGS = DetectionSettings(alert_level=4.0, close_level=2.0, n_quiet=3, n_cooldown=5, n_quarantine=16)
NAN = float("nan")
ONE = np.array([0])


def seen_at(time: float, n_streams: int = 1) -> Seen:
    """Return evidence whose numbers tell where they came from."""
    time_s, value, forecast, lower, upper = (np.full(n_streams, time + offset) for offset in (0, 0.1, 0.2, 0.3, 0.4))
    return Seen(time_s, value, forecast, lower, upper, view=np.full(n_streams, int(time) % 4))


def step(episodes: Episodes, score: float, time: float = 0.0) -> Change:
    return episodes.step(slice(0, 1), ONE, np.array([score]), seen_at(time), SETTINGS)


def play(scores: Sequence[float], episodes: Episodes | None = None) -> str:
    """Return one letter per reading: o opens, c closes when quiet, d closes as drift, - nothing."""
    episodes = episodes or Episodes.empty(1)
    changes = [step(episodes, score, time) for time, score in enumerate(scores)]
    return "".join("d" if change.is_drift[0] else "-oc"[change.event[0]] for change in changes)


def test_an_episode_opens_at_the_level_and_not_below() -> None:
    assert play([3.999, 4.0]) == "-o"


def test_it_holds_between_the_levels_and_closes_after_a_quiet_time() -> None:
    assert play([5, 2.5, 2.0, 3.9, 1.9, 1.9, 1.9]) == "o-----c"


def test_one_score_at_the_close_level_starts_the_quiet_time_again() -> None:
    assert play([5, 1, 1, 2.0, 1, 1, 1]) == "o-----c"


def test_a_missing_score_opens_nothing_and_counts_as_quiet() -> None:
    assert play([NAN, NAN]) == "--"
    assert play([5, NAN, NAN, NAN]) == "o--c"


def test_an_episode_that_outlasts_the_quarantine_closes_as_drift() -> None:
    assert play([5] * 17) == "o" + 15 * "-" + "d"


def test_a_quiet_end_at_the_end_of_the_quarantine_is_quiet() -> None:
    assert play([5] * 14 + [1] * 3) == "o" + 15 * "-" + "c"


def test_while_it_cools_down_only_a_ten_times_rarer_score_opens() -> None:
    closed = [6, 1, 1, 1]  # peak 6: seven opens in the five readings after the close
    assert play([*closed, 6.9, 6.9, 6.9, 6.9, 6.9, 4.0]) == "o--c-----o"
    assert play([*closed, 6.9, 7.0]) == "o--c-o"


def test_a_peak_keeps_the_evidence_of_its_reading() -> None:
    episodes = Episodes.empty(1)
    play([0, 5, 8, 6, 8], episodes)
    assert episodes.opened_s[0] == 1.0
    assert episodes.peak_score[0] == 8.0
    assert episodes.peak_s[0] == 2.0
    evidence = [getattr(episodes, f"peak_{name}")[0] for name in ("value", "forecast", "lower", "upper")]
    assert evidence == pytest.approx([2.1, 2.2, 2.3, 2.4])
    assert episodes.peak_view[0] == 2


def test_the_next_episode_has_a_peak_of_its_own() -> None:
    episodes = Episodes.empty(1)
    assert play([9, 1, 1, 1, 0, 0, 0, 0, 0, 5], episodes) == "o--c-----o"
    assert (episodes.peak_score[0], episodes.peak_s[0], episodes.opened_s[0]) == (5.0, 9.0, 9.0)


def test_the_same_scores_give_the_same_episodes_beside_other_streams() -> None:
    scores = np.array([[5, 0, NAN], [1, 4, 5], [1, 1, 5], [1, 1, 1], [0, 1, 1], [9, 9, 9]])
    together = Episodes.empty(3)
    slots = np.arange(3)
    events = []
    for time, row in enumerate(scores):
        events.append(together.step(slice(0, 3), slots, row, seen_at(time, 3), SETTINGS).event)
    for stream in range(3):
        alone = Episodes.empty(1)
        found = [step(alone, score, time).event[0] for time, score in enumerate(scores[:, stream])]
        assert found == [event[stream] for event in events]
        assert Event.OPEN in found
