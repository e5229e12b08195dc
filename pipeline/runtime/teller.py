"""Tells people: alerts, incidents and verdicts to the log and the outbox.

Comes in: what a batch gave. Goes out: log lines, and messages in the outbox. This module refuses to know when they
are sent and what is kept of them.
"""

import logging
from collections.abc import Mapping, Sequence

from pipeline.core.alert_records import StreamState
from pipeline.core.priors import Prior
from pipeline.core.records import HealthEvent
from pipeline.core.settings import Settings
from pipeline.detect.devices import device_of
from pipeline.runtime.follow_up import News
from pipeline.sinks.alerts import alert, incident, iso_time, verdict
from pipeline.sinks.discovery import discovery
from pipeline.sinks.outbox import Outbox
from pipeline.sinks.outgoing import Announcer

_log = logging.getLogger(__name__)


class Teller:
    """Tells people what happened.

    Args:
        settings: The site, and what is published.
        outbox: Where messages go.
        told: What publishers say of streams, for their units; None for nothing.
    """

    def __init__(self, settings: Settings, outbox: Outbox, told: Mapping[str, Prior] | None = None) -> None:
        self._settings = settings
        self._discovered: set[str] = set()
        self._site = settings.site
        self._alerts = settings.alerts
        self._outbox = outbox
        self._announcer = Announcer(settings.alerts.topic_prefix, settings.site)
        self._told: Mapping[str, Prior] = told if told is not None else {}

    def take_settings(self, settings: Settings) -> None:
        """Go on with other settings of what is published."""
        self._alerts = settings.alerts

    def tell(self, news: News) -> None:
        """Tell of alerts, incidents and states."""
        is_told = self._alerts.publish and self._alerts.streams
        for each in news.alerts:
            unit = self._told.get(each.event.stream, Prior()).unit
            shown = alert(each, self._site, has_evidence=False, unit=unit)
            _log.warning("alert", extra={"fields": {"alert": shown}})
            if is_told:
                self._outbox.add([self._announcer.alert(each, unit)])
        for held, why in news.held:
            event = held.event
            fields = {"stream": event.stream, "episode": event.episode, "event": event.event.name.lower(), "why": why}
            _log.info("alert held back", extra={"fields": fields})
        if is_told:
            self._discover(news.states)
            self._outbox.add(map(self._announcer.state, news.states))
        self.tell_verdicts(news.verdicts)
        for device in news.incidents:
            _log.warning("incident", extra={"fields": {"incident": incident(device, self._site)}})
            if self._alerts.publish:
                self._outbox.add([self._announcer.incident(device)])

    def _discover(self, states: Sequence[StreamState]) -> None:
        """Make Home Assistant know the streams that have a state now, each once."""
        prefix = self._settings.alerts.home_assistant
        for stream in [state.stream for state in states if state.stream not in self._discovered] if prefix else ():
            self._discovered.add(stream)
            base, device = f"{self._alerts.topic_prefix}/{self._site}", device_of(stream, self._settings.devices)
            self._outbox.add([discovery(prefix, base, self._site, stream, device)])

    def tell_verdicts(self, events: list[HealthEvent]) -> None:
        """Tell of verdicts about sensors that were raised or cleared."""
        for event in events:
            _log.warning("health", extra={"fields": {"health": verdict(event, self._site)}})
            if self._alerts.publish:
                self._outbox.add([self._announcer.verdict(event)])

    def tell_losses(self, losses: Sequence[tuple[str, str]], now_s: float) -> None:
        """Tell of what was lost of Foretell's own state, as names and plain words."""
        for what, text in losses:
            _log.error(what.replace("_", " "), extra={"fields": {"text": text}})
            if self._alerts.publish:
                self._outbox.add([self._announcer.system(what, text, iso_time(now_s))])
