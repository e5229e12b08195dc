"""What became of a message, in plain words: the README's first answer to "I get no data".

Comes in: a message and the topics that are read. Goes out: profile, readings with the source of their times, what was
left out and why, or the named rejection with what to do. It is the daemon's own decoder; nothing is guessed anew.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.core.errors import printable
from pipeline.core.settings import Settings
from pipeline.decode.found import Item
from pipeline.decode.memory import Memory
from pipeline.decode.payloads import Decoded, Ignored, Rejection, Trace, decode, kind_of
from pipeline.decode.reasons import Skip
from pipeline.decode.registry import PROFILES
from pipeline.decode.topics import AUTO, Route
from pipeline.runtime.remedies import remedy
from pipeline.runtime.routes import checked_routes
from pipeline.sinks.alerts import iso_time
from pipeline.sources.inbox import Message, Origin

#: Readings, and values left out, that are shown of one message.
MAX_SHOWN = 50
_TEXT = 200


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading of a message.

    Attributes:
        stream: Its stream.
        value: Its value, sensor's unit.
        time_s: Event time, Unix seconds.
        timed_by: ``payload``, ``MQTT property`` or ``arrival``.
        note: Why it will not be scored all the same; empty when it will.
    """

    stream: str
    value: float
    time_s: float
    timed_by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one message.

    Attributes:
        topic: Its topic.
        outcome: ``accepted``, ``metadata`` (it describes streams), ``ignored`` or the reason of the rejection.
        entry: Settings entry that matches the topic; empty for none.
        profile: Profile that read it; empty when it did not come to that.
        says: What the profile is.
        is_recognised: Topic and content chose the profile, not a setting.
        readings: What was decoded.
        left_out: Names and kinds of values that are no readings.
        notes: What else there is to know.
        detail: What exactly was wrong.
        remedy: What to do about it; empty where all is well.
    """

    topic: str
    outcome: str
    entry: str = ""
    profile: str = ""
    says: str = ""
    is_recognised: bool = True
    readings: Sequence[Reading] = ()
    left_out: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    detail: str = ""
    remedy: str = ""

    @property
    def is_fine(self) -> bool:
        """It gave readings, or says what streams are."""
        return self.outcome in {"accepted", "metadata"}


def routes_of(settings: Settings | None) -> tuple[Route, ...]:
    """Return the routes of a configuration; without one, whatever topic is read by whatever profile claims it.

    Raises:
        UsageError: An entry of the configuration is wrong.
    """
    anything = {"mqtt": {"topics": [{"topic": "{rest}"}]}, "alerts": {"publish": False}}
    return checked_routes(settings or Settings.model_validate(anything))


def explain(
    topic: str, payload: bytes, properties: Sequence[tuple[str, str]], settings: Settings | None, arrival_s: float
) -> Explanation:
    """Explain one message.

    Args:
        topic: Its topic.
        payload: Its payload.
        properties: Its MQTT 5 user properties.
        settings: All settings; None for any topic and any profile.
        arrival_s: When it arrives, Unix seconds.

    Raises:
        UsageError: An entry of the configuration is wrong.

    Example:
        >>> explain("hall/t", b"20.5", [], None, 7.0).readings[0].stream
        'hall/t'
    """
    message = Message(topic, payload, retained=False, arrival_s=arrival_s, origin=Origin(properties=tuple(properties)))
    future_s = settings.streams.future_s if settings else Settings().streams.future_s
    (told,) = explain_messages([message], routes_of(settings), future_s)
    return told


def explain_messages(
    messages: Iterable[Message], routes: Sequence[Route], future_s: float = 60.0
) -> Iterator[Explanation]:
    """Explain messages in order: later ones may need what earlier ones said, as Sparkplug's do.

    Args:
        messages: Messages.
        routes: What ``routes_of`` returned.
        future_s: Event times further ahead of the arrival than this are not scored, seconds.
    """
    memory = Memory()
    for message in messages:
        yield _explained(message, routes, memory, future_s)


def _explained(message: Message, routes: Sequence[Route], memory: Memory, future_s: float) -> Explanation:
    trace = Trace()
    topic, arrival_s = message.topic, message.arrival_s
    outcome = decode(topic, message.payload, arrival_s, routes, memory, message.origin.properties, trace)
    route = trace.plan.route if trace.plan else None
    shown = printable(topic, _TEXT)
    entry = _entry(route, routes)
    if isinstance(outcome, Ignored):
        return Explanation(shown, "ignored", entry, remedy=remedy("ignored", routes))
    if isinstance(outcome, Rejection):
        profile, detail = outcome.profile, printable(outcome.detail, _TEXT)
        matches = any(each.match(topic) is not None for each in routes)
        mended = remedy(outcome.reason, routes, has_route=matches, profile=profile)
        left_out = _left_out(trace, {})
        return Explanation(
            shown, outcome.reason.value, entry, profile, _says(profile), _is_auto(route), (), left_out,
            [f"asks the publisher: {printable(each.topic, _TEXT)}" for each in outcome.requests], detail, mended,
        )  # fmt: skip
    names = _names(trace)
    kind = "accepted" if outcome.readings or outcome.skipped else "metadata"
    return Explanation(
        shown, kind, entry, outcome.profile, _says(outcome.profile), _is_auto(route),
        list(_readings(message, outcome, trace, names, future_s)), _left_out(trace, names), list(_notes(outcome)),
    )  # fmt: skip


def _entry(route: Route | None, routes: Sequence[Route]) -> str:
    if route is None:
        return ""
    return f"mqtt.topics[{list(routes).index(route)}] {'/'.join(route.levels)}"


def _is_auto(route: Route | None) -> bool:
    return route is None or route.profile == AUTO


def _says(profile: str) -> str:
    return PROFILES[profile].says if profile else ""


def _names(trace: Trace) -> Mapping[tuple[str, str], str]:
    return trace.reader.names if trace.reader else {}


def _items(trace: Trace) -> Sequence[Item]:
    return trace.found.items if trace.found else ()


def _readings(
    message: Message, decoded: Decoded, trace: Trace, names: Mapping[tuple[str, str], str], future_s: float
) -> Iterator[Reading]:
    """Yield the readings, each with the source of its time."""
    has_time = trace.found is not None and trace.found.time_s is not None
    common = "payload" if has_time else "arrival" if decoded.is_arrival_timed else "MQTT property"
    own = {(names.get(item[:2]), item.time_s) for item in _items(trace) if item.time_s is not None}
    for stream, time_s, value in decoded.readings:
        timed_by = "payload" if (stream, time_s) in own else common
        note = "retained: shown as last known, never scored" if message.retained else ""
        if time_s > message.arrival_s + future_s:
            note = "in the future: not scored; is the sensor's clock right?"
        yield Reading(stream, value, time_s, timed_by, note)


def _left_out(trace: Trace, names: Mapping[tuple[str, str], str]) -> list[tuple[str, str]]:
    """Return what is no reading, and why."""
    found = []
    for item in _items(trace):
        kind = kind_of(item)
        if kind == "number":
            is_named = item[:2] in names
            kind = "" if is_named and abs(float(str(item.value))) < float("inf") else "not finite"
            kind = kind if is_named else "no stream can be called so"
        if kind:
            found.append((printable("/".join(filter(None, item[:2])), _TEXT), kind))
    return found


def _notes(decoded: Decoded) -> Iterator[str]:
    """Yield what else there is to know."""
    if Skip.NO_ZONE in decoded.skipped:
        yield "its time is local and nobody says where: the arrival counts; set mqtt.topics[].timezone"
    for skip in dict.fromkeys(decoded.skipped):
        if skip is not Skip.NO_ZONE:
            yield f"left out {decoded.skipped.count(skip)}: {skip.value}"
    for name, prior in list(decoded.priors.items())[:MAX_SHOWN]:
        limits = "" if prior.low is prior.high is None else f", from {prior.low} to {prior.high}"
        kind = ", a meter's register" if prior.is_counter else ""
        yield f"{name}: unit {printable(prior.unit, 16) or 'unknown'}{limits}{kind}"
    if decoded.n_lost:
        yield f"{decoded.n_lost} messages before it were lost"
    yield from (f"gone: {printable(device, _TEXT)}" for device in decoded.dead)
    yield from (f"asks the publisher: {printable(each.topic, _TEXT)}" for each in decoded.requests)


def explanation_lines(told: Explanation) -> Iterator[str]:
    """Yield an explanation as lines; nothing of a message reaches the terminal unescaped."""
    yield f"topic     {told.topic}"
    yield f"read by   {told.entry or 'no entry of mqtt.topics'}"
    if told.profile:
        how = "recognised" if told.is_recognised else "named by the entry"
        yield f"profile   {told.profile}, {how}: {told.says}"
    if told.is_fine:
        yield f"outcome   {told.outcome}, {len(told.readings)} readings"
    else:
        kind = "ignored" if told.outcome == "ignored" else f"rejected, {told.outcome}"
        yield f"outcome   {kind}{': ' if told.detail else ''}{told.detail}"
    for reading in told.readings[:MAX_SHOWN]:
        time = f"{iso_time(reading.time_s)} by {reading.timed_by}"
        yield f"  {reading.stream} = {reading.value!r} at {time}{'; ' if reading.note else ''}{reading.note}"
    if len(told.readings) > MAX_SHOWN:
        yield f"  ... {len(told.readings) - MAX_SHOWN} more"
    if told.left_out:
        rest = ", ..." if len(told.left_out) > MAX_SHOWN else ""
        yield f"no readings: {', '.join(f'{name} ({kind})' for name, kind in told.left_out[:MAX_SHOWN])}{rest}"
    yield from (f"note      {note}" for note in told.notes)
    if told.remedy:
        yield f"to do     {told.remedy}"


def explanation_json(told: Explanation) -> dict[str, Any]:
    """Return an explanation as plain values for JSON."""
    readings = [
        {"stream": r.stream, "value": r.value, "time": iso_time(r.time_s), "timed_by": r.timed_by, "note": r.note}
        for r in told.readings
    ]
    return {
        "topic": told.topic,
        "outcome": told.outcome,
        "entry": told.entry,
        "profile": told.profile,
        "recognised": told.is_recognised,
        "readings": readings,
        "left_out": [{"name": name, "kind": kind} for name, kind in told.left_out],
        "notes": list(told.notes),
        "detail": told.detail,
        "remedy": told.remedy,
    }
