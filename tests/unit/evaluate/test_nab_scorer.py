"""NAB's scorer: worked by hand on small files, and against what is published of three detectors."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.records import Bool
from pipeline.evaluate.nab import Published
from pipeline.evaluate.nab_corpus import read_nab, read_published
from pipeline.evaluate.nab_scorer import Corpus, Profile, judge_rows, standard_score

STANDARD = Profile("standard", 1.0, 0.11, 1.0)
LOW_FN = Profile("reward_low_FN_rate", 1.0, 0.11, 2.0)
N = 40
PROBATION = 6
#: Two windows of five rows: 10 to 14 and 30 to 34.
WINDOWS = [(10.0, 14.0), (30.0, 34.0)]
#: Standard, low false alarms, low misses, as the leaderboard has them.
LEADERBOARD = {
    "ARTime": (74.85, 65.15, 80.36),
    "numenta": (70.10, 63.21, 74.32),
    "contextOSE": (69.90, 66.98, 73.18),
}


def sigmoid(position: float) -> float:
    return 2 / (1 + math.exp(5 * position)) - 1


def corpus(windows: Sequence[tuple[float, float]] = WINDOWS, n: int = N) -> Corpus:
    return Corpus([judge_rows(np.arange(float(n)), windows)])


def at(*rows: int, n: int = N) -> list[Bool]:
    return [np.isin(np.arange(n), rows)]


def raw(alerts: list[Bool], profile: Profile = STANDARD) -> float:
    return float(corpus().tally(alerts).raw(profile).sum())


def score(alerts: list[Bool], profile: Profile = STANDARD) -> float:
    return float(corpus().standard(np.array(raw(alerts, profile)), profile))


def test_silence_is_nought_and_the_first_row_of_every_window_a_hundred() -> None:
    for profile in (STANDARD, LOW_FN):
        assert score(at(), profile) == 0
        assert score(at(10, 30), profile) == pytest.approx(100)


def test_one_window_met_earns_less_where_a_missed_one_costs_more() -> None:
    assert raw(at(10)) == pytest.approx(0)
    assert score(at(10)) == pytest.approx(50)
    assert raw(at(10), LOW_FN) == pytest.approx(-1)
    assert score(at(10), LOW_FN) == pytest.approx(50)


def test_a_window_is_worth_less_the_later_it_is_met_but_its_last_row_is_worth_something() -> None:
    for row in range(10, 15):
        expected = sigmoid(-(15 - row) / 5) / sigmoid(-1) - 1
        assert raw(at(row)) == pytest.approx(expected)
    assert raw(at(14)) > -1


def test_of_several_alerts_in_a_window_the_best_counts_alone() -> None:
    assert raw(at(11, 12, 14)) == raw(at(11))
    found = corpus().tally(at(11, 12, 14))
    assert (found.n_met.tolist(), found.n_missed.tolist(), found.n_false.tolist()) == ([1], [1], [0])


def test_a_false_alarm_costs_its_weight_before_all_windows_and_less_just_past_one() -> None:
    assert raw(at(7)) == pytest.approx(-2 - 0.11)
    assert raw(at(15)) == pytest.approx(-2 + 0.11 * sigmoid(1 / 4))
    assert raw(at(25)) == pytest.approx(-2 + 0.11 * sigmoid(11 / 4))
    assert raw(at(26)) == pytest.approx(-2 - 0.11)  # three widths past, and as false as any
    assert raw(at(7, 15, 26)) == pytest.approx(-2 - 0.22 + 0.11 * sigmoid(1 / 4))


def test_probation_neither_gains_nor_costs() -> None:
    assert raw(at(*range(PROBATION))) == raw(at())
    assert raw(at(*range(PROBATION + 1))) == pytest.approx(-2 - 0.11)


def test_probation_is_at_most_750_rows() -> None:
    is_scored = judge_rows(np.arange(20_000.0), []).is_scored
    assert (int(is_scored.argmax()), bool(is_scored[749])) == (750, False)
    assert int(judge_rows(np.arange(4_032.0), []).is_scored.argmax()) == 604  # 604.8, rounded down


def test_a_window_in_probation_can_be_neither_met_nor_missed_but_perfection_would_have_it() -> None:
    own = corpus([(1.0, 3.0), (30.0, 34.0)])
    found = own.tally(at(1, 30))
    assert (found.n_met.tolist(), found.n_missed.tolist(), own.n_windows.tolist()) == ([1], [0], [2])
    assert float(own.standard(found.raw(STANDARD).sum(), STANDARD)) == pytest.approx(200 / 3)


def test_a_window_of_one_row_is_met_by_it_and_what_follows_is_far_from_it() -> None:
    own = corpus([(10.0, 10.0)])
    assert own.tally(at(10)).earned.tolist() == pytest.approx([1.0])
    assert own.tally(at(11)).lost.tolist() == [-1.0]


def test_times_that_repeat_or_go_back_keep_the_order_of_the_rows() -> None:
    time = np.concatenate([np.arange(20.0), np.arange(15.0, 35.0)])  # a clock set back by five
    window = judge_rows(time, [(17.0, 18.0), (25.0, 27.0)]).window
    assert np.flatnonzero(window == 0).tolist() == [17, 18]
    assert np.flatnonzero(window == 1).tolist() == [30, 31, 32]


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ([(10.5, 14.0)], "no row from number 1 on has the time 10"),
        ([(10.0, 99.0)], "no row from number 1 on has the time 99"),
        ([(10.0, 14.0), (14.0, 20.0)], "no row from number 16 on has the time 14"),
        ([(14.0, 10.0)], "window 1 ends before it begins"),
    ],
)
def test_windows_that_do_not_fit_the_rows_are_refused(windows: list[tuple[float, float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        judge_rows(np.arange(float(N)), windows)


def test_alerts_and_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="one array per file"):
        corpus().tally(at(1, n=N - 1))
    with pytest.raises(ValueError, match="one array per file"):
        corpus().sweep([np.zeros(N), np.zeros(N)])
    with pytest.raises(ValueError, match="not a number"):
        corpus().sweep([np.full(N, np.nan)])


def test_the_sweep_says_of_every_threshold_what_its_alerts_come_to() -> None:
    rng = np.random.default_rng(3)
    own = Corpus([judge_rows(np.arange(float(N)), windows) for windows in (WINDOWS, [], [(20.0, 29.0)])])
    scores = [rng.integers(0, 12, N) / 10 for _ in range(3)]  # many are equal
    thresholds, swept = own.sweep(scores)
    assert thresholds.tolist() == [np.inf, *(np.arange(12)[::-1] / 10)]
    for i, threshold in enumerate(thresholds.tolist()):
        one = own.tally([score >= threshold for score in scores])
        for profile in (STANDARD, LOW_FN):
            assert swept.raw(profile)[i] == pytest.approx(one.raw(profile).sum())
        assert (swept.n_met[i], swept.n_missed[i]) == (one.n_met.sum(), one.n_missed.sum())
        assert swept.n_false[i] == one.n_false.sum()


def test_without_a_window_there_is_no_standard_score() -> None:
    own = corpus([])
    assert np.isnan(own.standard(own.tally(at(20)).raw(STANDARD).sum(), STANDARD))
    assert np.isnan(standard_score(np.zeros(2), 1.0, 1.0)).all()


@pytest.fixture(scope="module")
def published(data_dir: Path) -> dict[str, Published]:
    """The standings of the published detectors on all of NAB, by name."""
    folder = data_dir / "nab"
    if not all((folder / "published_scores" / f"{name}.npz").is_file() for name in LEADERBOARD):
        pytest.skip(f"{folder} does not hold the published scores of {', '.join(LEADERBOARD)}")
    files = read_nab(folder, [], pytest.fail)
    assert (len(files.names), files.corpus.n_rows, int(files.corpus.n_windows.sum())) == (58, 365_558, 116)
    return {detector.name: detector for detector in read_published(folder, files)}


@pytest.mark.parametrize("detector", sorted(LEADERBOARD))
def test_published_detectors_get_the_published_figures(published: dict[str, Published], detector: str) -> None:
    scores = [run.score for run in published[detector].by.values()]
    assert scores == pytest.approx(LEADERBOARD[detector], abs=0.01)
