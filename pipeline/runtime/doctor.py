"""``foretell doctor``: does the delivery promise hold on this broker and this box? With what to change where not.

Comes in: settings, and what the broker probe found. Goes out: findings, each with the setting it is about. Judging is
pure; ``examine`` goes and looks.
"""

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.core.errors import UsageError, printable
from pipeline.core.settings import Settings
from pipeline.runtime.intake import checked_routes
from pipeline.sources.broker_probe import BrokerFacts, probe_broker
from pipeline.sources.mqtt import MAX_PACKET_BYTES, RECEIVE_MAXIMUM

#: Fewer in flight than this, and the broker's own limit is in force instead of ours.
_MIN_IN_FLIGHT = 900
_OLDEST_MOSQUITTO, _BEST_MOSQUITTO = (2, 0, 11), (2, 0, 22)
#: This was written then: a clock before it is wrong, Unix seconds.
_WRITTEN_S = 1_760_000_000.0
_MIN_FREE_BYTES, _GOOD_FREE_BYTES = 100 << 20, 1 << 30
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        kind: ``ok``, ``warn`` (worth knowing) or ``fail`` (the promise does not hold).
        text: What was found.
        remedy: The setting to change, and how; empty where nothing is to be done.
    """

    kind: Literal["ok", "warn", "fail"]
    text: str
    remedy: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at configuration, box and broker.

    Returns:
        Findings in the order in which they were made; no further ones where there is no connection.
    """
    findings = list(_configuration(settings))
    findings += [*_clock(time.time()), *_disk(Path.cwd())]
    if any(finding.kind == "fail" for finding in findings[:1]):
        return findings
    topic = f"{settings.alerts.topic_prefix}/{settings.site}/doctor/{secrets.token_hex(8)}"
    filters = [route.filter for route in checked_routes(settings)]
    try:
        facts = probe_broker(settings.mqtt, filters, topic)
    except UsageError as error:
        where, _, rest = str(error).partition(": ")
        problem, _, remedy = rest.rpartition("; ")
        return [*findings, Finding("fail", f"{where}: {problem}", remedy)]
    return [*findings, *judge(facts, settings, topic)]


def judge(facts: BrokerFacts, settings: Settings, topic: str) -> Iterator[Finding]:
    """Yield what the broker's facts mean.

    Args:
        facts: What the probe found.
        settings: All settings.
        topic: The probe's own topic.
    """
    place = f"{settings.mqtt.host}:{settings.mqtt.port}"
    if facts.refusal:
        remedy = "mqtt.host, mqtt.port, mqtt.tls, mqtt.username and its password, or start the broker"
        yield Finding("fail", f"no connection to {place}: {printable(facts.refusal)}", remedy)
        return
    yield Finding("ok", f"connected to {place}, MQTT {settings.mqtt.protocol}")
    yield _version(facts.version)
    yield from _limits(facts)
    yield from _topics(facts)
    yield _session(facts)
    yield from _queue(facts, settings, topic)
    remedy = "in mosquitto.conf: persistence true, autosave_on_changes true, autosave_interval 1"
    yield Finding("warn", "whether the broker keeps sessions over its own crash cannot be seen from outside", remedy)


def _configuration(settings: Settings) -> Iterator[Finding]:
    try:
        checked_routes(settings)
    except UsageError as error:
        problem, _, remedy = str(error).rpartition("; ")
        yield Finding("fail", problem, remedy)
        return
    yield Finding("ok", "topics that are read and alerts that are written do not meet")
    if settings.mqtt.qos == 0:
        yield Finding("warn", "mqtt.qos is 0: what arrives while the daemon is away is lost", "mqtt.qos: 1")


def _clock(now_s: float) -> Iterator[Finding]:
    if now_s < _WRITTEN_S:
        day = time.strftime("%Y-%m-%d", time.gmtime(now_s))
        yield Finding("fail", f"the clock says {day}", "set the clock; a box without one needs systemd-timesyncd")
    else:
        yield Finding("ok", "the clock is plausible")


def _disk(folder: Path) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        yield Finding("warn", f"free disk unknown: {error.strerror}")
        return
    kind: Literal["ok", "warn", "fail"] = (
        "fail" if free < _MIN_FREE_BYTES else "warn" if free < _GOOD_FREE_BYTES else "ok"
    )
    remedy = "" if kind == "ok" else "make room on this disk"
    yield Finding(kind, f"{free / 1e9:.1f} GB free at {os.fspath(folder)}", remedy)


def _version(text: str) -> Finding:
    found = _VERSION.search(text)
    if not text or found is None:
        remedy = "let this user read $SYS/broker/version, as docker/acl does"
        return Finding("warn", "the broker does not say its version", remedy)
    version = tuple(int(part) for part in found.groups())
    if "mosquitto" in text.lower() and version < _OLDEST_MOSQUITTO:
        return Finding("fail", printable(text), "mosquitto 2.0.11 or newer, better 2.0.22")
    if "mosquitto" in text.lower() and version < _BEST_MOSQUITTO:
        remedy = "mosquitto 2.0.22 or newer counts what is in flight rightly"
        return Finding("warn", printable(text), remedy)
    return Finding("ok", printable(text))


def _limits(facts: BrokerFacts) -> Iterator[Finding]:
    if facts.limits.get("MaximumQoS", 2) < 1:
        yield Finding("fail", "the broker takes QoS 0 only", "max_qos 1 or 2 in mosquitto.conf")
    if facts.limits.get("RetainAvailable", 1) == 0:
        yield Finding("fail", "the broker retains nothing, so states of streams are lost", "retain_available true")
    largest = facts.limits.get("MaximumPacketSize", MAX_PACKET_BYTES)
    if largest < MAX_PACKET_BYTES:
        remedy = f"max_packet_size {MAX_PACKET_BYTES}"
        yield Finding("warn", f"the broker takes packets up to {largest} bytes; alerts may be larger", remedy)


def _topics(facts: BrokerFacts) -> Iterator[Finding]:
    for each in facts.refused_topics:
        yield Finding("fail", f"the broker does not let us read {each}", "its access list (acl_file)")
    if not facts.refused_topics:
        yield Finding("ok", "the broker lets us subscribe to every configured topic")


def _session(facts: BrokerFacts) -> Finding:
    if facts.is_session_kept:
        return Finding("ok", "the broker keeps our session while we are away")
    remedy = "persistent_client_expiration of a day or more, or none, in mosquitto.conf"
    return Finding("fail", "the broker forgets our session while we are away, and what arrives meanwhile", remedy)


def _queue(facts: BrokerFacts, settings: Settings, topic: str) -> Iterator[Finding]:
    if facts.publish_refusal or facts.n_received == 0:
        why = printable(facts.publish_refusal or "own messages do not come back")
        own = topic.rpartition("/")[0] + "/#"
        yield Finding(
            "fail",
            f"the broker's queue could not be measured: {why}",
            f"let this user write and read {own}, see docker/acl",
        )
        return
    if facts.n_in_flight < _MIN_IN_FLIGHT:
        remedy = "max_inflight_messages 1000 in mosquitto.conf"
        remedy += "" if settings.mqtt.protocol == "5" else ", or mqtt.protocol: '5'"
        yield Finding("fail", f"the broker sends only {facts.n_in_flight} messages ahead: 10 to 200 a second", remedy)
    else:
        yield Finding("ok", f"{facts.n_in_flight} messages in flight")
    lost = facts.n_sent - facts.n_received
    if lost > 0:
        text = f"the broker dropped {lost} of {facts.n_sent} messages while we were slow: it queues about"
        text += f" {facts.n_received - facts.n_in_flight}"
        yield Finding("fail", text, "max_queued_messages 100000 in mosquitto.conf (never 0)")
    else:
        text = f"all of {facts.n_sent} messages came through while we were slow: {facts.n_sent - RECEIVE_MAXIMUM}"
        yield Finding("ok", f"{text} or more are queued")


def is_healthy(findings: list[Finding]) -> bool:
    """Say whether the promise holds.

    Example:
        >>> is_healthy([Finding("ok", "a"), Finding("warn", "b")]), is_healthy([Finding("fail", "c")])
        (True, False)
    """
    return not any(finding.kind == "fail" for finding in findings)
