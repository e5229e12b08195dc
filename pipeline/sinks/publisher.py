"""Publishes messages over MQTT, and says which of them the broker has acknowledged.

Comes in: messages, QoS 1. Goes out: the keys of those that were acknowledged. While the broker is away paho keeps what
it was given, which is bounded here, and sends it when it is back. This module refuses to know how the connection is
made and what the messages mean.
"""

import logging
from collections.abc import Sequence
from threading import Condition

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
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
        self._strays: set[int] = set()  # nobody waits for their acknowledgement
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

    def leave(self, topic: str, payload: str) -> paho.MQTTMessageInfo:
        """Publish what the broker is to retain and nobody here waits for; callable from any thread."""
        told = self._client.publish(topic, payload, qos=1, retain=True)
        with self._changed:
            if told.mid in self._early:
                self._early.remove(told.mid)
            else:
                self._strays.add(told.mid)
        return told

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
            if mid in self._strays:
                self._strays.remove(mid)
            elif key is None:
                self._early.add(mid)
            else:
                self._acknowledged.append(key)
            self._changed.notify_all()
        if code.is_failure:
            _log.warning("broker refused an alert", extra={"fields": {"why": str(code)}})


class Sender:
    """Publishes messages as they are, QoS 1, no more on their way than the broker can take; for one thread.

    Args:
        client: A paho client with no other use for its ``on_publish``.
        is_v5: It speaks MQTT 5, and so can send user properties.

    Attributes:
        n_refused: Messages that the broker refused.
    """

    def __init__(self, client: paho.Client, *, is_v5: bool) -> None:
        self.n_refused = 0
        self._client = client
        self._is_v5 = is_v5
        self._n_waiting = 0
        self._changed = Condition()
        client.on_publish = self._on_publish

    def send(self, topic: str, payload: bytes, pairs: Sequence[tuple[str, str]] = (), *, retain: bool = False) -> None:
        """Publish a message; returns at once.

        Raises:
            ValueError: The topic is none that may be published to.
        """
        properties = None
        if self._is_v5 and pairs:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # paho's own gap
            properties.UserProperty = [pair for pair in pairs if pair[0] != "content-type"]
            if content_type := dict(pairs).get("content-type"):
                properties.ContentType = content_type
        self._client.publish(topic, payload, qos=1, retain=retain, properties=properties)
        with self._changed:
            self._n_waiting += 1

    def wait(self, n_most: int, wait_s: float) -> bool:
        """Wait until no more than so many messages are on their way; return whether that came within ``wait_s``."""
        with self._changed:
            return self._changed.wait_for(lambda: self._n_waiting <= n_most, wait_s)

    def _on_publish(
        self, _client: paho.Client, _data: object, _mid: int, code: ReasonCode, _more: Properties | None
    ) -> None:
        with self._changed:
            self._n_waiting -= 1  # below 0 for a moment when it comes before ``publish`` has returned
            self.n_refused += code.is_failure
            self._changed.notify_all()
