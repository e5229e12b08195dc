"""Recordings of messages: what is written is read again, byte for byte; what is no message is counted."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.sources.inbox import Message, Origin
from pipeline.sources.message_files import message_header, new_message_file, read_messages
from pipeline.sources.messages import MessageHeader, message_line, parsed
from pipeline.sources.recording_table import Problems

MESSAGES = [
    Message("plant/a", b'{"t": 20.5}', retained=False, arrival_s=1_772_359_200.123456),
    Message("plant/ü\u2028", "20,5 °C\n".encode(), retained=True, arrival_s=1_772_359_201.0),
    Message("x", b"\x00\xff\n", retained=False, arrival_s=7.5, origin=Origin(1, 7.25, (("time", "5"), ("a", "b")))),
    Message("", b"", retained=False, arrival_s=1_772_359_203.0),
]
TOPICS = [{"topic": "plant/{rest}", "timezone": "Europe/Berlin"}]


def kept(path: Path) -> list[Message]:
    return list(read_messages(path, Problems(str(path))))


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
def test_messages_and_topics_come_back_as_they_were(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    file = new_message_file(path, MessageHeader(TOPICS), "--output")
    for message in MESSAGES:
        file.write(message)
    file.flush()
    file.close()
    assert message_header(path) == MessageHeader(TOPICS)
    assert kept(path) == MESSAGES


@given(topic=st.text(st.characters(codec="utf-8"), max_size=20), payload=st.binary(max_size=40), retained=st.booleans())
def test_any_payload_and_topic_survive_a_line(topic: str, payload: bytes, retained: bool) -> None:  # noqa: FBT001
    message = Message(topic, payload, retained, 7.5)
    line = message_line(message)
    assert "\n" not in line
    assert parsed(json.loads(line)) == message


def test_what_mosquitto_sub_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "sub.jsonl"
    path.write_text(
        '{"tst":"2026-03-01T11:00:00.250000Z+0100","topic":"a/b","qos":1,"retain":1,"payloadlen":4,"payload":"20.5"}\n'
        '{"tst":"2026-03-01T11:00:01.250000+0100","topic":"a/b","qos":0,"retain":0,"payloadlen":0,"payload":null}\n'
    )
    assert message_header(path) == MessageHeader()
    first, second = kept(path)
    assert first == Message("a/b", b"20.5", retained=True, arrival_s=1_772_359_200.25, origin=Origin(1))
    assert (second.payload, second.arrival_s) == (b"", 1_772_359_201.25)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1]",
        '{"topic": "a", "payload": "1"}',
        '{"topic": 5, "payload": "1", "arrival_s": 1}',
        '{"topic": "a", "payload": 5, "arrival_s": 1}',
        '{"topic": "a", "payload": "\\ud800", "arrival_s": 1}',
        '{"topic": "a", "payload_base64": "§", "arrival_s": 1}',
        '{"topic": "a", "payload": "1", "arrival_s": NaN}',
        '{"topic": "a", "payload": "1", "arrival_s": 1, "properties": [1]}',
        "[" * 100_000,
    ],
)
def test_a_line_that_is_no_message_is_counted_and_the_next_is_read(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"{MessageHeader().as_json()}\n{line}\n\n{message_line(MESSAGES[0])}\n", "utf-8")
    problems = Problems(str(path))
    assert list(read_messages(path, problems)) == [MESSAGES[0]]
    assert problems.counts["unreadable message"].n == 1
    assert problems.counts["unreadable message"].first.startswith(f"{path}:2: ")


@pytest.mark.parametrize(
    "text", ["", "timestamp,value\n", '{"timestamp": 1, "value": 2}\n', "[1]\n", "\x00\xff", "[" * 90_000]
)
def test_other_files_are_no_recordings_of_messages(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(text, "utf-8")
    assert message_header(path) is None
    assert message_header(tmp_path) is None
    assert message_header(tmp_path / "absent") is None


def test_a_later_version_and_a_wrong_header_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for header in ({"version": 2}, {"version": 1, "topics": 5}, {"version": 1, "topics": ["a"]}):
        path.write_text(json.dumps({"foretell": "messages"} | header))
        with pytest.raises(UsageError):
            message_header(path)


def test_a_new_file_replaces_nothing_unasked(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("precious")
    for wrong, match in (
        (path, "is there already"),
        (tmp_path / "a.csv", "suffix"),
        (tmp_path / "no" / "a.jsonl", "written"),
    ):
        with pytest.raises(UsageError, match=match):
            new_message_file(wrong, MessageHeader(), "--output")
    new_message_file(path, MessageHeader(), "--output", force=True).close()
    assert kept(path) == []


def test_payloads_that_are_no_text_are_written_in_base64() -> None:
    line = json.loads(message_line(MESSAGES[2]))
    assert base64.b64decode(line["payload_base64"]) == b"\x00\xff\n"
    assert line["qos"] == 1
    assert "retained" not in line
