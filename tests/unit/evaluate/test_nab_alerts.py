"""From scores to alerts: an alert, silence, then only what is a hundred times rarer, then all again."""

import numpy as np

from pipeline.evaluate.nab_alerts import Scored, raise_alerts

LEVEL = 4.0


def alerts(scores: dict[int, float], n: int = 400, refused: tuple[int, ...] = ()) -> list[int]:
    """Return the rows with an alert, of a file that scores 0 elsewhere."""
    score = np.zeros(n)
    score[list(scores)] = list(scores.values())
    is_accepted = ~np.isin(np.arange(n), refused)
    score[~is_accepted] = np.nan
    file = Scored(np.arange(float(n)), np.zeros(n), score, is_accepted, np.zeros(n, np.bool_))
    (found,) = raise_alerts([file], LEVEL)
    return np.flatnonzero(found).tolist()


def test_a_score_at_the_level_alerts_and_one_below_does_not() -> None:
    assert alerts({50: 3.9, 100: 4.0}) == [100]


def test_after_twenty_five_readings_of_rest_any_score_at_the_level_alerts() -> None:
    assert alerts({100: 5.0, 124: 5.0}) == [100]
    assert alerts({100: 5.0, 125: 5.0}) == [100, 125]


def test_within_the_rest_only_a_hundred_times_rarer_score_alerts() -> None:
    assert alerts({100: 5.0, 110: 6.9}) == [100]
    assert alerts({100: 5.0, 110: 7.0}) == [100, 110]


def test_what_comes_in_the_silence_raises_the_bar_and_does_not_alert() -> None:
    assert alerts({100: 5.0, 102: 9.0, 110: 10.9}) == [100]
    assert alerts({100: 5.0, 102: 9.0, 110: 11.0}) == [100, 110]


def test_rest_grows_with_the_stream_but_not_for_ever() -> None:
    assert alerts({1_999: 5.0, 2_112: 5.0}, n=3_000) == [1_999]
    assert alerts({1_999: 5.0, 2_117: 5.0}, n=3_000) == [1_999, 2_117]
    assert alerts({29_999: 5.0, 30_449: 5.0}, n=40_000) == [29_999, 30_449]


def test_rest_is_a_matter_of_time_whatever_was_refused_meanwhile() -> None:
    assert alerts({100: 5.0, 125: 5.0}, refused=(110,)) == [100, 125]
    assert alerts({100: 5.0, 124: 5.0}, refused=(110,)) == [100]


def test_files_do_not_touch_each_other() -> None:
    score = np.full(3, 5.0)
    file = Scored(np.arange(3.0), score, score, np.ones(3, np.bool_), np.zeros(3, np.bool_))
    assert [found.tolist() for found in raise_alerts([file, file], LEVEL)] == [[True, False, False]] * 2
