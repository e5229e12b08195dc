"""The daemon: MQTT in, the session in the middle, metrics, log lines and alerts out.

Comes in: settings. Goes out: what the sinks say, until somebody stops it. One worker does
everything but receive: take a batch from the inbox, decode, score, tell. A child process fine-tunes;
with ``training.in_child`` off the worker does, while nothing waits. This is composition; it refuses to
know how any stage works.
"""

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipeline.core.clock import Clock
from pipeline.core.errors import ForetellError, UsageError
from pipeline.core.priors import Prior
from pipeline.core.records import EpisodeEvent, HealthEvent, Readings
from pipeline.core.settings import Settings
from pipeline.decode.memory import Memory
from pipeline.decode.payloads import MAX_PAYLOAD_BYTES
from pipeline.decode.reasons import Request
from pipeline.forecast.compiled import instructions
from pipeline.runtime.alert_routes import alert_routes, word_routes
from pipeline.runtime.budgets import FEWER_SERIES, Budgets, Sacrifice, memory_budget, memory_in_use
from pipeline.runtime.clocks import SystemClock
from pipeline.runtime.follow_up import FollowUp
from pipeline.runtime.intake import checked_routes, take_in
from pipeline.runtime.keeper import Keeper
from pipeline.runtime.lag import SWITCH_S, Lag
from pipeline.runtime.life import LifeSigns
from pipeline.runtime.life_routes import life_routes
from pipeline.runtime.onlooker import Onlooker
from pipeline.runtime.operator_token import make_token
from pipeline.runtime.parts import parts
from pipeline.runtime.rejection_log import RejectionLog
from pipeline.runtime.reload import merged
from pipeline.runtime.session import FleetView, Session
from pipeline.runtime.status import edge_figures, foretell_version, status_document
from pipeline.runtime.teacher import Teacher
from pipeline.runtime.telemetry import Telemetry
from pipeline.runtime.teller import Teller
from pipeline.runtime.word_desk import WordDesk
from pipeline.sinks.exporter import Exporter
from pipeline.sinks.outbox import Outbox
from pipeline.sinks.outgoing import command_topic
from pipeline.sinks.publisher import Publisher
from pipeline.sources.inbox import Inbox, Message
from pipeline.sources.mqtt import RECEIVE_MAXIMUM, Connection, MqttSource
from pipeline.sources.presence import Presence
from pipeline.store.files import StoreError
from pipeline.store.store import Store

#: How long the worker waits for a message before it looks whether it should stop, seconds.
IDLE_S = 0.2
#: Pause between two snapshots, seconds.
REFRESH_S = 0.5
#: Messages that waited longer than this to be scored may have left others waiting: nobody is called silent, seconds.
CURRENT_S = 5.0
#: Batches that may fail in a row before the daemon gives up.
MAX_FAILURES = 5
#: Of the 10 s that a stop may take: to score what waits, and to hand over alerts, seconds.
DRAIN_LIMIT_S = 3.0
FLUSH_LIMIT_S = 1.5

_log = logging.getLogger(__name__)


class Daemon:
    """Watches the configured topics until it is stopped.

    Args:
        settings: All settings.
        clock: Gives the current time; the machine's by default.
        session: Scores the readings; a new one by default.
        store: Keeps what must survive a restart, and is closed at the end; None keeps everything in memory.
        metrics_port: Overrides ``metrics.port``; 0 for any free port.
        on_events: Called on the worker's thread with what opened or closed, and with verdicts that changed.
        reload: Reads the configuration again, for ``reload``.
        onlooker: Is shown what happens, and answers further paths of the endpoint: the status page.

    Attributes:
        inbox: Messages that wait to be scored.
        latest: The last step of every stream, at most a second old while the daemon runs. It is
            replaced, never changed, so any thread may read it.
        metrics_port: Port of /metrics once started; 0 when it is not served.

    Raises:
        UsageError: A topic template or the password file is wrong.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        session: Session | None = None,
        store: Store | None = None,
        metrics_port: int | None = None,
        on_events: Callable[[list[EpisodeEvent], list[HealthEvent]], None] | None = None,
        reload: Callable[[], Settings] | None = None,
        onlooker: Onlooker | None = None,
    ) -> None:
        self._reload = reload
        self._onlooker = onlooker or Onlooker()
        self._is_reload_due = False
        self._settings = settings
        self._routes = checked_routes(settings)
        self._clock = clock or SystemClock()
        self._session = session or Session(settings)
        self._on_events = on_events or (lambda _events, _health: None)
        self.inbox = Inbox(max(settings.runtime.inbox_messages, RECEIVE_MAXIMUM))
        alerts = settings.alerts
        commands = command_topic(alerts.topic_prefix, settings.site) if alerts.commands else ""
        self._filters = [*(route.filter for route in self._routes), *filter(None, [commands])]
        self._token = make_token(alerts, store.folder if store else None)
        self._source = MqttSource(settings.mqtt, self._filters, self.inbox, self._clock, MAX_PAYLOAD_BYTES)
        # A connection of its own: on a stop the input ends first, and alerts still go out.
        self._outlet = Connection(settings.mqtt, f"{settings.mqtt.client_id}-alerts", keep_session=False)
        self._publisher = Publisher(self._outlet.client)
        base = f"{alerts.topic_prefix}/{settings.site}"
        Presence(self._outlet, base, settings.mqtt.client_id, self._publisher.leave)
        self._outbox = Outbox(settings.store.outbox_messages)
        self._teller = Teller(settings, self._outbox, self._session.told)
        self._life = LifeSigns(self._source)
        self._exporter = Exporter()
        self._lag = Lag(self._clock, self.inbox)
        self._telemetry = Telemetry(settings, self._lag)
        self._teacher = Teacher(settings, lambda: self.inbox.depth, self._telemetry.observe_finetune)
        self._follow_up = FollowUp(settings)
        self._budgets = Budgets(memory_budget(settings.runtime.memory_mb), time.monotonic())
        self._keeper = Keeper(self._session, self._follow_up, self._outbox, store)
        self._desk = WordDesk(self._follow_up, self._keeper, self._teller, commands)
        self._is_stopping = False
        self._n_failures_in_a_row = 0
        self._refreshed_s = float("-inf")
        self._rejections = RejectionLog()
        self._memory = Memory()
        self.metrics_port = settings.metrics.port if metrics_port is None else metrics_port
        self.latest: FleetView = self._session.view()

    def run(self) -> None:
        """Watch until ``stop`` is called, then score what waits, send what is pending, and return.

        Raises:
            UsageError: The metrics port is taken.
            ForetellError: Another client took our client id, batches kept failing, or state cannot be written.
        """
        self._start()
        try:
            while not self._is_stopping:
                self._turn()
        finally:
            self._shut_down()

    def stop(self) -> None:
        """Make ``run`` finish and return, within 10 s; callable from any thread or signal handler."""
        self._is_stopping = True

    def reload(self) -> None:
        """Make the worker read the configuration again; callable from any thread or signal handler."""
        self._is_reload_due = True

    def _start(self) -> None:
        sys.setswitchinterval(SWITCH_S)
        metrics, mqtt = self._settings.metrics, self._settings.mqtt
        self._restore()
        self._refresh()
        routes = life_routes(self._life, self._status) | alert_routes(self._desk)
        routes |= self._onlooker.routes(self._status, lambda: self._desk.listing)
        posts = word_routes(self._desk, lambda: self._token)
        self.metrics_port = self._exporter.start(metrics, self.metrics_port, routes, posts) if metrics.enabled else 0
        fields = {
            "version": foretell_version(),
            "site": self._settings.site,
            "broker": f"{mqtt.host}:{mqtt.port}",
            "topics": self._filters,
            "metrics": f"http://{metrics.host}:{self.metrics_port}/metrics" if metrics.enabled else None,
            "compiled": instructions(),
        }
        _log.info("started", extra={"fields": fields})
        if self._settings.alerts.publish:
            self._outlet.start()
        self._source.connection.start()

    def _restore(self) -> None:
        """Go on from what the store has, and tell what it has lost."""
        self._source.outdated = self._keeper.outdated_filters(self._filters)
        self._teller.tell_losses(self._keeper.restore(), self._clock.now())
        self._desk.listen(False, self._clock.now(), is_start=True)  # noqa: FBT003 - nobody listened until now
        self._desk.list_anew()

    def _turn(self) -> None:
        """Do one round of the worker's loop."""
        runtime = self._settings.runtime
        if self._keeper.is_blocked:
            time.sleep(IDLE_S)  # the broker keeps what we cannot
        n_messages = 0 if self._keeper.is_blocked else runtime.batch_messages
        messages = self.inbox.drain(n_messages, runtime.batch_s, IDLE_S)
        self._guarded(messages)
        for connection in (self._source.connection, self._outlet):
            if connection.failure:
                raise ForetellError(connection.failure)
        if self._is_reload_due:
            self._is_reload_due = False
            self._take_settings()
        self._life.turned()

    def _take_settings(self) -> None:
        """Go on with what changed in the configuration and may change live; an error leaves all as it is."""
        if self._reload is None:
            return
        try:
            settings, changed, left = merged(self._settings, self._reload())
        except UsageError as error:
            _log.error("configuration not taken", extra={"fields": {"why": str(error)}})
            return
        self._settings = settings
        self._session.take_settings(settings)
        self._keeper.want_checkpoint()  # a replay would decide what came before by the new settings
        self._telemetry.take_settings(settings)
        self._teller.take_settings(settings)
        self._follow_up.take_settings(settings)
        logging.getLogger().setLevel(settings.runtime.log_level.upper())
        _log.info("configuration taken", extra={"fields": {"changed": changed, "needs_restart": left}})

    def _status(self) -> dict[str, Any]:
        """Return what ``/status.json`` shows; called on a thread of the endpoint."""
        figures = edge_figures(self._source, f"{self._settings.mqtt.host}:{self._settings.mqtt.port}")
        figures["inbox"] = {"depth": self.inbox.depth, "n_dropped": self.inbox.n_dropped}
        figures["alerts"] = {"n_waiting": len(self._outbox), "n_dropped": self._outbox.n_dropped}
        figures["budgets"] = self._budgets.figures()
        return status_document(self._life.now(), self.latest, figures | self._telemetry.status(self._session))

    def _guarded(self, messages: list[Message]) -> None:
        """Work through a batch; one error costs a batch, many in a row end the daemon."""
        try:
            self._work(messages)
        except StoreError:  # going on would lose what was promised
            raise
        except Exception as error:
            self._telemetry.n_batch_failures += 1
            self._n_failures_in_a_row += 1
            _log.exception("batch failed", extra={"fields": {"n_messages": len(messages)}})
            if self._n_failures_in_a_row >= MAX_FAILURES:
                raise ForetellError(
                    f"{MAX_FAILURES} batches in a row failed, the last with {type(error).__name__}; see the log"
                ) from error
        else:
            if messages:
                self._n_failures_in_a_row = 0

    def _work(self, messages: list[Message]) -> None:
        try:
            if messages:
                with self._lag.scoring(messages):
                    self._score(messages)
            is_current = not self.inbox.depth or self._lag.last_s < CURRENT_S
            self._desk.listen(self._source.is_subscribed, self._clock.now())
            self._desk.turn(self._clock.now(), is_current=is_current)
        finally:
            self._settle(messages)
        self._keeper.checkpoint()
        self._fine_tune()
        if time.monotonic() - self._refreshed_s >= REFRESH_S:
            self._refresh()

    def _score(self, messages: list[Message]) -> None:
        new, note = self._keeper.sift(messages)
        intake = take_in(self._desk.sift(new), self._routes, self._memory, self._settings.streams.future_s)
        self._telemetry.count_intake(intake)
        self._rejections.log(intake.samples)
        self._ask(intake.requests)
        now_s = self._clock.now()
        priors = intake.priors
        for i, rows in enumerate(parts(self._session, intake.readings)):
            if i:
                self._fine_tune()
            readings = intake.readings.rows(rows)
            note(readings, now_s)
            if len(readings):
                self._score_part(readings, priors, now_s)
                priors = {}
        self._desk.lose(intake.dead, now_s)

    def _score_part(self, readings: Readings, priors: Mapping[str, Prior], now_s: float) -> None:
        with self._telemetry.timed_step(self._keeper.scored):
            steps = self._session.process(readings, now_s)
        if priors:
            self._session.tell(priors)
        news = self._follow_up.gather(readings, steps, now_s)
        self._keeper.pin(news)
        self._teller.tell(news)
        self._onlooker.take(news.told)
        if steps.events:
            self._telemetry.count_events(steps.events)
        if steps.events or steps.health_events:
            self._on_events(steps.events, steps.health_events)
        self._teller.tell_verdicts(steps.health_events)

    def _settle(self, messages: list[Message]) -> None:
        """Write down what was dealt with, good or bad; only then acknowledge it. Send what there is to tell."""
        if self._source.is_tidy:
            self._source.is_tidy, self._source.outdated = False, []
            self._keeper.forget_filters(self._filters)
        receipts = [message.receipt for message in messages if message.receipt is not None]
        connection = self._source.connection
        connection.acknowledge(self._keeper.commit(receipts, connection.n_sessions))
        self._teller.tell_losses(self._keeper.take_losses(), self._clock.now())
        self._life.degraded = self._keeper.trouble
        self._desk.settle()
        self._send()

    def _send(self, wait_s: float = 0.0) -> None:
        """Hand messages to the publisher as it has room, and forget those that the broker has."""
        self._outbox.acknowledge(self._publisher.acknowledged(wait_s))
        for message in self._outbox.take(self._publisher.room):
            self._publisher.send(message)

    def _fine_tune(self) -> None:
        if not self._is_stopping and self.sacrifice < Sacrifice.TRAINING:
            self._teacher.turn(self._session)

    @property
    def sacrifice(self) -> Sacrifice:
        """What is given up now because a budget is exceeded."""
        return self._budgets.level

    def _keep_budgets(self) -> None:
        """Give up what exceeds the budgets, or take it back."""
        before, memory = self.sacrifice, memory_in_use(self._teacher.pid)
        level = self._budgets.step(memory, self._lag.last_s, time.monotonic())
        if level == before:
            return
        fields = {"level": int(level), "gives_up": level.name.lower(), "memory_mb": round(memory / 1e6)}
        _log.warning("budget", extra={"fields": fields})
        self._telemetry.series_share = FEWER_SERIES if level >= Sacrifice.SERIES else 1.0
        if level == Sacrifice.TRAINING > before:
            self._teacher.close()
        self._session.admit_streams(is_open=level < Sacrifice.NEW_STREAMS)

    def _refresh(self) -> None:
        """Replace the view and the metrics that others see."""
        self._keep_budgets()
        self._refreshed_s = time.monotonic()
        self.latest = self._follow_up.overlaid(self._session.view())
        self._onlooker.look(self._session, self.latest)
        edge = {
            "inbox_depth": self.inbox.depth,
            "inbox_dropped_total": self.inbox.n_dropped,
            "alerts_dropped_total": self._outbox.n_dropped,
            "outbox_depth": len(self._outbox),
            "stale_acks_total": self._source.connection.n_stale_acks,
            "sacrifice_level": float(self.sacrifice),
            "memory_budget_bytes": self._budgets.memory_bytes,
            "memory_in_use_bytes": memory_in_use(self._teacher.pid),
            "ready": float(self._life.now().is_ready),
            "mqtt_connected": float(self._source.connection.is_connected),
            "mqtt_connects_total": self._source.connection.n_connects,
            "mqtt_failures_total": self._source.connection.n_failures + self._outlet.n_failures,
            **self._keeper.metrics(),
        }
        snapshot = self._telemetry.snapshot(self._session, self.latest, self._teacher.lost, edge)
        self._exporter.publish({**snapshot, **self._desk.metrics()})

    def _ask(self, requests: Sequence[Request]) -> None:
        """Send publishers what the decoder would ask of them, where that is allowed."""
        for request in requests if self._settings.mqtt.ask_publishers else ():
            _log.info("asking", extra={"fields": {"topic": request.topic, "why": request.why}})
            self._source.connection.client.publish(request.topic, request.payload)

    def _shut_down(self) -> None:
        """End the input and training, score what waits, hand over alerts, free the port; each step bounded."""
        self._is_stopping = True
        self._life.stopping()
        self._source.is_closing = True  # what comes now stays with the broker
        self._teacher.close()
        drained_by_s = time.monotonic() + DRAIN_LIMIT_S
        runtime = self._settings.runtime
        try:
            while self.inbox.depth and time.monotonic() < drained_by_s:
                self._guarded(self.inbox.drain(runtime.batch_messages, 0.0, 0.0))
            self._source.connection.stop()
            self._flush()
            self._keeper.commit([])
        finally:
            self._source.connection.stop()
            self._outlet.stop()
            self._keeper.close()
            self._exporter.stop()
        self.latest = self._follow_up.overlaid(self._session.view())
        _log.info("stopped", extra={"fields": {"n_unscored": self.inbox.depth, "n_unsent": len(self._outbox)}})

    def _flush(self) -> None:
        """Wait until the broker has acknowledged everything, within bounds."""
        flushed_by_s = time.monotonic() + FLUSH_LIMIT_S
        self._send()
        while len(self._outbox) and (left_s := flushed_by_s - time.monotonic()) > 0:
            self._send(left_s)
