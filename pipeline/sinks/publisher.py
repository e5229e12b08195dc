"""Publishes messages over MQTT, and says which of them the broker has acknowledged.

Comes in: messages, QoS 1. Goes out: the keys of those that were acknowledged. While the broker is away paho keeps what
it was given, which is bounded here, and sends it when it is back. This module refuses to know how the connection is
made and what the messages mean.
"""

import logging
from threading import Condition

import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from pipeline.sinks.outgoing import Outgoing

#: Messages handed to paho and not acknowledged yet, at most.
MAX_HANDED_OVER = 200

_log = logging.getLogger(__name__)


class Publisher:
    """Publishes on a connection that somebody else keeps up; for one thread, beside paho's own.

    Args:
        client: A paho client, not yet connected and with no other use for its ``on_publish``.
    """

    def __init__(self, client: paho.Client) -> None:
        self._client = client
        self._keys: dict[int, str] = {}  # by packet identifier
        self._early: set[int] = set()  # acknowledged before ``publish`` had returned
        self._acknowledged: list[str] = []
        self._changed = Condition()
        client.on_publish = self._on_publish

    @property
    def room(self) -> int:
        """Messages that may be sent now."""
        return MAX_HANDED_OVER - len(self._keys)

    def send(self, message: Outgoing) -> None:
        """Publish a message; returns at once."""
        # Not under our lock: paho calls back while it holds a lock of its own, which ``publish`` takes too.
        mid = self._client.publish(message.topic, message.payload, qos=1, retain=message.retain).mid
        with self._changed:
            if mid in self._early:
                self._early.remove(mid)
                self._acknowledged.append(message.key)
            else:
                self._keys[mid] = message.key

    def acknowledged(self, wait_s: float = 0.0) -> list[str]:
        """Return the keys acknowledged since the last call; waits for a first one for ``wait_s`` at most."""
        with self._changed:
            self._changed.wait_for(lambda: self._acknowledged, wait_s)
            keys, self._acknowledged = self._acknowledged, []
            return keys

    def _on_publish(
        self, _client: paho.Client, _data: object, mid: int, code: ReasonCode, _more: Properties | None
    ) -> None:
        with self._changed:
            key = self._keys.pop(mid, None)
            if key is None:
                self._early.add(mid)
            else:
                self._acknowledged.append(key)
            self._changed.notify_all()
        if code.is_failure:
            _log.warning("broker refused an alert", extra={"fields": {"why": str(code)}})
