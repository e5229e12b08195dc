"""Alerts are queued while the broker is away, within bounds, and counted when they do not fit."""

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from pipeline.core.alert_records import Alert, Incident, Member
from pipeline.core.records import EpisodeEvent, Event
from pipeline.sinks import publisher as module
from pipeline.sinks.publisher import AlertPublisher

EVENT = Alert(
    EpisodeEvent(Event.OPEN, "pump/t", "0" * 16, 1.0, 2.0, 6.0, 2.0, 3.0, 1.0, 0.0, 2.0, 4.5, "next_reading"), "pump"
)
MEMBER = Member("pump/t", "0" * 16, 1.0, 1.0, 1.5, is_open=True, severity="major")
INCIDENT = Incident(
    "1" * 16, "pump", is_open=True, opened_s=1.0, at_s=2.0, members=(MEMBER,), n_sensors=2, device_margin=1.2
)


@pytest.fixture
def client() -> paho.Client:
    """A client that was never connected: what it is given, it keeps."""
    return paho.Client(CallbackAPIVersion.VERSION2, client_id="test")


def acknowledge(client: paho.Client, mid: int) -> None:
    """Say what paho says when the broker has acknowledged a message."""
    callback = client.on_publish
    assert callback is not None
    callback(client, None, mid, ReasonCode(PacketTypes.PUBACK), None)  # type: ignore[call-arg,arg-type]  # v1 or v2


def test_an_alert_and_its_state_wait_for_the_broker(client: paho.Client) -> None:
    alerts = AlertPublisher(client, "foretell", "home")
    alerts.publish(EVENT)
    assert alerts.n_waiting == 2
    assert alerts.flush(0.0) is False
    acknowledge(client, 1)
    acknowledge(client, 2)
    assert alerts.flush(0.0) is True
    assert alerts.n_dropped == 0


def test_an_incident_is_one_retained_message_of_its_device(
    client: paho.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, int, bool]] = []
    publish = client.publish

    def noted(topic: str, payload: str, qos: int, *, retain: bool) -> paho.MQTTMessageInfo:
        sent.append((topic, qos, retain))
        return publish(topic, payload, qos=qos, retain=retain)

    monkeypatch.setattr(client, "publish", noted)
    AlertPublisher(client, "foretell", "home").publish_incident(INCIDENT)
    assert sent == [("foretell/home/incident/pump", 1, True)]


def test_what_waits_is_bounded_and_what_does_not_fit_is_counted(
    client: paho.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 4)
    alerts = AlertPublisher(client, "foretell", "home")
    for _ in range(3):
        alerts.publish(EVENT)
    assert alerts.n_waiting == 4
    assert alerts.n_dropped == 2
