"""The decision: after an alert a rest in time, within which only what is far rarer is an alert of its own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import I64, Bool
from pipeline.core.settings import DetectionSettings
from pipeline.detect.decision import Decision, Scores, alerts_of

NAN = float("nan")
LEVEL = 4.0
#: Rests of 10 % of the time watched, but 20 to 400 intervals.
SETTINGS = DetectionSettings(rest_share=0.1, n_rest=20, n_rest_most=400)
#: Watched for so many intervals a stream rests for 100; for the first 70 of them nothing is an alert.
WATCHED = 1000


def alerts(scores: dict[int, float], *, step_s: float = 60.0, start: int = 0, length: int = 1200) -> list[int]:
    """Return the numbers of the readings that are an alert; scores that are not given are 0."""
    decision, found = Decision.empty(1), []
    for number in range(start, start + length):
        time = np.array([1.7e9 + number * step_s])
        score = np.array([scores.get(number, 0.0)])
        if decision.step(slice(0, 1), Scores(time, score, np.array([LEVEL]), np.array([step_s])), SETTINGS)[0]:
            found.append(number)
    return found


def test_an_alert_is_at_the_level_and_not_below() -> None:
    assert alerts({500: 3.999}) == []
    assert alerts({500: 4.0}) == [500]


def test_without_a_score_there_is_no_alert() -> None:
    assert alerts({500: NAN, 501: NAN}) == []
    assert alerts({500: NAN, 501: 5.0, 502: NAN}) == [501]


def test_in_the_first_part_of_a_rest_nothing_is_an_alert() -> None:
    assert alerts({WATCHED: 5.0, **{WATCHED + i: 20.0 for i in range(1, 69)}}) == [WATCHED]


@pytest.mark.parametrize(("score", "is_alert"), [(5.0, False), (6.9, False), (7.1, True)])
def test_in_the_last_third_only_what_is_a_hundred_times_rarer_is_one(score: float, is_alert: bool) -> None:  # noqa: FBT001 - a case
    assert alerts({WATCHED: 5.0, WATCHED + 85: score}) == [WATCHED, WATCHED + 85][: 1 + is_alert]


def test_a_hundred_times_rarer_than_what_came_in_the_silence() -> None:
    assert alerts({WATCHED: 5.0, WATCHED + 20: 7.0, WATCHED + 85: 8.9}) == [WATCHED]
    assert alerts({WATCHED: 5.0, WATCHED + 20: 7.0, WATCHED + 85: 9.1}) == [WATCHED, WATCHED + 85]


def test_after_the_rest_any_score_at_the_level_is_one() -> None:
    assert alerts({WATCHED: 25.0, WATCHED + 115: 4.0}) == [WATCHED, WATCHED + 115]


def test_a_new_alert_starts_a_new_rest_with_a_peak_of_its_own() -> None:
    again, third = WATCHED + 115, WATCHED + 115 + 100
    assert alerts({WATCHED: 25.0, again: 5.0, third: 5.5}, length=1400) == [WATCHED, again]
    assert alerts({WATCHED: 25.0, again: 5.0, third: 7.5}, length=1400) == [WATCHED, again, third]


def test_what_counts_is_how_far_beyond_its_own_level_a_score_is() -> None:
    decision = Decision.empty(1)
    found = []
    for time, score, level in (
        (0.0, 0.0, 4.0),
        (WATCHED, 6.0, 4.0),
        (WATCHED + 85, 9.0, 5.5),
        (WATCHED + 86, 9.0, 4.5),
    ):
        seen = Scores(np.array([60 * time]), np.array([score]), np.array([level]), np.array([60.0]))
        found.append(bool(decision.step(slice(0, 1), seen, SETTINGS)[0]))
    assert found == [False, True, False, True]


def test_a_young_stream_rests_for_the_shortest_rest_and_an_old_one_for_the_longest() -> None:
    assert alerts({50: 5.0, 50 + 18: 5.5}) == [50]
    assert alerts({50: 5.0, 50 + 22: 4.0}) == [50, 72]
    old = 10_000
    assert alerts({old: 5.0, old + 390: 5.5}, length=old + 600) == [old]
    assert alerts({old: 5.0, old + 410: 4.0}, length=old + 600) == [old, old + 410]


def random_scores(n: int, seed: int = 1) -> dict[int, float]:
    rng = np.random.default_rng(seed)
    return dict(enumerate(rng.exponential(1.2, n).tolist()))


@pytest.mark.parametrize("step_s", [1.0, 300.0, 3600.0])
def test_streams_of_any_cadence_behave_alike(step_s: float) -> None:
    scores = random_scores(1200)
    expected = alerts(scores)
    assert len(expected) > 5
    assert alerts(scores, step_s=step_s) == expected


def test_a_rest_is_a_time_and_not_a_number_of_readings() -> None:
    """Two streams with the same times of alerts; one has ten times the readings between, of the same usual interval."""
    found = []
    for n_between in (1, 10):
        decision, times = Decision.empty(1), []
        for number in range(2000 * n_between):
            time = number * 60.0 / n_between
            score = 5.0 if time in (60_000.0, 60_000.0 + 75 * 60, 60_000.0 + 130 * 60) else 0.0
            seen = Scores(np.array([time]), np.array([score]), np.array([LEVEL]), np.array([60.0]))
            if decision.step(slice(0, 1), seen, SETTINGS)[0]:
                times.append(time)
        found.append(times)
    assert found[0] == found[1] == [60_000.0, 60_000.0 + 130 * 60]


def test_a_stream_whose_cadence_is_not_known_alerts_all_the_same() -> None:
    assert alerts({5: 6.0}, step_s=0.0) == [5]


def stepped(stream: I64, scores: Scores) -> Bool:
    """Decide one reading after the other, each alone."""
    decision, found = Decision.empty(int(stream.max(initial=-1)) + 1), np.zeros(len(stream), np.bool_)
    for i, slot in enumerate(stream):
        part = Scores(*(getattr(scores, name)[i : i + 1] for name in ("time", "score", "level", "step_s")))
        found[i] = decision.step(np.array([slot]), part, SETTINGS)[0]
    return found


@given(st.integers(1, 5), st.integers(0, 120), st.integers(0, 2**32 - 1))
def test_deciding_on_kept_scores_equals_deciding_as_they_came(n_streams: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stream = rng.integers(0, n_streams, n)
    score = np.where(rng.random(n) < 0.1, np.nan, rng.exponential(3, n))
    scores = Scores(np.sort(rng.uniform(0, 2000, n)), score, rng.uniform(2, 5, n), np.ones(n))
    expected = stepped(stream, scores)
    assert (alerts_of(stream, scores, SETTINGS) == expected).all()
    mixed = np.argsort(rng.random(n_streams)[stream], kind="stable")  # the streams one after the other, in any order
    part = Scores(*(getattr(scores, name)[mixed] for name in ("time", "score", "level", "step_s")))
    assert (alerts_of(stream[mixed], part, SETTINGS) == expected[mixed]).all()


def test_the_random_scores_do_alert() -> None:
    """The equality would hold of a decision that never alerts."""
    n = 2000
    rng = np.random.default_rng(1)
    scores = Scores(np.arange(n, dtype=np.float64), rng.exponential(3, n), np.full(n, LEVEL), np.full(n, 1.0))
    assert 5 < alerts_of(np.zeros(n, np.int64), scores, SETTINGS).sum() < 200


def test_a_decision_put_back_goes_on_as_if_nothing_had_happened() -> None:
    scores = random_scores(400, seed=3)
    decision, resumed, cut, found = Decision.empty(1), Decision.empty(1), 200, []
    for number, score in scores.items():
        seen = Scores(np.array([60.0 * number]), np.array([score]), np.array([LEVEL]), np.array([60.0]))
        if number == cut:
            resumed.put(np.array([0]), decision.take(np.array([0])))
        if number >= cut and resumed.step(slice(0, 1), seen, SETTINGS)[0]:
            found.append(number)
        decision.step(slice(0, 1), seen, SETTINGS)
    expected = [number for number in alerts(scores) if number >= cut]
    assert found == expected
    assert found
