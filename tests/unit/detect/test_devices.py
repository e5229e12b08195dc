"""Devices and neighbours: who belongs together, and who was surprising at the same time."""

import numpy as np
import pytest

from pipeline.core.device_settings import DevicePattern, DeviceSettings
from pipeline.detect.devices import MAX_NEIGHBOURS, N_KEPT, Surprises, bar, device_of, is_surprising

LEVEL = 5.0


@pytest.mark.parametrize(
    ("stream", "levels", "device"),
    [
        ("plant/pump-1/temperature", 0, "plant/pump-1"),
        ("pump-1", 0, "pump-1"),
        ("plant/pump-1/bearing/temperature", 2, "plant/pump-1"),
        ("plant/pump-1/temperature", 1, "plant"),
        ("pump-1/temperature", 5, "pump-1"),
        ("/temperature", 0, "/temperature"),
    ],
)
def test_the_device_is_the_beginning_of_the_name(stream: str, levels: int, device: str) -> None:
    assert device_of(stream, DeviceSettings(levels=levels)) == device


def test_the_first_pattern_that_matches_names_the_device() -> None:
    patterns = (DevicePattern(match="press-*/*", device="press-line"), DevicePattern(match="*", device="rest"))
    settings = DeviceSettings(patterns=patterns)
    assert device_of("press-3/force", settings) == "press-line"
    assert device_of("pump/flow", settings) == "rest"


def test_a_reading_without_score_or_level_is_not_surprising() -> None:
    score = np.array([2.5, 2.4, np.nan, 9.0, 9.0])
    level = np.array([5.0, 5.0, 5.0, np.nan, np.inf])
    assert is_surprising(score, level).tolist() == [True, False, False, False, False]


def surprises(*streams: str, settings: DeviceSettings | None = None) -> Surprises:
    found = Surprises(settings or DeviceSettings())
    for stream in streams:
        found.admit(stream)
    return found


def names(found: Surprises, stream: str, begin_s: float = 0.0, end_s: float = 100.0) -> list[str]:
    return [each.stream for each in found.neighbours(stream, begin_s, end_s, 8)]


def test_only_others_of_that_time_are_neighbours() -> None:
    found = surprises("a/x", "a/early", "a/now", "a/later", "a/quiet")
    for stream, time_s in (("a/x", 50.0), ("a/early", -1.0), ("a/now", 100.0), ("a/later", 101.0)):
        found.note(stream, time_s, 6.0, LEVEL)
    assert names(found, "a/x") == ["a/now"]


def test_the_device_comes_first_then_the_most_surprising() -> None:
    found = surprises("a/x", "a/little", "a/much", "b/most")
    for stream, score in (("a/little", 3.0), ("a/much", 4.0), ("b/most", 9.0)):
        found.note(stream, 50.0, score, LEVEL)
    assert names(found, "a/x") == ["a/much", "a/little", "b/most"]
    assert [each.is_of_device for each in found.neighbours("a/x", 0.0, 100.0, 8)] == [True, True, False]


def test_a_big_site_needs_more_surprise_than_the_own_device() -> None:
    found = surprises("a/x", "a/y", *(f"b/{i}" for i in range(500)))
    found.note("a/y", 50.0, 3.0, LEVEL)
    found.note("b/7", 50.0, 3.0, LEVEL)
    found.note("b/8", 50.0, 4.8, LEVEL)
    assert names(found, "a/x") == ["a/y", "b/8"]


def test_chance_alone_names_few() -> None:
    """Scores of noise: -log10 of uniform numbers, 500 streams, 8 readings each; neighbours stay rare."""
    rng = np.random.default_rng(1)
    level = np.full(500 * 8, 12.0)
    n_named = [(-np.log10(rng.uniform(size=500 * 8)) >= bar(level, 500, 8)).sum() for _ in range(300)]
    assert np.mean(n_named) < 0.2


def test_an_alert_of_its_own_is_always_surprising_enough() -> None:
    assert bar(np.array([5.0]), 10**6, 10**6).tolist() == [5.0]


def test_neighbours_are_at_most_eight() -> None:
    found = surprises("a/x", *(f"a/{i}" for i in range(50)))
    for i in range(50):
        found.note(f"a/{i}", 50.0, 6.0 + i, LEVEL)
    assert names(found, "a/x") == [f"a/{i}" for i in range(49, 49 - MAX_NEIGHBOURS, -1)]


def test_old_surprises_make_room_for_new_ones() -> None:
    found = surprises("a/x", "a/y")
    found.note("a/y", 10.0, 9.0, LEVEL)
    for i in range(N_KEPT):
        found.note("a/y", 90.0 + i, 6.0, LEVEL)
    assert names(found, "a/x", 0.0, 20.0) == []
    assert found.neighbours("a/x", 80.0, 100.0, 8)[0].score == 6.0


def test_sensors_of_a_device_are_counted_once() -> None:
    found = surprises("a/x", "a/y", "a/x", "b/z")
    assert (found.n_sensors("a"), found.n_sensors("b"), found.n_sensors("c")) == (2, 1, 0)
