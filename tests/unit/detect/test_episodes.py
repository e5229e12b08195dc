"""Episodes: an alert opens one or belongs to the open one; it closes when quiet, or as drift when it lasts too long."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F64, Event
from pipeline.core.settings import DetectionSettings
from pipeline.detect.episodes import Change, Episodes, Seen, severity
from pipeline.detect.views import View

SETTINGS = DetectionSettings(close_margin=1.5, n_quiet=3, n_quarantine=16)
LEVEL = 4.0
CALM = 2.4  # more than the margin under the level
NAN = float("nan")
ONE = np.array([0])


def empty(n_streams: int = 1) -> Episodes:
    return Episodes.empty(n_streams, views=len(View))


def seen_at(time: float, score: F64, level: float = LEVEL) -> Seen:
    """Return readings whose numbers tell where they came from; the views are the score's share of their number."""
    n_streams = len(score)
    time_s, value, forecast, lower, upper = (np.full(n_streams, time + offset) for offset in (0, 0.1, 0.2, 0.3, 0.4))
    views = np.nan_to_num(score)[:, None] * np.arange(len(View)) / (len(View) - 1)
    return Seen(time_s, value, forecast, lower, upper, score, np.full(n_streams, level), views)


def step(
    episodes: Episodes, score: float, time: float, *, is_alert: bool | None = None, level: float = LEVEL
) -> Change:
    """Advance one stream; unless told otherwise every score at the level is an alert."""
    alert = np.array([score >= level if is_alert is None else is_alert])
    return episodes.step(slice(0, 1), ONE, seen_at(time, np.array([score]), level), alert, SETTINGS)


def play(scores: Sequence[float], episodes: Episodes | None = None) -> str:
    """Return one letter per reading: o opens, c closes when quiet, d closes as drift, - nothing."""
    episodes = empty() if episodes is None else episodes
    changes = [step(episodes, score, time) for time, score in enumerate(scores)]
    return "".join("d" if change.is_drift[0] else "-oc"[change.event[0]] for change in changes)


def test_an_episode_opens_with_an_alert_and_with_nothing_else() -> None:
    episodes = empty()
    assert step(episodes, 9.0, 0, is_alert=False).event[0] == Event.NONE
    assert step(episodes, 9.0, 1, is_alert=True).event[0] == Event.OPEN
    assert step(episodes, 9.0, 2, is_alert=True).event[0] == Event.NONE
    assert (episodes.is_open[0], episodes.opened_s[0], episodes.level[0]) == (True, 1.0, LEVEL)


def test_it_holds_while_the_score_is_near_the_level_and_closes_after_a_quiet_time() -> None:
    assert play([5, CALM, 2.6, 3.9, CALM, CALM, CALM]) == "o-----c"


def test_one_score_near_the_level_starts_the_quiet_time_again() -> None:
    assert play([5, CALM, CALM, 2.6, CALM, CALM, CALM]) == "o-----c"


def test_under_a_level_of_less_than_twice_the_margin_half_the_level_is_quiet() -> None:
    episodes = empty()
    step(episodes, 3.0, 0, level=2.0)
    found = [step(episodes, 0.9, time, level=2.0).event[0] for time in (1, 2, 3)]
    assert found == [Event.NONE, Event.NONE, Event.CLOSE]


def test_quiet_is_told_by_the_level_in_force() -> None:
    episodes = empty()
    step(episodes, 5.0, 0)
    found = [step(episodes, 4.4, time, level=6.0).event[0] for time in (1, 2, 3)]
    assert found == [Event.NONE, Event.NONE, Event.CLOSE]
    assert episodes.level[0] == LEVEL  # what it opened at


def test_a_missing_score_counts_as_quiet() -> None:
    assert play([5, NAN, NAN, NAN]) == "o--c"


def test_an_episode_that_outlasts_the_quarantine_closes_as_drift() -> None:
    assert play([5] * 17) == "o" + 15 * "-" + "d"


def test_a_quiet_end_at_the_end_of_the_quarantine_is_quiet() -> None:
    assert play([5] * 14 + [1] * 3) == "o" + 15 * "-" + "c"


def test_the_next_alert_opens_the_next_episode() -> None:
    assert play([5, 1, 1, 1, 5, 1, 1, 1]) == "o--co--c"
    assert play([5] * 18) == "o" + 15 * "-" + "do"


def test_a_peak_keeps_the_evidence_of_its_reading() -> None:
    episodes = empty()
    play([0, 5, 8, 6, 8], episodes)
    assert episodes.opened_s[0] == 1.0
    assert episodes.peak_score[0] == 8.0
    assert episodes.peak_s[0] == 2.0
    evidence = [getattr(episodes, f"peak_{name}")[0] for name in ("value", "forecast", "lower", "upper")]
    assert evidence == pytest.approx([2.1, 2.2, 2.3, 2.4])
    assert episodes.peak_views[0, View.VOTE] == 8.0


def test_the_next_episode_has_a_peak_of_its_own() -> None:
    episodes = empty()
    assert play([9, 1, 1, 1, 0, 0, 5], episodes) == "o--c--o"
    assert (episodes.peak_score[0], episodes.peak_s[0], episodes.opened_s[0]) == (5.0, 6.0, 6.0)


def test_what_comes_after_the_close_is_no_peak_of_it() -> None:
    episodes = empty()
    play([5, 1, 1, 1], episodes)
    step(episodes, 30.0, 4, is_alert=False)
    assert episodes.peak_score[0] == 5.0


def test_views_are_named_largest_first_without_those_that_saw_nothing() -> None:
    episodes = empty()
    play([7], episodes)
    views = episodes.views(0)
    assert [name for name, _ in views] == [view.name.lower() for view in reversed(View) if view]
    assert views[0] == ("vote", 7.0)
    assert all(before >= after > 0 for (_, before), (_, after) in pairwise(views))


@given(st.lists(st.floats(0, 10) | st.just(NAN), min_size=1, max_size=80))
def test_openings_and_closings_take_turns_and_an_episode_is_never_longer_than_the_quarantine(
    scores: list[float],
) -> None:
    letters = play(scores)
    found = [(letter, at) for at, letter in enumerate(letters) if letter != "-"]
    assert "".join("o" if letter == "o" else "c" for letter, _ in found) == ("oc" * len(found))[: len(found)]
    for (_, opened), (_, closed) in zip(found[::2], found[1::2], strict=False):
        assert SETTINGS.n_quiet <= closed - opened <= SETTINGS.n_quarantine
    if len(found) % 2:
        assert len(scores) - 1 - found[-1][1] < SETTINGS.n_quarantine


@pytest.mark.parametrize("cut", [1, 3, 10])
def test_an_episode_put_back_goes_on_as_if_nothing_had_happened(cut: int) -> None:
    scores = [5, CALM, 3, 8, CALM, CALM, CALM, 0, 5, 9]
    before, after, through = empty(), empty(), empty()
    letters = play(scores[:cut], before)
    after.put(ONE, before.take(ONE))
    changes = [step(after, score, time) for time, score in enumerate(scores[cut:], cut)]
    assert letters + "".join("-oc"[change.event[0]] for change in changes) == play(scores, through)
    for name, array in after.arrays().items():
        assert np.array_equal(array, through.arrays()[name], equal_nan=True), name


def test_the_same_scores_give_the_same_episodes_beside_other_streams() -> None:
    scores = np.array([[5, 0, NAN], [1, 4, 5], [1, 1, 5], [1, 1, 1], [0, 1, 1], [9, 9, 9]])
    together, slots, events = empty(3), np.arange(3), []
    for time, row in enumerate(scores):
        is_alert = np.nan_to_num(row) >= LEVEL
        events.append(together.step(slice(0, 3), slots, seen_at(time, row), is_alert, SETTINGS).event)
    for stream in range(3):
        alone = empty()
        found = [step(alone, score, time).event[0] for time, score in enumerate(scores[:, stream])]
        assert found == [event[stream] for event in events]
        assert Event.OPEN in found
        for name, row in together.take(np.array([stream])).items():
            assert np.array_equal(row, alone.arrays()[name], equal_nan=True), name


@given(st.floats(0, 30), st.floats(0, 30))
def test_what_is_farther_beyond_the_level_is_never_less_severe(one: float, other: float) -> None:
    order = ["minor", "major", "critical"]
    nearer, farther = sorted((one, other))
    assert order.index(severity(nearer)) <= order.index(severity(farther))
