"""A replay of messages does with each reading what the daemon did: what was late stays late."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import Health, Outcome
from pipeline.core.settings import Settings
from pipeline.decode.memory import Memory
from pipeline.runtime.intake import take_in
from pipeline.runtime.message_recording import decoded_recording
from pipeline.runtime.replay import ReplayResult, replay
from pipeline.runtime.replay_files import read_recordings
from pipeline.runtime.routes import checked_routes
from pipeline.runtime.session import Session
from pipeline.sources.inbox import Message
from pipeline.sources.message_files import message_header
from pipeline.sources.messages import MessageHeader, message_line

START_S = 1_772_359_200.0
TOPICS = [{"topic": "{rest}"}]


def settings(**more: Any) -> Settings:  # noqa: ANN401 - whatever settings hold
    quick = {
        "forecast": {"hidden": 4, "ensemble": 1},
        "training": {"steps": 1, "window": 16, "batch": 2, "in_child": False},
    }
    edge = {"mqtt": {"topics": TOPICS}, "alerts": {"publish": False}}
    return Settings.model_validate(quick | edge | more)


def message(topic: str, value: object, at_s: float, time_s: float | None = None, *, retained: bool = False) -> Message:
    payload = value if isinstance(value, str) else json.dumps({"value": value} | ({"ts": time_s} if time_s else {}))
    return Message(topic, payload.encode(), retained, START_S + at_s)


def written(path: Path, messages: list[Message]) -> Path:
    lines = [MessageHeader(TOPICS).as_json(), *map(message_line, messages)]
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return path


def replayed(path: Path, with_settings: Settings) -> ReplayResult:
    header = message_header(path)
    assert header is not None
    return replay([decoded_recording(path, header)], with_settings)


def live(messages: list[Message], with_settings: Settings) -> tuple[list[int], list[float], Session]:
    """Score message after message, and fine-tune after each, as a daemon does that has time."""
    session, routes = Session(with_settings), checked_routes(with_settings)
    memory, outcomes, forecasts = Memory(), list[int](), list[float]()
    for each in messages:
        intake = take_in([each], routes, memory)
        if len(intake.readings):
            steps = session.process(intake.readings, each.arrival_s)
            session.tell(intake.priors)
            session.fine_tune()
            outcomes += steps.outcome.tolist()
            forecasts += steps.forecast.tolist()
    return outcomes, forecasts, session


def plant(n: int) -> list[Message]:
    """Return what several streams send: some of it late or twice, some timed by arrival, one that never moves."""
    rng = np.random.default_rng(1)
    sent = []
    for i in range(n):
        at_s = 10.0 * i
        sent.append(message("a", float(rng.normal()), at_s, START_S + at_s))
        sent.append(message("b", round(float(rng.normal()), 3), at_s + 1))
        sent.append(message("still", 5.0, at_s + 2))
        if i % 3 == 0:
            sent.append(message("slow", float(rng.normal()), at_s + 3, START_S + at_s))
        if i % 30 == 25:
            sent += [message("a", 9.0, at_s + 4, START_S + at_s - 25), message("a", 9.0, at_s + 5, START_S + at_s)]
    return sent


@pytest.mark.parametrize("sharing", ["stream", "fleet"])
def test_a_replay_of_messages_is_what_a_daemon_does_message_by_message(tmp_path: Path, sharing: str) -> None:
    chosen = settings()
    chosen = chosen.model_copy(update={"forecast": chosen.forecast.model_copy(update={"sharing": sharing})})
    messages = plant(75)
    outcomes, forecasts, session = live(messages, chosen)
    found = replayed(written(tmp_path / "a.jsonl", messages), chosen)
    assert found.steps.outcome.tolist() == outcomes
    assert {Outcome.ACCEPTED, Outcome.LATE, Outcome.DUPLICATE} <= set(outcomes)
    assert found.fine_tunes == session.fine_tunes
    np.testing.assert_allclose(found.steps.forecast, forecasts, rtol=0, atol=1e-6)
    assert np.isfinite(forecasts).sum() > 150


def test_limits_that_a_publisher_told_hold_from_then_on(tmp_path: Path) -> None:
    sent = [message("homie/a/n/t", "50", 10.0 * i) for i in range(3)]
    sent += [message("homie/a/n/t/$format", "0:40", 25.0, retained=True)]
    sent += [message("homie/a/n/t", str(20 + i % 3), 30.0 + 10 * i) for i in range(20)]
    sent += [message("homie/a/n/t", "45", 300.0)]
    found = replayed(written(tmp_path / "a.jsonl", sent), settings())
    raised = [event.at_s - START_S for event in found.steps.health_events if event.verdict is Health.OUT_OF_RANGE]
    assert raised == [300.0]


def test_readings_that_came_retained_are_not_scored(tmp_path: Path) -> None:
    sent = [message("a", 1.0, 0.0, retained=True), message("a", 2.0, 10.0)]
    assert replayed(written(tmp_path / "a.jsonl", sent), settings()).steps.outcome.tolist() == [
        Outcome.RETAINED,
        Outcome.ACCEPTED,
    ]


def test_topics_are_those_of_the_recording_unless_a_configuration_is_given(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [message("plant/a", 1.0, 0.0), message("house/b", 1.0, 1.0)])
    said: list[str] = []
    (own,) = read_recordings([path], said.append)
    assert list(own.readings.names) == ["plant/a", "house/b"]
    chosen = Settings.model_validate({"mqtt": {"topics": [{"topic": "plant/{x}", "stream": "{x}"}]}})
    (given,) = read_recordings([path], said.append, chosen)
    assert list(given.readings.names) == ["a"]
    (line,) = said
    assert line.startswith(f"{path}: left out 1 for bad_topic, the first at {path}:2: house/b no entry of mqtt.topics")


def test_messages_and_tables_are_replayed_together(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("timestamp,value\n" + "".join(f"{int(START_S) + 10 * i},{i}\n" for i in range(5)))
    path = written(tmp_path / "a.jsonl", [message("a", 1.0, 10.0 * i) for i in range(5)])
    found = replay(read_recordings([table, path], print), settings())
    assert found.counts["accepted"] == 10


def test_a_recording_without_readings_says_why(tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [message("a", "ON", 0.0), message("a", "{", 0.0)])
    header = message_header(path)
    assert header is not None
    with pytest.raises(UsageError, match="none of its 2 messages gave a reading: 1 no_number, 1 malformed"):
        decoded_recording(path, header)
    with pytest.raises(UsageError, match="topics in its header are wrong"):
        decoded_recording(path, MessageHeader([{"topic": "a/#", "colour": 1}]))
