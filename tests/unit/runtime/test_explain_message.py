"""What ``foretell explain-message`` tells: the first answer to "I get no data"."""

import pytest

from pipeline.core.settings import Settings, parse_settings
from pipeline.decode.reasons import Reason
from pipeline.runtime.explain_message import (
    Explanation,
    explain_messages,
    explanation_json,
    explanation_lines,
    routes_of,
)
from pipeline.runtime.remedies import remedy
from pipeline.sources.inbox import Message, Origin

ARRIVAL_S = 1_772_359_300.0


def told(
    topic: str,
    payload: bytes,
    settings: Settings | None = None,
    *,
    retained: bool = False,
    properties: tuple[tuple[str, str], ...] = (),
) -> Explanation:
    message = Message(topic, payload, retained, ARRIVAL_S, origin=Origin(properties=properties))
    (explained,) = explain_messages([message], routes_of(settings))
    return explained


def text(explained: Explanation) -> str:
    return "\n".join(explanation_lines(explained))


def test_profile_streams_values_times_and_what_is_no_reading_are_told() -> None:
    shown = text(told("zigbee2mqtt/hall", b'{"temperature": 4.5, "state": "ON", "last_seen": "2026-03-01T09:12:44Z"}'))
    assert "profile   zigbee2mqtt, recognised: Zigbee2MQTT" in shown
    assert "  hall/temperature = 4.5 at 2026-03-01T09:12:44.000Z by payload" in shown
    assert "no readings: state (text)" in shown


def test_the_source_of_each_time_is_told() -> None:
    def timed_by(payload: bytes, properties: tuple[tuple[str, str], ...] = ()) -> list[str]:
        return [each.timed_by for each in told("a/b", payload, properties=properties).readings]

    assert timed_by(b'{"time": 1772359200, "x": 1}') == ["payload"]
    assert timed_by(b'{"x": 1}', (("time", "1772359200"),)) == ["MQTT property"]
    assert timed_by(b'{"x": 1}') == ["arrival"]
    assert timed_by(b'[{"n": "a", "v": 1, "t": 1772359200}, {"n": "b", "v": 2}]') == ["payload", "arrival"]


def test_a_local_time_of_nobody_knows_where_names_the_setting() -> None:
    explained = told("tele/boiler/SENSOR", b'{"Time": "2026-03-01T10:15:00", "DS18B20": {"Temperature": 54.3}}')
    assert explained.readings[0].timed_by == "arrival"
    assert any("mqtt.topics[].timezone" in note for note in explained.notes)


def test_readings_that_will_not_be_scored_say_so() -> None:
    assert told("a/b", b"1", retained=True).readings[0].note.startswith("retained")
    assert told("a/b", b'{"time": 1872359200, "x": 1}').readings[0].note.startswith("in the future")


def test_a_topic_that_no_entry_matches_is_told_what_is_read() -> None:
    settings = parse_settings('mqtt: {topics: [{topic: "plant/{d}/{s}"}]}', "test.yaml")
    shown = text(told("house/t", b"1", settings))
    assert "read by   no entry of mqtt.topics" in shown
    assert "to do     add the topic to mqtt.topics; read are: plant/+/+" in shown


def test_a_topic_that_is_ignored_says_why() -> None:
    explained = told("zigbee2mqtt/bridge/state", b"online")
    assert explained.outcome == "ignored"
    assert "bridges" in explained.remedy


def test_a_rejection_names_its_reason_and_what_to_do() -> None:
    shown = text(told("a/b", b'{"x": [1, 2]}'))
    assert "outcome   rejected, nested: it holds list" in shown
    assert "no readings: x (list)" in shown
    assert "mapping" in shown.partition("to do")[2]


def test_later_messages_know_what_earlier_ones_said() -> None:
    unit, value = (("homie/a/n/t/$unit", b"bar", True), ("homie/a/n/t", b"2.5", False))
    messages = [Message(topic, payload, retained, ARRIVAL_S) for topic, payload, retained in (unit, value)]
    first, second = explain_messages(messages, routes_of(None))
    assert first.outcome == "metadata"
    assert any("unit bar" in note for note in second.notes)


@pytest.mark.parametrize("outcome", [*Reason, "ignored"])
def test_every_reason_has_a_remedy(outcome: str) -> None:
    assert remedy(outcome, routes_of(None))


@pytest.mark.parametrize(
    "payload", [b'{"a\x1b[31m": "\x1b[2J"}', b'{"a\\u001b[31m\\n": "x", "y\\u0000": 1}', b"\x1b[31m"]
)
def test_nothing_of_a_message_reaches_the_terminal_unescaped(payload: bytes) -> None:
    explained = told("a/\x1b[31m\nb", payload)
    assert all(line.isprintable() for line in explanation_lines(explained))
    explained = told("a/b", payload)
    assert all(line.isprintable() for line in explanation_lines(explained))
    assert explanation_json(explained)["outcome"] in {"malformed", "no_number", "bad_key"}
