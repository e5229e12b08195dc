"""Publishes over MQTT: alerts as they happen, states of streams, incidents of devices, health verdicts.

Comes in: episodes that opened or closed, incidents that changed, verdicts that were raised or cleared. Goes out:
``PREFIX/SITE/alert/STREAM`` and ``PREFIX/SITE/health/STREAM``, and retained ``PREFIX/SITE/state/STREAM`` and
``PREFIX/SITE/incident/DEVICE``, all QoS 1. While the broker is away paho keeps a bounded number of them and sends
them after it is back. This module refuses to know how the connection is made.
"""

import logging
from threading import Condition

import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from pipeline.core.alert_records import Alert, Incident
from pipeline.core.records import HealthEvent
from pipeline.sinks.alerts import alert_json, incident_json, state_json, verdict_json

#: Messages waiting for the broker at most, two for each alert.
MAX_WAITING = 2000

_log = logging.getLogger(__name__)


class AlertPublisher:
    """Publishes alerts on a connection that somebody else keeps up.

    Args:
        client: A paho client, not yet connected and with no other use for its ``on_publish``.
        prefix: First part of the topics.
        site: Second part of the topics, and ``site`` in the alert.

    Attributes:
        n_dropped: Messages not published because too many were waiting.
    """

    def __init__(self, client: paho.Client, prefix: str, site: str) -> None:
        self.n_dropped = 0
        self._client = client
        self._base = f"{prefix}/{site}"
        self._site = site
        self._n_waiting = 0
        self._acknowledged = Condition()
        client.max_queued_messages_set(MAX_WAITING)
        client.on_publish = self._on_publish

    @property
    def n_waiting(self) -> int:
        """Messages that the broker has not acknowledged yet."""
        return self._n_waiting

    def publish(self, told: Alert) -> None:
        """Publish an alert and the state it leaves its stream in; returns at once."""
        self._send(f"{self._base}/alert/{told.event.stream}", alert_json(told, self._site), retain=False)
        self._send(f"{self._base}/state/{told.event.stream}", state_json(told), retain=True)

    def publish_incident(self, told: Incident) -> None:
        """Publish what a device's incident is now; returns at once."""
        self._send(f"{self._base}/incident/{told.device}", incident_json(told, self._site), retain=True)

    def publish_verdict(self, event: HealthEvent) -> None:
        """Publish a verdict that was raised or cleared; returns at once."""
        self._send(f"{self._base}/health/{event.stream}", verdict_json(event, self._site), retain=False)

    def flush(self, limit_s: float) -> bool:
        """Wait until the broker has acknowledged everything.

        Args:
            limit_s: How long to wait at most, seconds.

        Returns:
            True when nothing is waiting any more.
        """
        with self._acknowledged:
            return self._acknowledged.wait_for(lambda: self._n_waiting == 0, limit_s)

    def _send(self, topic: str, payload: str, *, retain: bool) -> None:
        self._count(1)  # before publishing: the acknowledgement may overtake us
        if self._client.publish(topic, payload, qos=1, retain=retain).rc == paho.MQTT_ERR_QUEUE_SIZE:
            self._count(-1)
            self.n_dropped += 1
            _log.warning("alert dropped", extra={"fields": {"topic": topic, "n_dropped": self.n_dropped}})

    def _count(self, change: int) -> None:
        with self._acknowledged:
            self._n_waiting += change
            self._acknowledged.notify_all()

    def _on_publish(
        self, _client: paho.Client, _data: object, _mid: int, code: ReasonCode, _more: Properties | None
    ) -> None:
        self._count(-1)
        if code.is_failure:
            _log.warning("broker refused an alert", extra={"fields": {"why": str(code)}})


def publish_filters(prefix: str, site: str) -> tuple[str, ...]:
    """Return topic filters that match everything published here.

    Example:
        >>> publish_filters("foretell", "home")
        ('foretell/home/alert/#', 'foretell/home/state/#', 'foretell/home/health/#', 'foretell/home/incident/#')
    """
    return tuple(f"{prefix}/{site}/{what}/#" for what in ("alert", "state", "health", "incident"))
