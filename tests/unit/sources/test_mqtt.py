"""The MQTT edge without a broker: secrets, and callbacks that never end the network thread."""

import logging
from pathlib import Path

import paho.mqtt.client as paho
import pytest

from pipeline.core.clock import ManualClock
from pipeline.core.edge_settings import MqttSettings
from pipeline.core.errors import UsageError
from pipeline.sources.inbox import Inbox, Message
from pipeline.sources.mqtt import Connection, MqttSource

CANARY = "canary-7f3a"


def make_source(inbox: Inbox, settings: MqttSettings | None = None) -> MqttSource:
    return MqttSource(settings or MqttSettings(), ["a/#"], inbox, ManualClock(5.0), max_payload_bytes=4)


def receive(source: MqttSource, topic: bytes, payload: bytes, *, retain: bool = False) -> None:
    """Hand a message to the callback as paho would."""
    message = paho.MQTTMessage(topic=topic)
    message.payload = payload
    message.retain = retain
    callback = source.connection.client.on_message
    assert callback is not None
    callback(source.connection.client, None, message)


def test_a_message_is_put_into_the_inbox_with_its_arrival_time() -> None:
    inbox = Inbox(10)
    receive(make_source(inbox), b"a/b", b"20.5", retain=True)
    assert inbox.drain(10, 0, 0) == [Message("a/b", b"20.5", retained=True, arrival_s=5.0)]


def test_a_payload_that_is_too_large_is_cut_just_past_the_limit() -> None:
    inbox = Inbox(10)
    receive(make_source(inbox), b"a/b", b"123456789")
    assert inbox.drain(10, 0, 0)[0].payload == b"12345"


def test_a_topic_that_is_not_text_arrives_as_an_empty_one() -> None:
    inbox = Inbox(10)
    receive(make_source(inbox), b"\xff", b"1")
    assert inbox.drain(10, 0, 0)[0].topic == ""


def test_an_error_in_the_callback_is_counted_and_stays_inside(caplog: pytest.LogCaptureFixture) -> None:
    class BrokenInbox(Inbox):
        def put(self, message: Message) -> None:
            raise OSError(message.topic)

    source = make_source(BrokenInbox(10))
    with caplog.at_level(logging.ERROR):
        receive(source, b"a/b", b"1")
    assert source.n_failures == 1
    assert "message lost" in caplog.messages


def secret(folder: Path, content: bytes, mode: int = 0o600) -> MqttSettings:
    path = folder / "password"
    path.write_bytes(content)
    path.chmod(mode)
    return MqttSettings(username="user", password_file=str(path))


def test_the_password_is_read_without_its_line_end_and_shown_nowhere(tmp_path: Path) -> None:
    connection = Connection(secret(tmp_path, f"{CANARY}\n".encode()), "me", keep_session=True)
    assert connection.client.password == CANARY
    assert CANARY not in repr(connection)
    assert CANARY not in repr(connection.client)


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (CANARY.encode(), 0o640, "others may read"),
        (b"", 0o600, "holds no password"),
        (b"\n", 0o600, "holds no password"),
        (b"\xff", 0o600, "holds no password"),
        (b"x" * 2000, 0o600, "holds no password"),
    ],
)
def test_a_password_file_that_is_unsafe_or_useless_is_refused(
    tmp_path: Path, content: bytes, mode: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as error:
        Connection(secret(tmp_path, content, mode), "me", keep_session=True)
    assert CANARY not in str(error.value)


def test_a_missing_password_file_and_one_without_a_user_are_refused(tmp_path: Path) -> None:
    missing = MqttSettings(username="user", password_file=str(tmp_path / "none"))
    with pytest.raises(UsageError, match="cannot read"):
        Connection(missing, "me", keep_session=True)
    lonely = secret(tmp_path, b"x").model_copy(update={"username": ""})
    with pytest.raises(UsageError, match="without a user"):
        Connection(lonely, "me", keep_session=True)
