"""Prefix: what comes later changes no step of a public recording, bit for bit, while its networks are trained."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.records import Event, Steps
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.replay import ReplayResult, replay
from pipeline.sources.recording import Recording, read_recording

#: Small networks, trained little but as often as ever: the order of events is what is tried, not the forecasts.
LIGHT = "forecast: {hidden: 6}\ntraining: {steps: 2, batch: 8}"
RECORDINGS = {
    "realKnownCause/ec2_request_latency_system_failure.csv": (437, 3440),  # the last within an open episode
    "realAWSCloudwatch/iio_us-east-1_i-a2eb1cd9_NetworkIn.csv": (1001,),
}
COLUMNS = ("outcome", "forecast", "lower", "upper", "score", "level", "event", "opened", "health")


def settings() -> Settings:
    return parse_settings(LIGHT, "test")


def first(recording: Recording, n: int) -> Recording:
    return replace(recording, readings=recording.readings.rows(np.arange(n)))


@pytest.fixture(scope="module", params=RECORDINGS)
def whole(request: pytest.FixtureRequest, data_dir: Path) -> tuple[str, Recording, ReplayResult]:
    """A recording with what becomes of all of it."""
    recording = read_recording(data_dir / "nab" / "data" / request.param)
    return request.param, recording, replay([recording], settings())


def test_the_first_readings_alone_have_the_steps_and_alerts_that_they_have_in_all(
    whole: tuple[str, Recording, ReplayResult],
) -> None:
    name, recording, full = whole
    for n in RECORDINGS[name]:
        part = replay([first(recording, n)], settings())
        assert len(part.steps.outcome) == n
        for column in COLUMNS:
            found, expected = getattr(part.steps, column), getattr(full.steps, column)[:n]
            assert found.tobytes() == expected.tobytes(), (n, column)
        for found_events, all_events in (
            (part.steps.events, full.steps.events),
            (part.steps.health_events, full.steps.health_events),
        ):
            assert list(found_events) == list(all_events[: len(found_events)])
        assert part.fine_tunes["accepted"] > 0


def n_of(steps: Steps, event: Event, end: int | None = None) -> int:
    return int((steps.event[:end] == event).sum())


def test_the_recordings_do_hold_scores_alerts_and_fine_tunes(whole: tuple[str, Recording, ReplayResult]) -> None:
    """The prefix would agree of an engine that never scored and never alerted: make sure that these do."""
    name, _, full = whole
    assert np.isfinite(full.steps.score).mean() > 0.8
    assert full.fine_tunes["accepted"] >= 20
    if "latency" in name:
        last = RECORDINGS[name][-1]
        assert n_of(full.steps, Event.OPEN, last) > n_of(full.steps, Event.CLOSE, last) > 0
