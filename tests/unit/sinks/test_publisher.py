"""Messages wait while the broker is away, within bounds, until it has acknowledged them."""

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from pipeline.core.alert_records import Alert, Incident, Member, StreamState
from pipeline.core.records import EpisodeEvent, Event
from pipeline.sinks.outbox import Outbox
from pipeline.sinks.outgoing import Announcer, Outgoing, outgoing
from pipeline.sinks.publisher import MAX_HANDED_OVER, Publisher

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
    announcer = Announcer("foretell", "home")
    alert, state = announcer.alert(EVENT), announcer.state(StreamState("pump", "open"))
    publisher = Publisher(client)
    publisher.send(alert)
    publisher.send(state)
    assert publisher.room == MAX_HANDED_OVER - 2
    assert publisher.acknowledged() == []
    acknowledge(client, 2)
    acknowledge(client, 1)
    assert publisher.acknowledged(60.0) == [state.key, alert.key]
    assert (publisher.acknowledged(), publisher.room) == ([], MAX_HANDED_OVER)


def test_an_acknowledgement_may_come_before_publish_has_returned(
    client: paho.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def publish(_topic: str, _payload: str, **_more: object) -> paho.MQTTMessageInfo:
        acknowledge(client, 5)
        return paho.MQTTMessageInfo(5)

    monkeypatch.setattr(client, "publish", publish)
    publisher = Publisher(client)
    publisher.send(numbered(0))
    assert publisher.acknowledged() == [numbered(0).key]
    assert publisher.room == MAX_HANDED_OVER


def test_an_incident_is_one_retained_message_of_its_device(
    client: paho.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, int, bool]] = []
    publish = client.publish

    def noted(topic: str, payload: str, qos: int, *, retain: bool) -> paho.MQTTMessageInfo:
        sent.append((topic, qos, retain))
        return publish(topic, payload, qos=qos, retain=retain)

    monkeypatch.setattr(client, "publish", noted)
    Publisher(client).send(Announcer("foretell", "home").incident(INCIDENT))
    assert sent == [("foretell/home/incident/pump", 1, True)]


def numbered(n: int, severity: int = 0) -> Outgoing:
    return outgoing(f"t/{n}", "{}", retain=False, severity=severity)


def topics(messages: list[Outgoing]) -> list[str]:
    return [message.topic for message in messages]


def test_the_oldest_of_the_least_severe_go_first_and_are_counted() -> None:
    box = Outbox(max_messages=3)
    box.add([numbered(0, 2), numbered(1), numbered(2, 1), numbered(3), numbered(4, 2)])
    assert topics(box.take(9)) == ["t/0", "t/2", "t/4"]
    assert (box.n_dropped, len(box)) == (2, 3)


def test_bytes_are_bounded_too() -> None:
    box = Outbox(max_messages=100, max_bytes=3 * numbered(0).size_bytes)
    box.add(numbered(n) for n in range(5))
    assert topics(box.take(9)) == ["t/2", "t/3", "t/4"]


def test_what_changed_is_told_until_it_is_settled_and_what_came_and_went_is_not() -> None:
    box = Outbox(max_messages=9)
    box.restore([numbered(0)])
    box.add([numbered(1), numbered(2), numbered(1)])
    assert topics(box.take(9)) == ["t/0", "t/1", "t/2"]
    assert box.take(9) == []
    box.acknowledge([numbered(0).key, numbered(1).key, "unknown"])
    assert box.changes() == ([numbered(2)], [numbered(0).key])
    assert box.changes() == ([numbered(2)], [numbered(0).key])
    box.settle()
    box.acknowledge([numbered(2).key])
    assert box.changes() == ([], [numbered(2).key])
    assert len(box) == 0


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b'{"key": 1}'])
def test_what_is_no_kept_message_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a kept message"):
        Outgoing.unpack(data)
