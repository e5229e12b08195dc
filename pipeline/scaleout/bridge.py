"""The bridge: MQTT in, segments of the ingest log out; a message is acknowledged once its segment is in place.

Comes in: settings. Goes out: segments, metrics and log lines, until somebody stops it. The network thread only
enqueues; one worker decodes, gathers, writes and acknowledges. Memory is bounded: the broker sends ``bridge.in_flight``
messages ahead of acknowledgements, and keeps the rest. A full disk is waited out. This module refuses to know networks
and scores.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.core.clock import Clock
from pipeline.core.errors import ForetellError, UsageError
from pipeline.core.settings import Settings
from pipeline.decode.memory import Memory
from pipeline.decode.payloads import MAX_PAYLOAD_BYTES
from pipeline.decode.reasons import Request
from pipeline.runtime.clocks import SystemClock
from pipeline.runtime.intake import checked_routes, take_in
from pipeline.runtime.life import LifeSigns
from pipeline.runtime.life_routes import life_routes
from pipeline.runtime.rejection_log import RejectionLog
from pipeline.runtime.repeats import Repeats
from pipeline.runtime.status import edge_figures, foretell_version
from pipeline.scaleout.bridge_figures import BridgeFigures
from pipeline.scaleout.folders import Folders
from pipeline.scaleout.gathering import NOTHING_LOGGED, Gathered
from pipeline.scaleout.receipts import N_RECEIPTS, Receipts
from pipeline.scaleout.segments import as_batch, next_position, require_pyarrow, segments, write_segment
from pipeline.sinks.exporter import Exporter
from pipeline.sinks.publisher import Publisher
from pipeline.sources.inbox import Inbox, Message
from pipeline.sources.mqtt import Connection, MqttSource
from pipeline.sources.presence import Presence
from pipeline.store.files import StoreFullError, disk_figures, sync_folder

#: How long the worker waits for a message before it looks whether a segment is due, seconds.
IDLE_S = 0.1
#: Messages that are decoded together, and how long they gather, seconds.
BATCH, COLLECT_S = 1000, 0.05
#: Pause between two snapshots of the metrics, and between two log lines that say how it goes, seconds.
REFRESH_S, TELL_S = 0.5, 60.0
#: Pause between two attempts to write to a full disk, seconds.
RETRY_S = 1.0
#: Batches that may fail in a row before the bridge gives up.
MAX_FAILURES = 5
#: Of the time that a stop may take: to decode what waits, seconds.
DRAIN_LIMIT_S = 3.0
_RECEIPTS = ".receipts"

_log = logging.getLogger(__name__)


class Bridge:
    """Writes the readings of the configured topics to the ingest log until it is stopped.

    Args:
        settings: All settings.
        clock: Gives arrival times; the machine's by default.
        metrics_port: Overrides ``metrics.port``; 0 for any free port.

    Attributes:
        inbox: Messages that wait to be decoded.
        figures: What it has counted.
        metrics_port: Port of /metrics once started; 0 when it is not served.

    Raises:
        UsageError: A topic is wrong, the log cannot be used, or another bridge writes it.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None, metrics_port: int | None = None) -> None:
        require_pyarrow("foretell bridge")
        self._settings = settings
        self._clock = clock or SystemClock()
        self._routes = checked_routes(settings)
        self._folder = Folders.of(settings).log
        limit = settings.bridge.in_flight
        self.inbox = Inbox(max(settings.runtime.inbox_messages, 2 * limit), max_unacknowledged=2 * limit)
        filters = [route.filter for route in self._routes]
        mqtt = settings.mqtt.model_copy(update={"client_id": f"{settings.mqtt.client_id}-bridge"[-64:]})
        self._source = MqttSource(mqtt, filters, self.inbox, self._clock, MAX_PAYLOAD_BYTES, receive_maximum=limit)
        # A connection of its own, to find out whether another bridge has taken our client id.
        self._outlet = Connection(mqtt, f"{mqtt.client_id}-name", keep_session=False)
        base = f"{settings.alerts.topic_prefix}/{settings.site}"
        Presence(self._outlet, base, mqtt.client_id, Publisher(self._outlet.client).leave)
        self._memory = Memory()
        self._repeats = Repeats(N_RECEIPTS)
        self._gathered = Gathered()
        self._life = LifeSigns(self._source)
        self._exporter = Exporter()
        self._rejections = RejectionLog()
        self.figures = BridgeFigures(settings.site, self._clock)
        self.metrics_port = settings.metrics.port if metrics_port is None else metrics_port
        self._is_stopping = False
        self._n_failures_in_a_row = 0
        self._due_s = float("inf")
        self._retry_s = self._refreshed_s = self._told_s = float("-inf")
        self._receipts = Receipts(self._folder / _RECEIPTS)
        self._subscribe, self._source.connection.on_up = self._source.connection.on_up, self._on_up

    def run(self) -> None:
        """Bridge until ``stop`` is called; then write what has arrived, acknowledge it, and return.

        Raises:
            UsageError: The metrics port is taken, or the last segment is damaged.
            ForetellError: Another client took our client id, batches kept failing, or the log cannot be written.
        """
        try:
            self._start()
            while not self._is_stopping:
                self._turn()
        finally:
            self._shut_down()

    def stop(self) -> None:
        """Make ``run`` finish and return; callable from any thread or signal handler."""
        self._is_stopping = True

    def reload(self) -> None:
        """Say that a bridge takes no settings live."""
        _log.warning("configuration not taken", extra={"fields": {"why": "a bridge needs a restart"}})

    def go_on(self) -> None:
        """Find out where the log ends, and what was received that the broker may send again.

        Raises:
            UsageError: The last segment is damaged, or the newest segments are gone.
        """
        for folder in (self._folder.parent, self._folder):
            sync_folder(folder)  # they may be new
        self.figures.position = next_position(self._folder)
        if self._receipts.newest > self.figures.position:  # a job would take new readings for old ones
            problem = f"the newest segments are gone: there was one at {self._receipts.newest}"
            raise UsageError(str(self._folder), problem, "put them back, or begin with another scale.folder")
        self._repeats.recall(self._receipts.recall({segment.first for segment in segments(self._folder)}))

    def _start(self) -> None:
        as_batch(NOTHING_LOGGED)  # loads what the first segment would wait for
        self.go_on()
        self._refresh()
        metrics, mqtt = self._settings.metrics, self._settings.mqtt
        routes = life_routes(self._life, self._status)
        self.metrics_port = self._exporter.start(metrics, self.metrics_port, routes) if metrics.enabled else 0
        fields = {
            "version": foretell_version(),
            "broker": f"{mqtt.host}:{mqtt.port}",
            "topics": [route.filter for route in self._routes],
            "log": str(self._folder),
            "position": self.figures.position,
            "metrics": f"http://{metrics.host}:{self.metrics_port}/metrics" if metrics.enabled else None,
        }
        _log.info("started", extra={"fields": fields})
        self._outlet.start()
        self._source.connection.start()

    def _on_up(self) -> None:
        """Subscribe; in a new session nothing comes before that, so what it is for is on disk before."""
        if self._source.connection.n_sessions:
            self._receipts.begin_session(self._source.connection.n_sessions)
        self._subscribe()

    def _turn(self) -> None:
        """Do one round of the worker's loop."""
        if self._is_blocked:
            time.sleep(IDLE_S)  # the broker keeps what we cannot
        messages = self.inbox.drain(0 if self._is_blocked else BATCH, COLLECT_S, IDLE_S)
        if messages:
            self.take(messages)
        if self._is_due():
            self.commit()
        for connection in (self._source.connection, self._outlet):
            if connection.failure:
                raise ForetellError(connection.failure)
        if time.monotonic() - self._refreshed_s >= REFRESH_S:
            self._refresh()
        self._life.turned()

    @property
    def _is_blocked(self) -> bool:
        """The disk is full, and what waits for it is a whole segment."""
        bridge = self._settings.bridge
        n_waiting = len(self._gathered.receipts)
        return bool(self._life.degraded) and (
            n_waiting >= bridge.in_flight or len(self._gathered) >= bridge.segment_readings
        )

    def take(self, messages: list[Message]) -> None:
        """Gather a batch of messages; an error costs the batch, many in a row end the bridge.

        Raises:
            ForetellError: Many batches in a row failed.
        """
        receipts = [message.receipt for message in messages if message.receipt is not None]
        new, received = self._repeats.sift(messages)
        try:
            self._decode(new)
        except Exception as error:
            self.figures.n_failures += 1
            self._n_failures_in_a_row += 1
            _log.exception("batch failed", extra={"fields": {"n_messages": len(messages)}})
            if self._n_failures_in_a_row >= MAX_FAILURES:
                raise ForetellError(
                    f"{MAX_FAILURES} batches in a row failed, the last with {type(error).__name__}; see the log"
                ) from error
        else:
            self._n_failures_in_a_row = 0
        self._gathered.receive(received, receipts)
        if self._due_s == float("inf") and (receipts or len(self._gathered)):
            self._due_s = time.monotonic() + self._settings.bridge.segment_s

    def _decode(self, messages: Sequence[Message]) -> None:
        """Decode messages and gather their readings."""
        if not messages:
            return
        intake = take_in(messages, self._routes, self._memory, self._settings.streams.future_s)
        arrival = np.repeat([message.arrival_s for message in messages], intake.n_rows)
        self._gathered.add(intake.readings, arrival, intake.priors)
        self.figures.waits_since_s = self._gathered.oldest_s
        self.figures.count_intake(intake, messages[-1].arrival_s)
        self._rejections.log(intake.samples)
        self._ask(intake.requests)

    def _ask(self, requests: Sequence[Request]) -> None:
        """Send publishers what the decoder would ask of them, where that is allowed."""
        for request in requests if self._settings.mqtt.ask_publishers else ():
            _log.info("asking", extra={"fields": {"topic": request.topic, "why": request.why}})
            self._source.connection.client.publish(request.topic, request.payload)

    def _is_due(self) -> bool:
        """Say whether what has gathered makes a segment now."""
        now_s, bridge, gathered = time.monotonic(), self._settings.bridge, self._gathered
        if not (gathered.receipts or len(gathered)) or (self._life.degraded and now_s < self._retry_s):
            return False
        is_large = len(gathered) >= bridge.segment_readings or 2 * len(gathered.receipts) >= bridge.in_flight
        return is_large or now_s >= self._due_s

    def commit(self) -> None:
        """Put what has gathered into the log, and only then acknowledge its messages; or wait for room on the disk.

        Raises:
            StoreError: The log cannot be written.
        """
        gathered = self._gathered
        if len(gathered):
            try:
                self._write()
            except StoreFullError as error:
                self._degrade(str(error))
                return
        if self._life.degraded:
            self._life.degraded = ""
            _log.warning("disk has room again")
        self._source.connection.acknowledge(gathered.receipts)
        gathered.clear()
        self._due_s = float("inf")

    def _write(self) -> None:
        """Write a segment, with the receipts of its messages before it."""
        started_s, first = time.perf_counter(), self.figures.position
        logged = self._gathered.logged(first)
        received = self._gathered.received()
        if len(received.mids):
            self._receipts.note(first, received, max(receipt.session for receipt in self._gathered.receipts))
        path = write_segment(self._folder, logged)
        self.figures.position = first + len(logged)
        self.figures.count_segment(len(logged), path.stat().st_size, time.perf_counter() - started_s)
        self._receipts.prune()

    def _degrade(self, why: str) -> None:
        self._retry_s = time.monotonic() + RETRY_S
        if not self._life.degraded:
            self._life.degraded = "the disk is full, nothing is acknowledged"
            _log.error("disk full", extra={"fields": {"why": why, "until": "there is room, nothing is acknowledged"}})

    def _refresh(self) -> None:
        """Replace the metrics that others see, and say now and then how it goes."""
        now_s = self._refreshed_s = time.monotonic()
        connection = self._source.connection
        self._exporter.publish(
            self.figures.snapshot(
                {
                    "inbox_depth": self.inbox.depth,
                    "inbox_dropped_total": self.inbox.n_dropped,
                    "redelivered_total": self._repeats.n_dropped,
                    "stale_acks_total": connection.n_stale_acks,
                    "ready": float(self._life.now().is_ready),
                    "degraded": float(bool(self._life.degraded)),
                    "mqtt_connected": float(connection.is_connected),
                    "mqtt_connects_total": connection.n_connects,
                    "mqtt_failures_total": connection.n_failures + self._outlet.n_failures,
                    **disk_figures(self._folder),
                }
            )
        )
        if now_s - self._told_s >= TELL_S:
            self._told_s = now_s
            told = {**self.figures.log_figures(), "lag_s": round(self.figures.lag_s, 3), "why": self._life.now().why}
            _log.info("bridging", extra={"fields": told})

    def _status(self) -> dict[str, Any]:
        """Return what ``/status.json`` shows; called on a thread of the endpoint."""
        mqtt = self._settings.mqtt
        edge = edge_figures(self._source, f"{mqtt.host}:{mqtt.port}")
        edge["inbox"] = {"depth": self.inbox.depth, "n_dropped": self.inbox.n_dropped}
        return self.figures.document(self._life.now(), str(self._folder), edge)

    def close(self) -> None:
        """Let another bridge have the log; ``run`` does so at its end."""
        self._receipts.close()

    def _shut_down(self) -> None:
        """End the input, write what waits, acknowledge it, free port and log."""
        self._is_stopping = True
        self._life.stopping()
        self._source.is_closing = True  # what comes now stays with the broker
        drained_by_s = time.monotonic() + DRAIN_LIMIT_S
        try:
            while self.inbox.depth and not self._is_blocked and time.monotonic() < drained_by_s:
                self.take(self.inbox.drain(BATCH, 0.0, 0.0))
            if self._gathered.receipts or len(self._gathered):
                self.commit()
        finally:
            self._source.connection.stop()
            self._outlet.stop()
            self._exporter.stop()
            self.close()
        _log.info("stopped", extra={"fields": {**self.figures.log_figures(), "n_unwritten": len(self._gathered)}})
