"""The decoder: one message becomes readings, or a named rejection, never an exception.

Comes in: topic, payload bytes, arrival, routes and what was remembered. Goes out: (stream, event time, value) of
each number, all finite, or the one reason why there is none. Everything here is hostile until parsed. This module
refuses to know brokers, the engine and what the numbers mean.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.core.priors import Prior
from pipeline.decode.content import MAX_PAYLOAD_BYTES, parse
from pipeline.decode.found import Content, Found, Incoming, Item, Profile
from pipeline.decode.ignored import is_ignored
from pipeline.decode.memory import Memory
from pipeline.decode.names import joined
from pipeline.decode.profiles.common import MAX_ITEMS
from pipeline.decode.profiles.generic import TIME_KEYS
from pipeline.decode.reasons import Reason, RefusalError, Rejection, Request, Skip
from pipeline.decode.registry import PROFILES, candidates, choose
from pipeline.decode.times import ZonelessError, event_time
from pipeline.decode.topics import AUTO, PLAIN_KEY, Route

__all__ = ["MAX_PAYLOAD_BYTES", "Decoded", "Ignored", "Reason", "Rejection", "Skip", "decode"]

MAX_TOPIC_CHARS = 1024
#: Names that are kept at most, over all topics; then the cache begins anew.
MAX_NAMES = 100_000
#: Forms of objects that one topic may have in the cache.
_MAX_FORMS = 32
#: What a publisher says itself is no reading; nothing is wrong with the message then.
_SAID = frozenset({Skip.NULL, Skip.BAD_QUALITY, Skip.HISTORICAL})
#: Profiles of topics that hold no readings and yet say something of streams.
_TOLD = frozenset({"homeassistant", "last_will"})
_REASONS = {skip: Reason(skip.value) for skip in Skip if skip.value in set(Reason)}


@dataclass(slots=True)  # frozen it takes three times as long to make
class Decoded:
    """A message that was understood.

    Attributes:
        readings: Stream name, event time in Unix seconds, finite value in the sensor's unit. None where the
            message described streams, or said itself that its values are no news.
        skipped: What beside them looked like a reading but was refused.
        profile: The profile that read it.
        is_arrival_timed: The event time of some readings is the arrival.
        priors: What has become known of its streams beforehand.
        requests: What should be asked of the publisher.
        n_lost: Messages that are known to be lost before it.
        dead: Devices that the publisher says are gone: beginnings of stream names.
    """

    readings: list[tuple[str, float, float]]
    skipped: list[Skip] = field(default_factory=list)
    profile: str = "plain"
    is_arrival_timed: bool = False
    priors: Mapping[str, Prior] = field(default_factory=dict)
    requests: Sequence[Request] = ()
    n_lost: int = 0
    dead: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Ignored:
    """A message of a topic that holds no readings: a bridge's state, a command."""


@dataclass(slots=True)
class Reader:
    """A profile at work on one topic.

    Attributes:
        profile: The profile.
        device: Device that the topic names for it; empty when the payload names it.
        names: Stream names so far, by (sub, key).
        told: Priors that were passed on, by (sub, key).
        version: State of ``Memory.described`` when its priors were last looked up.
    """

    profile: Profile
    device: str
    names: dict[tuple[str, str], str] = field(default_factory=dict)
    told: dict[tuple[str, str], Prior] = field(default_factory=dict)
    version: int = 0


@dataclass(slots=True)
class Plan:
    """How a topic is read.

    Attributes:
        route: The route that matches; None when none does.
        levels: Levels of the topic.
        fields: What the route's placeholders stand for.
        is_ignored: It holds no readings.
        options: Profiles that may read it, each with its device.
        forms: Readers by the keys of an object.
        readers: Readers by the name of the profile.
    """

    route: Route | None
    levels: tuple[str, ...]
    fields: dict[str, str]
    is_ignored: bool
    options: tuple[tuple[Profile, str | None], ...]
    forms: dict[tuple[str, ...], Reader] = field(default_factory=dict)
    readers: dict[str, Reader] = field(default_factory=dict)


@dataclass(slots=True)
class Trace:
    """How far a message came, for explanations.

    Attributes:
        plan: How its topic is read; None when no route matches it.
        reader: The profile that reads it; None when it did not come to that.
        found: What the profile found; None when it refused.
    """

    plan: Plan | None = None
    reader: Reader | None = None
    found: Found | None = None


def decode(
    topic: str,
    payload: bytes,
    arrival_s: float,
    routes: Sequence[Route],
    memory: Memory | None = None,
    properties: Sequence[tuple[str, str]] = (),
    trace: Trace | None = None,
) -> Decoded | Rejection | Ignored:
    """Turn one message into readings.

    The first route that matches says which profile reads it; with ``auto`` topic and content do. Strings, booleans
    and nulls are no readings. The event time is the payload's, else that of an MQTT 5 user property ``time``,
    ``timestamp`` or ``ts``, else the arrival.

    Args:
        topic: Topic as received.
        payload: Payload as received, any bytes.
        arrival_s: Arrival time, Unix seconds.
        routes: Tried in order; the same ones for one memory.
        memory: What is remembered between messages; it is changed. None for nothing.
        properties: MQTT 5 user properties, and the content type as ``content-type``.
        trace: Filled in as far as it comes; None where nobody asks.

    Returns:
        The readings, or the reason why there is none. Never raises.

    Example:
        >>> routes = [Route.parse("plant/{rest}", "{rest}")]
        >>> decode("plant/pump", b'{"t": 20.5, "unit": "C"}', 7.0, routes).readings
        [('pump/t', 7.0, 20.5)]
        >>> decode("plant/pump", b"NaN", 7.0, routes).reason
        <Reason.NOT_FINITE: 'not_finite'>
    """
    memory = Memory() if memory is None else memory
    trace = Trace() if trace is None else trace
    profile = ""
    try:
        plan = trace.plan = plan_of(topic, routes, memory)
        if plan.is_ignored:
            return Ignored()
        content = parse(payload)
        reader = trace.reader = reader_of(plan, content)
        profile = reader.profile.name
        incoming = incoming_of(topic, payload, arrival_s, plan, properties)
        found = trace.found = reader.profile.read(incoming, content, memory)
        return _collect(plan, reader, incoming, found, memory, properties)
    except RefusalError as refusal:
        return Rejection(refusal.reason, refusal.detail, profile)


def plan_of(topic: str, routes: Sequence[Route], memory: Memory) -> Plan:
    """Return how a topic is read.

    Raises:
        RefusalError: No route matches it, or it can name no stream.
    """
    plan: Plan | None = memory.plans.get(topic)
    if plan is None:
        if len(topic) > MAX_TOPIC_CHARS:
            raise RefusalError(Reason.BAD_TOPIC, f"longer than {MAX_TOPIC_CHARS} characters")
        plan = _plan(topic, routes)
        memory.plans.put(topic, plan)
    if plan.route is None:
        raise RefusalError(Reason.BAD_TOPIC, "no entry of mqtt.topics matches it, or it can name no stream")
    return plan


def _plan(topic: str, routes: Sequence[Route]) -> Plan:
    levels = tuple(topic.split("/"))
    for route in routes:
        fields = route.match(topic)
        if fields is None:
            continue
        rest = route.rest(topic, fields).removeprefix("/")
        if (joined(rest) if route.is_named_by_profile else route.name(fields)) is None and not topic.startswith("$"):
            continue
        if route.profile != AUTO:
            profile = PROFILES[route.profile]
            return Plan(route, levels, fields, is_ignored=False, options=((profile, profile.device(levels)),))
        options = candidates(levels)
        ignored = is_ignored(topic) and options[0][0].name not in _TOLD
        return Plan(route, levels, fields, ignored, options)
    return Plan(None, levels, {}, is_ignored=False, options=())


def reader_of(plan: Plan, content: Content) -> Reader:
    """Return the reader of some content of a topic."""
    if isinstance(content, dict):
        form = tuple(content)
        reader = plan.forms.get(form)
        if reader is None:
            reader = _choose(plan, content)
            if len(plan.forms) < _MAX_FORMS and len(form) <= MAX_ITEMS:
                plan.forms[form] = reader
        return reader
    return _choose(plan, content)


def _choose(plan: Plan, content: Content) -> Reader:
    profile, device = plan.options[0] if len(plan.options) == 1 else choose(plan.options, content)
    reader = plan.readers.get(profile.name)
    if reader is None:
        if device is None and plan.route is not None:
            device = plan.route.rest("/".join(plan.levels), plan.fields).removeprefix("/")
        reader = plan.readers[profile.name] = Reader(profile, device or "")
    return reader


def incoming_of(
    topic: str, payload: bytes, arrival_s: float, plan: Plan, properties: Sequence[tuple[str, str]]
) -> Incoming:
    """Return a message as profiles see it."""
    content_type = dict(properties).get("content-type", "") if properties else ""
    route = plan.route
    if route is None:
        return Incoming(topic, plan.levels, arrival_s, None, payload, content_type)
    return Incoming(topic, plan.levels, arrival_s, route.zone, payload, content_type, route.mapping)


def name_of(plan: Plan, reader: Reader, sub: str, key: str) -> str | None:
    """Return the name of a stream; None when none may be made of what the publisher calls it."""
    if plan.route is None:
        return None
    if not plan.route.is_named_by_profile:
        return (
            plan.route.name(plan.fields, f"{sub}/{key}".removesuffix(f"/{PLAIN_KEY}") if sub else key) if key else None
        )
    device = reader.device
    if not device and not sub:
        device = plan.route.rest("/".join(plan.levels), plan.fields).removeprefix("/")
    return joined(device, sub, "" if key == PLAIN_KEY else key) if key else None


def _collect(
    plan: Plan,
    reader: Reader,
    incoming: Incoming,
    found: Found,
    memory: Memory,
    properties: Sequence[tuple[str, str]],
) -> Decoded | Rejection:
    """Gather what is numeric; a message in which nothing is gets the reason of its first value refused."""
    if len(found.items) > MAX_ITEMS:
        raise RefusalError(Reason.TOO_MANY_KEYS, f"more than {MAX_ITEMS} values")
    time_s = found.time_s
    is_arrival_timed = False
    if time_s is None:
        time_s = _property_time(properties, incoming) if properties else None
        if time_s is None:
            time_s = incoming.arrival_s
            is_arrival_timed = True
    readings: list[tuple[str, float, float]] = []
    names, skipped = reader.names, found.skipped
    for sub, key, value, own_s in found.items:
        if type(value) is float:
            name = names.get((sub, key))
            if name is None:
                name = _new_name(plan, reader, sub, key, memory)
            if name is None:
                skipped.append(Skip.BAD_KEY)
            elif not math.isfinite(value):
                skipped.append(Skip.NOT_FINITE)
            else:
                readings.append((name, time_s if own_s is None else own_s, value))
    if not readings and not found.is_metadata and not (set(skipped) & _SAID):
        return _rejection(found, reader.profile.name)
    return Decoded(
        readings,
        skipped,
        reader.profile.name,
        is_arrival_timed and any(item.time_s is None for item in found.items),
        _news(plan, reader, found, memory),
        found.requests,
        found.n_lost,
        _dead(plan, reader, found) if found.dead else (),
    )


def _dead(plan: Plan, reader: Reader, found: Found) -> list[str]:
    """Return the beginnings of the names of streams whose device is gone, as profile and route name them."""
    names = [joined(reader.device, sub) for sub in found.dead]
    topic, route = "/".join(plan.levels), plan.route
    if route is not None:
        own = route.rest(topic, plan.fields) if route.is_named_by_profile else route.name(plan.fields) or ""
        parent, _, last = own.rpartition("/")
        names.append(joined(parent if last == plan.levels[-1] else own) if own != topic else None)
    return list(dict.fromkeys(name for name in names if name))


def _new_name(plan: Plan, reader: Reader, sub: str, key: str, memory: Memory) -> str | None:
    """Make a stream's name and keep it; when too many are kept, all begin anew."""
    name = name_of(plan, reader, sub, key)
    if name is not None:
        memory.n_names += 1
        if memory.n_names > MAX_NAMES:
            memory.n_names = 0
            memory.plans.clear()
        reader.names[sub, key] = name
    return name


def _rejection(found: Found, profile: str) -> Rejection:
    first = next((_REASONS[skip] for skip in found.skipped if skip in _REASONS), None)
    if first is not None:
        return Rejection(first, "", profile, tuple(found.requests))
    is_list = any(isinstance(item.value, list) for item in found.items)
    kinds = sorted({kind_of(item) for item in found.items}) or ["nothing"]
    reason = Reason.NESTED if is_list else Reason.NO_NUMBER
    return Rejection(reason, f"it holds {', '.join(kinds)}", profile, tuple(found.requests))


def kind_of(item: Item) -> str:
    """Return what a value is: a number is a reading, everything else is told apart from it.

    Example:
        >>> [kind_of(Item("", "k", value)) for value in (1.0, True, "ON", None, [])]
        ['number', 'boolean', 'text', 'null', 'list']
    """
    value = item.value
    if value is None:
        return "null"
    names = {bool: "boolean", float: "number", str: "text", list: "list", dict: "object"}
    return names[type(value)]


def _property_time(properties: Sequence[tuple[str, str]], incoming: Incoming) -> float | None:
    """Return the event time of an MQTT 5 user property; None when there is none that can be read."""
    for key, value in properties:
        if key.lower() in TIME_KEYS:
            try:
                return event_time(value, incoming.zone, incoming.arrival_s)
            except (RefusalError, ZonelessError):
                return None
    return None


def _news(plan: Plan, reader: Reader, found: Found, memory: Memory) -> dict[str, Prior]:
    """Return what became known of the message's streams, from itself and from retained descriptions."""
    priors = found.priors
    if reader.version != memory.version or len(reader.told) != len(reader.names):
        reader.version = memory.version
        topic = "/".join(plan.levels)
        priors = {(sub, key): memory.described.get((topic, key), Prior()) for sub, key in reader.names} | priors
    news = {}
    for at, prior in priors.items():
        name = reader.names.get(at)
        if name is not None and reader.told.get(at) != prior:
            reader.told[at] = prior
            if prior != Prior():
                news[name] = prior
    return news
