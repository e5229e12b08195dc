"""The MQTT edge: connections that come back by themselves, and messages put into the inbox.

Comes in: broker settings, topic filters and whatever the broker sends. Goes out: messages in the
inbox, and whether we are connected. The network thread only enqueues. This module refuses to know
what a payload means.
"""

import logging
import random
import time
from collections.abc import Callable, Sequence
from threading import Lock
from typing import ParamSpec

import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from pipeline.core.clock import Clock
from pipeline.core.edge_settings import MqttSettings
from pipeline.core.errors import UsageError
from pipeline.sources.inbox import Inbox, Message, Origin, Receipt
from pipeline.sources.mqtt_client import Client
from pipeline.sources.mqtt_security import FreshContext, read_password

#: How long the broker keeps messages for us while we are away, seconds.
SESSION_EXPIRY_S = 86_400
#: Unacknowledged messages the broker may send ahead; overrides its own limit of 20.
RECEIVE_MAXIMUM = 1000
MAX_PACKET_BYTES = 65_536
CONNECT_TIMEOUT_S = 3.0
#: User properties of a message that are looked at, and the length of each.
MAX_PROPERTIES, MAX_PROPERTY_CHARS = 8, 256

#: Pause before connecting again, seconds: the first is drawn from 1 to 2, and it doubles up to one drawn from 5 to 10.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 10.0

_SESSION_TAKEN_OVER = 142

P = ParamSpec("P")

_log = logging.getLogger(__name__)


class Connection:
    """One connection to the broker, kept up by its own network thread.

    It starts without a broker and tries again every 1 to 10 s for ever.

    Args:
        settings: Broker, credentials and MQTT version.
        client_id: Client id; the broker allows one connection of each.
        keep_session: The broker holds our subscriptions and messages while we are away.
        receive_maximum: Unacknowledged messages that the broker may send ahead; MQTT 5 tells it.

    Attributes:
        client: The paho client.
        is_connected: The broker has accepted us and the connection is up.
        n_connects: Times the broker accepted us.
        n_sessions: Times the broker began a new session for us, having none or having forgotten it.
        n_stale_acks: Acknowledgements not sent because their connection was gone.
        n_failures: Errors of ours on the network thread.
        failure: Why the connection was given up for good; empty while it was not.
        on_up: Called on the network thread after each connect.

    Raises:
        UsageError: The password or a TLS file is missing, wrong or readable by others.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        *,
        keep_session: bool,
        receive_maximum: int = RECEIVE_MAXIMUM,
    ) -> None:
        self._receive_maximum = receive_maximum
        self._settings = settings
        self._client_id = client_id
        self._keep_session = keep_session
        self._is_lost_logged = False
        self.is_connected = False
        self.n_connects = 0
        self.n_sessions = 0
        self.n_stale_acks = 0
        self.n_failures = 0
        self._epoch = 0
        self._epoch_lock = Lock()
        self.failure = ""
        self.on_up: Callable[[], None] = lambda: None
        self.client = self._make_client()

    @property
    def is_v5(self) -> bool:
        """The connection speaks MQTT 5."""
        return self._settings.protocol == "5"

    @property
    def progressed_s(self) -> float:
        """When the network thread last did a round or tried to connect, seconds on the monotonic clock."""
        return self.client.progressed_s

    @property
    def epoch(self) -> int:
        """Number of this connection; each attempt to connect has its own."""
        return self._epoch

    def acknowledge(self, receipts: Sequence[Receipt]) -> None:
        """Acknowledge messages, in the order given, but for those of earlier connections; returns at once.

        Packet identifiers begin anew with a session: a late acknowledgement would take away another message.
        """
        with self._epoch_lock:  # no connection begins meanwhile
            fresh = [receipt.mid for receipt in receipts if receipt.epoch == self._epoch]
            self.n_stale_acks += len(receipts) - len(fresh)
            self.client.acknowledge(fresh)

    def guarded(self, callback: Callable[P, None]) -> Callable[P, None]:
        """Return a callback whose errors are counted, and cost the connection: half a subscription would be deaf."""

        def call(*arguments: P.args, **named: P.kwargs) -> None:
            try:
                callback(*arguments, **named)
            except Exception:  # noqa: BLE001 - the network thread must outlive any bug of ours
                self.note_failure("callback failed")
                self.client.cut()

        return call

    def note_failure(self, event: str) -> None:
        """Count and log the error that is being handled."""
        self.n_failures += 1
        _log.exception(event, extra={"fields": {"client_id": self._client_id, "n_failures": self.n_failures}})

    def start(self) -> None:
        """Start connecting in the background; returns at once."""
        host, port, keepalive = self._settings.host, self._settings.port, self._settings.keepalive_s
        if self.is_v5:
            self.client.connect_async(
                host, port, keepalive, clean_start=not self._keep_session, properties=self._properties()
            )
        else:
            self.client.connect_async(host, port, keepalive)
        self.client.loop_start()

    def stop(self) -> None:
        """Disconnect and end the network thread; waits for ``CONNECT_TIMEOUT_S`` at most."""
        self.client.disconnect()
        self.client.loop_stop()
        self.client._reset_sockets()  # noqa: SLF001 - paho keeps its wake-up pair open until it is collected
        self.is_connected = False

    def _make_client(self) -> Client:
        client = Client(self._client_id, is_v5=self.is_v5, keep_session=self._keep_session)
        client.on_begin, client.on_broken = self._begin, self._on_broken
        client.suppress_exceptions = True  # what callbacks of others raise would end the network thread, unseen
        client.enable_logger(logging.getLogger("paho"))
        client.connect_timeout = CONNECT_TIMEOUT_S
        password = read_password(self._settings)
        if self._settings.username:
            client.username_pw_set(self._settings.username, password)
        if self._settings.tls.enabled:
            client.tls_set_context(FreshContext(self._settings.tls))
        client.on_pre_connect = self.guarded(self._on_pre_connect)
        client.on_connect = self.guarded(self._on_connect)
        client.on_connect_fail = self.guarded(self._on_connect_fail)
        client.on_disconnect = self.guarded(self._on_disconnect)
        return client

    def _properties(self) -> Properties:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # paho's own gap
        properties.SessionExpiryInterval = SESSION_EXPIRY_S if self._keep_session else 0
        properties.ReceiveMaximum = self._receive_maximum
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        return properties

    def _begin(self) -> None:
        """Begin a connection: what came over the one before can no longer be acknowledged."""
        with self._epoch_lock:
            self._epoch += 1
        # Drawn anew each time: a plant whose broker restarts does not come back in one wave.
        draw = random.SystemRandom().uniform
        first_s, longest_s = draw(FIRST_PAUSE_S, 2 * FIRST_PAUSE_S), draw(LONGEST_PAUSE_S / 2, LONGEST_PAUSE_S)
        self.client.reconnect_delay_set(first_s, longest_s)  # type: ignore[arg-type]  # needs no whole seconds

    def _on_broken(self) -> None:
        """Note an error of the client itself, which has closed the connection."""
        self.is_connected = False
        self.note_failure("connection broken")

    def _on_pre_connect(self, _client: paho.Client, _data: object) -> None:
        """Note that the network thread lives, and take a password that was changed meanwhile."""
        self.client.progressed_s = time.monotonic()
        try:
            password = read_password(self._settings)
        except UsageError as error:
            self._log_lost("password not readable", str(error))
            return
        if self._settings.username:
            self.client.username_pw_set(self._settings.username, password)

    def _on_connect(
        self, _client: paho.Client, _data: object, flags: paho.ConnectFlags, code: ReasonCode, _more: Properties | None
    ) -> None:
        if code.is_failure:
            self._log_lost("broker refused us", str(code))
            return
        if not flags.session_present:
            self.n_sessions += 1
        self.is_connected = True
        self.n_connects += 1
        self._is_lost_logged = False
        _log.info("connected", extra={"fields": {"client_id": self._client_id}})
        self.on_up()

    def _on_connect_fail(self, _client: paho.Client, _data: object) -> None:
        self.client.progressed_s = time.monotonic()
        self._log_lost("broker not reachable", "trying again every 1 to 10 s")

    def _on_disconnect(
        self,
        _client: paho.Client,
        _data: object,
        _flags: paho.DisconnectFlags,
        code: ReasonCode,
        _more: Properties | None,
    ) -> None:
        was_up, self.is_connected = self.is_connected, False
        if code.value == _SESSION_TAKEN_OVER:
            self.give_up()
        elif was_up and code.is_failure:
            self._log_lost("connection lost", str(code))

    def give_up(self) -> None:
        """Leave our client id to another who uses it: fighting for it would cut both off, in turn, for ever."""
        self.failure = (
            f"mqtt.client_id: another client connected as {self._settings.client_id!r} and took over; "
            "give each daemon an id of its own"
        )
        self.client.disconnect()

    def _log_lost(self, event: str, why: str) -> None:
        """Log the first trouble after a connection, not every attempt to mend it."""
        level = logging.DEBUG if self._is_lost_logged else logging.WARNING
        self._is_lost_logged = True
        fields = {"client_id": self._client_id, "broker": f"{self._settings.host}:{self._settings.port}", "why": why}
        _log.log(level, event, extra={"fields": fields})


class MqttSource:
    """Subscribes, and puts every message into the inbox.

    Args:
        settings: Broker, credentials and quality of service.
        filters: Topic filters to subscribe to.
        inbox: Where messages go.
        clock: Gives arrival times.
        max_payload_bytes: Longer payloads are cut one byte past this, so that the decoder sees
            that they are too large and memory does not.
        keep_session: The broker holds messages for us while we are away.
        receive_maximum: Unacknowledged messages that the broker may send ahead; MQTT 5 tells it.

    Attributes:
        connection: The connection underneath.
        is_closing: Messages are left to the broker from now on; it sends them again next time.
        outdated: Filters that the session may hold from an earlier configuration; unsubscribed on each connect.
        is_tidy: The broker has confirmed that the session holds none of these any more.
    """

    def __init__(
        self,
        settings: MqttSettings,
        filters: Sequence[str],
        inbox: Inbox,
        clock: Clock,
        max_payload_bytes: int,
        *,
        keep_session: bool = True,
        receive_maximum: int = RECEIVE_MAXIMUM,
    ) -> None:
        self.connection = Connection(
            settings, settings.client_id, keep_session=keep_session, receive_maximum=receive_maximum
        )
        self.connection.on_up = self._subscribe
        self.connection.client.on_message = self._on_message
        self.connection.client.on_unsubscribe = self.connection.guarded(self._on_unsubscribe)
        self.connection.client.on_subscribe = self.connection.guarded(self._on_subscribe)
        self._subscribed_epoch = self._refused_epoch = -1
        self.is_closing = False
        self.outdated: list[str] = []
        self.is_tidy = False
        self._qos: int = settings.qos
        self._filters = filters
        self._inbox = inbox
        self._clock = clock
        self._max_payload_bytes = max_payload_bytes
        self._connected_s = 0.0

    @property
    def is_subscribed(self) -> bool:
        """The broker has confirmed our subscriptions on the connection that is up."""
        return self.connection.is_connected and self._subscribed_epoch == self.connection.epoch

    @property
    def progressed_s(self) -> float:
        """When the network thread last did a round or tried to connect, seconds on the monotonic clock."""
        return self.connection.progressed_s

    def _subscribe(self) -> None:
        """Subscribe on every connect, as the broker may have forgotten us."""
        self._connected_s = self._clock.now()
        client = self.connection.client
        if self.connection.is_v5:
            # What the broker retains describes streams, and a daemon that has just started knows none of it. Later it
            # is no news, and a storm of it could push out readings.
            retain = SubscribeOptions.RETAIN_SEND_ON_SUBSCRIBE
            if self.connection.n_connects > 1:
                retain = SubscribeOptions.RETAIN_DO_NOT_SEND
            options = SubscribeOptions(qos=self._qos, retainHandling=retain)
            client.subscribe([(each, options) for each in self._filters])
        else:
            client.subscribe([(each, self._qos) for each in self._filters])
        if self.outdated:
            client.unsubscribe(self.outdated)

    def _on_subscribe(
        self, _client: paho.Client, _data: object, _mid: int, codes: list[ReasonCode], _more: Properties | None
    ) -> None:
        refused = [each for each, code in zip(self._filters, codes, strict=False) if code.is_failure]
        if refused:
            _log.error("subscription refused", extra={"fields": {"topics": refused, "why": str(codes[0])}})
        else:
            self._subscribed_epoch = self.connection.epoch

    def _on_unsubscribe(
        self, _client: paho.Client, _data: object, _mid: int, _codes: list[ReasonCode], _more: Properties | None
    ) -> None:
        self.is_tidy = True

    def _on_message(self, _client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
        if self.is_closing or self._refused_epoch == self.connection.epoch:
            return
        receipt = None
        try:
            if message.qos:
                connection = self.connection
                receipt = Receipt(connection.epoch, connection.n_sessions, message.mid, message.dup)
            payload = bytes(message.payload[: self._max_payload_bytes + 1])
            arrival_s = self._clock.now()
            origin = Origin(message.qos, self._connected_s, _user_properties(message))
            if not self._inbox.put(Message(_topic(message), payload, message.retain, arrival_s, receipt, origin)):
                self._refuse()
        except Exception:  # noqa: BLE001 - the network thread must outlive any bug of ours
            self.connection.note_failure("message lost")
            if receipt is not None:  # it would come back for ever
                self.connection.acknowledge([receipt])

    def _refuse(self) -> None:
        """Leave this message and all that follow it to the broker, which sends them again over the next connection."""
        self._refused_epoch = self.connection.epoch
        _log.warning("inbox full, connection ended", extra={"fields": {"n_waiting": self._inbox.depth}})
        self.connection.client.cut()


def _user_properties(message: paho.MQTTMessage) -> tuple[tuple[str, str], ...]:
    """Return the first user properties and the content type, none of them long."""
    told = message.properties
    user, content_type = getattr(told, "UserProperty", ()), getattr(told, "ContentType", "")
    if not user and not content_type:  # nearly always; paho's own isEmpty looks through all properties there are
        return ()
    pairs = [*user[:MAX_PROPERTIES], ("content-type", content_type)]
    return tuple((key, value) for key, value in pairs if value and len(key) + len(value) <= MAX_PROPERTY_CHARS)


def _topic(message: paho.MQTTMessage) -> str:
    """Return the topic; empty, which no route matches, when it is not UTF-8."""
    try:
        return message.topic
    except UnicodeDecodeError:
        return ""
