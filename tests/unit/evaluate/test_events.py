"""Events are counted once, however they are sliced, and the volume under the surface agrees with its definition."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.records import F64, Bool
from pipeline.evaluate.events import EventCounts, Span, count_events, delays, per_day, widened
from pipeline.evaluate.volume import soft_labels, stretches, vus_pr

SPANS = st.lists(st.tuples(st.integers(0, 80), st.integers(0, 15)).map(lambda s: (s[0], s[0] + s[1])), max_size=8)


def _positions(spans: Sequence[Span], n: int = 200) -> Bool:
    inside = np.zeros(n, np.bool_)
    for first, last in spans:
        inside[int(first) : int(last) + 1] = True
    return inside


def test_a_label_met_twice_is_found_once_and_one_prediction_may_find_two() -> None:
    assert count_events([(0, 3), (5, 6)], [(2, 8)]) == EventCounts(n_labels=1, n_found=1, n_false=0)
    assert count_events([(0, 30)], [(2, 8), (12, 14)]) == EventCounts(n_labels=2, n_found=2, n_false=0)


def test_the_ends_of_stretches_belong_to_them() -> None:
    assert count_events([(0, 10)], [(10, 20)]).n_found == 1
    assert count_events([(0, 9)], [(10, 20)]) == EventCounts(n_labels=1, n_found=0, n_false=1)


def test_figures_of_telemanom_follow_from_its_counts() -> None:
    published = EventCounts(n_labels=36, n_found=25, n_false=2)
    assert (round(published.precision, 3), round(published.recall, 3)) == (0.926, 0.694)
    assert round(published.f1, 3) == 0.794


def test_nothing_predicted_or_nothing_labelled_leaves_figures_undefined_instead_of_perfect() -> None:
    silent, unlabelled = count_events([], [(1, 2)]), count_events([(1, 2)], [])
    assert np.isnan(silent.precision)
    assert silent.recall == silent.f1 == 0
    assert np.isnan(unlabelled.recall)
    assert unlabelled.precision == unlabelled.f1 == 0
    assert np.isnan(count_events([], []).f1)
    assert np.isnan(per_day(1, 0.0))


@given(SPANS, SPANS)
def test_counts_are_those_of_a_search_reading_by_reading(predicted: list[Span], labelled: list[Span]) -> None:
    found = sum(bool((_positions([label]) & _positions(predicted)).any()) for label in labelled)
    false = sum(not (_positions([span]) & _positions(labelled)).any() for span in predicted)
    assert count_events(predicted, labelled) == EventCounts(len(labelled), found, false)


@given(SPANS, SPANS)
def test_a_stretch_has_a_delay_exactly_when_it_is_found(predicted: list[Span], labelled: list[Span]) -> None:
    late = delays(predicted, labelled)
    assert np.isfinite(late).sum() == count_events(predicted, labelled).n_found
    assert all(0 <= delay <= last - first for delay, (first, last) in zip(late, labelled, strict=True) if delay >= 0)


@given(SPANS, st.integers(0, 12))
def test_widening_covers_the_same_readings_as_widening_each_and_leaves_gaps_between(spans: list[Span], by: int) -> None:
    wide = widened(spans, by, first=0, last=90, touching=1)
    each = [(max(first - by, 0), min(last + by, 90)) for first, last in spans]
    assert (_positions(wide) == _positions(each)).all()
    assert all(after[0] > before[1] + 1 for before, after in pairwise(wide))


def test_widening_leaves_out_what_lies_outside() -> None:
    assert widened([(-30, -20), (95, 99)], by=5, first=0, last=60) == []


def test_alerts_per_day_follow_from_the_time_covered() -> None:
    assert per_day(3, 12 * 3600.0) == 6.0


@given(st.lists(st.booleans(), max_size=30))
def test_stretches_are_the_runs_of_true(inside: list[bool]) -> None:
    flags = np.array(inside, np.bool_)
    rebuilt = np.zeros(len(flags), np.bool_)
    for start, end in stretches(flags):
        assert start < end
        assert not rebuilt[max(start - 1, 0) : end].any()
        rebuilt[start:end] = True
    assert (rebuilt == flags).all()


def test_soft_labels_add_up_between_two_stretches_and_never_exceed_one() -> None:
    labels = np.zeros(9, np.bool_)
    labels[[2, 6]] = True
    soft = soft_labels(labels, width=4)
    assert soft[4] == 1.0  # two times 0.707
    assert soft[3] == pytest.approx(np.sqrt(0.75))
    assert (soft_labels(labels, width=1) == labels).all()


def _slow_volume(score: F64, labels: Bool, buffer: int) -> float:
    """Compute the volume level by level and reading by reading, as the paper defines it."""
    areas = []
    n = len(score)
    for width in range(buffer + 1):
        soft = np.array([min(1.0, labels[i] + _fall_off(labels, i, width)) for i in range(n)])
        blocks = stretches(soft > 0)
        recall, precision = [0.0], [1.0]
        for rank in np.linspace(0, n - 1, 250).astype(int):
            above = score >= np.sort(score)[::-1][rank]
            met = np.mean([above[start:end].any() for start, end in blocks])
            recall.append(min((soft * above).sum() / ((labels.sum() + soft.sum()) / 2), 1.0) * met)
            precision.append((soft * above).sum() / above.sum())
        areas.append(np.trapezoid(precision, recall))
    return float(np.mean(areas))


def _fall_off(labels: Bool, i: int, width: int) -> float:
    """Return what the edges of other stretches add at a reading."""
    edges = [edge for start, end in stretches(labels) for edge in ((start, -1), (end - 1, 1))]
    return sum(float(np.sqrt(1 - (i - at) * side / width)) for at, side in edges if 0 < (i - at) * side <= width // 2)


@pytest.mark.parametrize("seed", range(3))
def test_volume_agrees_with_its_definition(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.zeros(120, np.bool_)
    labels[20:28] = labels[70:74] = True
    score = np.round(rng.normal(size=120) + 2.0 * labels.astype(np.float64), 1).astype(np.float64)
    assert vus_pr(score, labels, buffer=10) == pytest.approx(_slow_volume(score, labels, 10))


def test_a_perfect_score_beats_a_late_one_which_beats_noise() -> None:
    labels = np.zeros(400, np.bool_)
    labels[200:220] = True
    late = np.zeros(400)
    late[210:230] = 1.0
    noise = np.random.default_rng(1).random(400)
    perfect, lagging, chance = (vus_pr(score, labels, buffer=20) for score in (labels.astype(np.float64), late, noise))
    assert perfect > 0.9
    assert perfect > lagging > 3 * chance


def test_missing_scores_count_as_the_least_strange() -> None:
    labels = np.zeros(50, np.bool_)
    labels[30:35] = True
    score = np.where(labels, 5.0, 1.0)
    unknown = np.where(np.arange(50) < 10, np.nan, score)
    assert vus_pr(unknown, labels, buffer=4) == pytest.approx(vus_pr(np.nan_to_num(unknown), labels, buffer=4))


def test_without_a_label_or_without_a_normal_reading_there_is_no_volume() -> None:
    assert np.isnan(vus_pr(np.ones(5), np.zeros(5, np.bool_), 2))
    assert np.isnan(vus_pr(np.ones(5), np.ones(5, np.bool_), 2))
