"""Quarantine: from a level of its own on, until it is quiet or has lasted too long, whatever the alert level is."""

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.core.settings import DetectionSettings
from pipeline.detect.quarantine import Quarantine

NAN = float("nan")
ONE = np.array([0])
SETTINGS = DetectionSettings(quarantine_level=6.0, n_quiet=3, n_quarantine=16)
CALM = 0.5
HIGH = 9.0


def play(
    scores: Sequence[float], settings: DetectionSettings = SETTINGS, quarantine: Quarantine | None = None
) -> tuple[str, list[int]]:
    """Return for every reading x when held or - when not, and the numbers of those at which it lasted too long."""
    quarantine = quarantine or Quarantine.empty(1)
    held, over = "", []
    for number, score in enumerate(scores):
        if quarantine.step(slice(0, 1), ONE, np.array([score]), settings)[0]:
            over.append(number)
        held += "x" if quarantine.is_held[0] else "-"
    return held, over


def test_it_begins_at_its_level_and_not_below() -> None:
    assert play([5.999, 6.0]) == ("-x", [])


def test_it_ends_when_it_was_quiet_for_long_enough() -> None:
    assert play([HIGH, CALM, CALM, CALM, CALM]) == ("xxx--", [])


def test_what_is_strange_again_starts_the_quiet_time_anew() -> None:
    assert play([HIGH, CALM, CALM, 5.5, CALM, CALM, CALM]) == ("xxxxxx-", [])


def test_a_score_just_under_the_level_is_not_quiet_yet() -> None:
    assert play([HIGH] + [5.9] * 10) == ("x" * 11, [])


def test_one_that_lasts_too_long_is_over_and_says_so() -> None:
    held, over = play([HIGH] * 17)
    assert over == [16]
    assert held == "x" * 16 + "-"


def test_a_quiet_end_at_the_last_moment_is_a_quiet_one() -> None:
    assert play([HIGH] * 14 + [CALM] * 3) == ("x" * 16 + "-", [])


def test_after_the_end_what_is_still_strange_begins_another_with_a_count_of_its_own() -> None:
    held, over = play([HIGH] * 34)
    assert over == [16, 33]
    assert held == ("x" * 16 + "-") * 2


def test_quiet_readings_before_it_do_not_count() -> None:
    assert play([CALM] * 10 + [HIGH, CALM, CALM])[0] == "-" * 10 + "xxx"


def test_a_missing_score_begins_nothing_and_counts_as_quiet() -> None:
    assert play([NAN, NAN]) == ("--", [])
    assert play([HIGH, NAN, NAN, NAN]) == ("xxx-", [])


def test_a_level_out_of_reach_means_never() -> None:
    never = DetectionSettings(quarantine_level=31.0)
    assert play([30.0] * 5, never) == ("-----", [])


def test_it_does_not_depend_on_how_many_alerts_are_wanted() -> None:
    scores = np.random.default_rng(1).exponential(3, 500).tolist()
    many = SETTINGS.model_copy(update={"false_alarms_per_stream": "1 per hour"})
    expected = play(scores)
    assert play(scores, many) == expected
    assert {"x", "-"} == set(expected[0])


@pytest.mark.parametrize("cut", [3, 20, 40])
def test_one_put_back_goes_on_as_if_nothing_had_happened(cut: int) -> None:
    scores = [CALM, HIGH, *[5.0] * 20, *[CALM] * 30, HIGH, HIGH]
    before, after = Quarantine.empty(1), Quarantine.empty(1)
    held, _ = play(scores[:cut], quarantine=before)
    after.put(ONE, before.take(ONE))
    assert held + play(scores[cut:], quarantine=after)[0] == play(scores)[0]


def test_streams_do_not_hold_each_other() -> None:
    scores = np.random.default_rng(2).exponential(3, (300, 4))
    together, held = Quarantine.empty(4), []
    for row in scores:
        together.step(slice(0, 4), np.arange(4), row, SETTINGS)
        held.append(together.is_held.copy())
    for stream in range(4):
        expected = "".join("x" if row[stream] else "-" for row in held)
        assert play(scores[:, stream].tolist())[0] == expected
