"""Measures a broker with messages of our own: what it lets us do, and how much it keeps for a client that is slow.

Comes in: the daemon's broker settings. Goes out: ``BrokerFacts``. The probe has client ids of its own, so a running
daemon is not disturbed; it writes and reads below one topic of its own and leaves nothing behind. This module
refuses to judge what it finds.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Condition
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from pipeline.core.edge_settings import MqttSettings
from pipeline.sources.mqtt import RECEIVE_MAXIMUM, SESSION_EXPIRY_S, Connection

#: Messages sent while none is acknowledged: beyond what is in flight and what a default broker queues.
N_PROBES = RECEIVE_MAXIMUM + 1100
#: Longest wait for an answer of the broker, and the quiet after which no more messages come, seconds.
ANSWER_S, QUIET_S = 10.0, 1.5
#: Longest for a broker that saves its state with every message to take them all, seconds.
_TAKE_S = 30.0
_VERSION_TOPIC = "$SYS/broker/version"
_N_AHEAD = 500


@dataclass(slots=True)
class BrokerFacts:
    """What was found.

    Attributes:
        refusal: Why no connection came about; empty when one did.
        version: What the broker calls itself; empty where it does not say.
        limits: Properties of its answer to CONNECT that it stated, by MQTT's names.
        refused_topics: Configured topics that it did not let us subscribe to.
        is_session_kept: It still knew us when we came back.
        publish_refusal: Why it did not take our own message; empty when it did.
        n_sent: Messages of our own that it acknowledged.
        n_in_flight: Of these, how many arrived while none was acknowledged.
        n_received: How many arrived in the end.
    """

    refusal: str = ""
    version: str = ""
    limits: dict[str, int] = field(default_factory=dict)
    refused_topics: list[str] = field(default_factory=list)
    is_session_kept: bool = False
    publish_refusal: str = ""
    n_sent: int = 0
    n_in_flight: int = 0
    n_received: int = 0


def probe_broker(settings: MqttSettings, filters: Sequence[str], topic: str) -> BrokerFacts:
    """Measure a broker; takes some five seconds.

    Args:
        settings: The daemon's own.
        filters: What the daemon subscribes to.
        topic: Topic that nobody else uses, which we may write and read.

    Raises:
        UsageError: A password or TLS file is missing, wrong or readable by others.
    """
    facts = BrokerFacts()
    first = _Probe(settings, "first")
    try:
        if not first.wait_for_answer():
            facts.refusal = first.refusal
            return facts
        facts.limits = first.limits
        facts.refused_topics = first.try_filters(filters, settings.qos)
        facts.version = first.ask_version()
    finally:
        first.close()
    facts.is_session_kept = _is_session_kept(settings)
    _measure_queue(settings, topic, facts)
    return facts


class _Probe:
    """One connection whose answers can be waited for.

    Attributes:
        limits: Properties of the CONNACK.
        refusal: Why there is no connection.
        mids: Messages that arrived and were not acknowledged.
    """

    def __init__(self, settings: MqttSettings, name: str, *, keep_session: bool = False) -> None:
        self.limits: dict[str, int] = {}
        self.refusal = ""
        self.is_present = False
        self.mids: list[int] = []
        self._last: paho.MQTTMessage | None = None
        self._codes: list[ReasonCode] | None = None
        self._n_published = 0
        self._refused = ""
        self._changed = Condition()
        self._changed_s = time.monotonic()
        self._is_v5 = settings.protocol == "5"
        self.connection = Connection(settings, f"{settings.client_id}-doctor-{name}"[:64], keep_session=keep_session)
        client = self.connection.client
        self._on_connect: Any = client.on_connect
        client.on_connect = self._connected
        client.on_connect_fail = self._failed
        client.on_message = self._arrived
        client.on_subscribe = self._subscribed
        client.on_publish = self._published
        client.max_inflight_messages_set(_N_AHEAD)
        self.connection.start()

    def wait_for_answer(self) -> bool:
        """Wait until the broker took us or did not; return whether it took us."""
        self._wait(lambda: bool(self.refusal) or self.connection.is_connected, ANSWER_S)
        self.refusal = self.refusal or ("" if self.connection.is_connected else "no answer in time")
        return not self.refusal

    def close(self) -> None:
        """End the connection, and the session with it."""
        self.connection.stop()

    def subscribe(self, topic: str, qos: int) -> bool:
        """Subscribe without what is retained; return whether the broker lets us."""
        self._codes = None
        if self._is_v5:
            options = SubscribeOptions(qos=qos, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            self.connection.client.subscribe(topic, options=options)
        else:
            self.connection.client.subscribe(topic, qos)
        self._wait(lambda: self._codes is not None, ANSWER_S)
        return self._codes is not None and not any(code.is_failure for code in self._codes)

    def try_filters(self, filters: Sequence[str], qos: int) -> list[str]:
        """Return the filters that the broker refuses."""
        refused = []
        for each in filters:
            if not self.subscribe(each, qos):
                refused.append(each)
            self.connection.client.unsubscribe(each)
        return refused

    def ask_version(self) -> str:
        """Return what the broker calls itself; it retains that, where it does and lets us read it."""
        self._last = None
        self.connection.client.subscribe(_VERSION_TOPIC, 0)
        self._wait(lambda: self._last is not None and self._last.topic == _VERSION_TOPIC, QUIET_S)
        last = self._last
        is_it = last is not None and last.topic == _VERSION_TOPIC
        return last.payload[:100].decode("utf-8", "replace") if last is not None and is_it else ""

    def publish(self, topic: str, n: int) -> tuple[int, str]:
        """Publish ``n`` small messages; return how many the broker took, and why not more."""
        self._n_published = 0
        for _ in range(n):
            self.connection.client.publish(topic, b"1", qos=1)
        self._wait(lambda: self._n_published >= n or bool(self._refused), _TAKE_S)
        return self._n_published, self._refused

    def wait_for_quiet(self, n_most: int) -> int:
        """Wait until nothing arrives any more, or all did; return how many did."""
        until_s = time.monotonic() + ANSWER_S
        with self._changed:
            while len(self.mids) < n_most and time.monotonic() < until_s:
                if time.monotonic() - self._changed_s > QUIET_S:
                    break
                self._changed.wait(0.1)
        return len(self.mids)

    def acknowledge_until_quiet(self, n_most: int) -> int:
        """Acknowledge everything that arrived and arrives; return how many there were."""
        done, until_s = 0, time.monotonic() + _TAKE_S
        while time.monotonic() < until_s:
            waiting = self.mids[done:]
            for mid in waiting:
                self.connection.client.ack(mid, 1)
            done += len(waiting)
            if done >= n_most or (not waiting and time.monotonic() - self._changed_s > QUIET_S):
                break
            with self._changed:
                self._changed.wait(0.1)
        return done

    def _wait(self, condition: Callable[[], bool], limit_s: float) -> None:
        with self._changed:
            self._changed.wait_for(condition, limit_s)

    def _note(self) -> None:
        with self._changed:
            self._changed_s = time.monotonic()
            self._changed.notify_all()

    def _connected(
        self,
        client: paho.Client,
        data: object,
        flags: paho.ConnectFlags,
        code: ReasonCode,
        more: Properties | None,
    ) -> None:
        if code.is_failure:
            self.refusal = str(code)
        else:
            self.is_present = flags.session_present
            stated = more.json() if more is not None else {}  # type: ignore[no-untyped-call]  # paho's own gap
            self.limits = {name: value for name, value in stated.items() if isinstance(value, int)}
            self._on_connect(client, data, flags, code, more)
        self._note()

    def _failed(self, _client: paho.Client, _data: object) -> None:
        self.refusal = "nobody answers there, or not in the way that mqtt.tls says"
        self._note()

    def _arrived(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        self._last = message
        if message.qos:
            self.mids.append(message.mid)
        self._note()

    def _subscribed(
        self, _client: paho.Client, _data: object, _mid: int, codes: list[ReasonCode], _more: Properties | None
    ) -> None:
        self._codes = codes
        self._note()

    def _published(
        self, _client: paho.Client, _data: object, _mid: int, code: ReasonCode, _more: Properties | None
    ) -> None:
        if code.is_failure:
            self._refused = str(code)
        self._n_published += 1
        self._note()


def _is_session_kept(settings: MqttSettings) -> bool:
    """Leave and come back; the session is ended at last."""
    for _ in range(2):
        kept = _Probe(settings, "session", keep_session=True)
        try:
            if not kept.wait_for_answer():
                return False
            is_present = kept.is_present
            has_time = kept.limits.get("SessionExpiryInterval", SESSION_EXPIRY_S) >= SESSION_EXPIRY_S
            kept.subscribe("foretell-doctor/none", 0)  # a session without a subscription may be forgotten
        finally:
            kept.close()
        if is_present:
            break
    forgotten = _Probe(settings, "session")  # with a clean start, so that nothing stays behind
    with suppress(OSError):
        forgotten.wait_for_answer()
    forgotten.close()
    return is_present and has_time


def _measure_queue(settings: MqttSettings, topic: str, facts: BrokerFacts) -> None:
    """Receive without acknowledging while messages of our own come, and see how many the broker keeps."""
    reader, writer = _Probe(settings, "in"), _Probe(settings, "out")
    try:
        if not (reader.wait_for_answer() and writer.wait_for_answer() and reader.subscribe(topic, 1)):
            facts.publish_refusal = reader.refusal or writer.refusal or "subscription refused"
            return
        facts.n_sent, facts.publish_refusal = writer.publish(topic, N_PROBES)
        if facts.publish_refusal:
            return
        facts.n_in_flight = reader.wait_for_quiet(facts.n_sent)
        facts.n_received = reader.acknowledge_until_quiet(facts.n_sent)
    finally:
        reader.close()
        writer.close()
