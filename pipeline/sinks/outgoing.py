"""What is said over MQTT, as messages that can be kept: key, topic, payload, retained or not, severity.

Comes in: alerts, incidents and verdicts. Goes out: messages with stable keys: the same event gives the same key in
every run, so that a message that is stored, or sent twice, is known. Pure: refuses to know brokers and files.
"""

import json
from dataclasses import asdict, dataclass
from hashlib import blake2b

from pipeline.core.alert_records import SEVERITIES, Alert, Incident, StreamState
from pipeline.core.records import HealthEvent
from pipeline.sinks.alerts import alert_json, incident_json, state_json, verdict_json


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish, QoS 1.

    Attributes:
        key: Stable id, of topic and payload.
        topic: Topic.
        payload: Payload, JSON.
        retain: The broker keeps it as the last word on its topic.
        severity: Place in ``SEVERITIES``: where there is no room for all, the least severe go first.
    """

    key: str
    topic: str
    payload: str
    retain: bool
    severity: int

    @property
    def size_bytes(self) -> int:
        """Roughly what it holds of memory."""
        return len(self.topic) + len(self.payload) + 200

    def pack(self) -> bytes:
        """Return it as bytes."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def unpack(cls, data: bytes) -> "Outgoing":
        """Return what ``pack`` was given.

        Raises:
            ValueError: It is something else.

        Example:
            >>> sent = outgoing("foretell/home/state/pump", "{}", retain=True, severity=0)
            >>> Outgoing.unpack(sent.pack()) == sent
            True
        """
        try:
            return cls(**json.loads(data))
        except (TypeError, ValueError) as error:
            raise ValueError(f"not a kept message: {error}") from None


def outgoing(topic: str, payload: str, *, retain: bool, severity: int) -> Outgoing:
    """Return a message with its key."""
    key = blake2b(f"{topic}\0{payload}".encode(), digest_size=12).hexdigest()
    return Outgoing(key, topic, payload, retain, severity)


class Announcer:
    """Puts what there is to say into messages.

    Args:
        prefix: First part of the topics.
        site: Second part of the topics, and ``site`` in the payloads.
    """

    def __init__(self, prefix: str, site: str) -> None:
        self._base = f"{prefix}/{site}"
        self._site = site

    def alert(self, told: Alert, unit: str = "") -> Outgoing:
        """Return an alert; the unit is that of its readings, empty when unknown."""
        topic, severity = f"{self._base}/alert/{told.event.stream}", SEVERITIES.index(told.event.severity)
        return outgoing(topic, alert_json(told, self._site, unit), retain=False, severity=severity)

    def state(self, now: StreamState) -> Outgoing:
        """Return what a stream's alert is now."""
        severity = SEVERITIES.index(now.severity) if now.severity else 0
        return outgoing(f"{self._base}/state/{now.stream}", state_json(now), retain=True, severity=severity)

    def incident(self, told: Incident) -> Outgoing:
        """Return what a device's incident is now."""
        topic, severity = f"{self._base}/incident/{told.device}", SEVERITIES.index(told.severity)
        return outgoing(topic, incident_json(told, self._site), retain=True, severity=severity)

    def verdict(self, event: HealthEvent) -> Outgoing:
        """Return a verdict that was raised or cleared."""
        topic = f"{self._base}/health/{event.stream}"
        return outgoing(topic, verdict_json(event, self._site), retain=False, severity=0)

    def system(self, what: str, text: str, at: str | None) -> Outgoing:
        """Return something that happened to Foretell itself, in plain words."""
        payload = json.dumps({"event": what, "text": text, "at": at, "site": self._site})
        return outgoing(f"{self._base}/system/{what}", payload, retain=False, severity=len(SEVERITIES) - 1)


def command_topic(prefix: str, site: str) -> str:
    """Return the topic on which operators are heard.

    Example:
        >>> command_topic("foretell", "home")
        'foretell/home/command'
    """
    return f"{prefix}/{site}/command"


def publish_filters(prefix: str, site: str) -> tuple[str, ...]:
    """Return topic filters that match everything published here.

    Example:
        >>> publish_filters("foretell", "home")[:2]
        ('foretell/home/alert/#', 'foretell/home/state/#')
    """
    return tuple(f"{prefix}/{site}/{what}/#" for what in ("alert", "state", "health", "incident", "system"))
