"""Routes from settings: templates compiled, profiles found, zones opened, and no loop through our own alerts.

Comes in: settings. Goes out: the routes that messages are decoded by, or one clear line about what is wrong.
"""

from dataclasses import replace
from datetime import tzinfo
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from pipeline.core.edge_settings import TopicSettings
from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings
from pipeline.decode.mapping import MAPPING, Mapping
from pipeline.decode.registry import PROFILES
from pipeline.decode.topics import AUTO, Route, filters_overlap
from pipeline.sinks.outgoing import publish_filters


def checked_routes(settings: Settings) -> tuple[Route, ...]:
    """Compile the configured topics, and make sure that we do not read what we publish.

    Raises:
        UsageError: A template, profile, zone or path is wrong, or a topic matches our own alerts.
    """
    routes = []
    for i, topic in enumerate(settings.mqtt.topics):
        where = f"mqtt.topics[{i}]"
        try:
            route = Route.parse(topic.topic, topic.stream)
        except ValueError as error:
            raise _usage(f"{where} {topic.topic!r} -> {topic.stream!r}", error) from None
        _refuse_loop(settings, i, route)
        profile, zone = _profile(where, topic), _zone(where, topic)
        routes.append(replace(route, profile=profile, zone=zone, mapping=_mapping(where, topic)))
    return tuple(routes)


def _profile(where: str, topic: TopicSettings) -> str:
    known = [AUTO, *PROFILES]
    if topic.profile in known:
        return topic.profile
    near = get_close_matches(topic.profile, known, 1)
    remedy = f"did you mean {near[0]}?" if near else f"profiles are: {', '.join(known)}"
    raise UsageError(f"{where}.profile", f"{topic.profile!r} is not a profile", remedy)


def _zone(where: str, topic: TopicSettings) -> tzinfo | None:
    if not topic.timezone:
        return None
    try:
        return ZoneInfo(topic.timezone)
    except (ValueError, OSError, LookupError):
        problem = f"{topic.timezone!r} is not a time zone"
        raise UsageError(f"{where}.timezone", problem, "write its name, such as Europe/Berlin, or UTC") from None


def _mapping(where: str, topic: TopicSettings) -> Mapping | None:
    paths = topic.mapping
    is_used = topic.profile == MAPPING.name
    if not is_used and paths != type(paths)():
        raise UsageError(f"{where}.mapping", f"is not read by profile {topic.profile}", "set profile: mapping")
    if not is_used:
        return None
    try:
        return Mapping.parse(paths.items, paths.device, paths.key, paths.values, paths.time, paths.unit)
    except ValueError as error:
        raise _usage(f"{where}.mapping", error) from None


def _usage(where: str, error: ValueError) -> UsageError:
    problem, _, remedy = str(error).partition("; ")
    return UsageError(where, problem, remedy)


def _refuse_loop(settings: Settings, i: int, route: Route) -> None:
    if not settings.alerts.publish:
        return
    for ours in publish_filters(settings.alerts.topic_prefix, settings.site):
        if filters_overlap(route.filter, ours):
            raise UsageError(
                f"mqtt.topics[{i}]",
                f"{route.filter} matches our own alerts, {ours}",
                "narrow the topic, change alerts.topic_prefix, or set alerts.publish: false",
            )
