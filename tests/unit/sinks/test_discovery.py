"""Home Assistant is told of each stream's alert once, where that is asked for."""

import json

import pytest

from pipeline.core.alert_records import StreamState
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.follow_up import News
from pipeline.runtime.teller import Teller
from pipeline.sinks.discovery import discovery
from pipeline.sinks.outbox import Outbox


def sent(settings: Settings, *states: StreamState) -> list[str]:
    outbox = Outbox(100)
    teller = Teller(settings, outbox)
    for state in states:
        teller.tell(News(states=[state]))
    return [message.topic for message in outbox.take(100)]


def test_a_binary_sensor_per_stream_before_its_first_state() -> None:
    settings = parse_settings("alerts: {home_assistant: homeassistant}", "test")
    states = [StreamState("pump/flow", state, at_s=float(i)) for i, state in enumerate(("pending", "open", "closed"))]
    config, *rest = sent(settings, *states)
    assert config.startswith("homeassistant/binary_sensor/foretell_home/pump_flow_")
    assert rest == ["foretell/home/state/pump/flow"] * 3


@pytest.mark.parametrize("alerts", ["{}", "{home_assistant: homeassistant, publish: false}"])
def test_nothing_is_sent_unless_it_is_asked_for(alerts: str) -> None:
    topics = sent(parse_settings(f"alerts: {alerts}", "test"), StreamState("pump/flow", "open", at_s=1.0))
    assert [topic for topic in topics if topic.startswith("homeassistant")] == []


def test_the_sensor_reads_the_state_topic_and_is_of_its_device() -> None:
    message = discovery("homeassistant", "foretell/home", "home", "pump-1/flow", "pump-1")
    config = json.loads(message.payload)
    assert message.retain
    assert config["state_topic"] == "foretell/home/state/pump-1/flow"
    assert "is_alert" in config["value_template"]
    assert config["device"]["identifiers"] == ["foretell_home_pump-1"]


def test_streams_whose_names_look_alike_stay_two() -> None:
    one, two = (discovery("h", "f/s", "s", stream, "d") for stream in ("a/b", "a_b"))
    assert one.topic != two.topic
    assert json.loads(one.payload)["unique_id"] != json.loads(two.payload)["unique_id"]
