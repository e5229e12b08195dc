"""The MQTT edge without a broker: callbacks that never end the network thread."""

import logging

import paho.mqtt.client as paho
import pytest

from pipeline.core.clock import ManualClock
from pipeline.core.edge_settings import MqttSettings
from pipeline.sources.inbox import Inbox, Message
from pipeline.sources.mqtt import MqttSource


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
        def put(self, message: Message, patience_s: float = 0.0) -> bool:
            raise OSError(message.topic, patience_s)

    source = make_source(BrokenInbox(10))
    with caplog.at_level(logging.ERROR):
        receive(source, b"a/b", b"1")
    assert source.connection.n_failures == 1
    assert "message lost" in caplog.messages
