"""Topic templates: what to subscribe to, and which stream a topic names.

Comes in: a topic template such as ``plant/{device}/{sensor}``, a stream template such as
``{device}/{sensor}``, and topics as received. Goes out: a subscription filter and stream names
from an allow-list. This module refuses to know payloads and brokers.
"""

import re
from dataclasses import dataclass
from datetime import tzinfo
from typing import Self

from pipeline.decode.mapping import Mapping
from pipeline.decode.names import clean

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_STREAM_LITERAL = re.compile(r"[A-Za-z0-9_./-]*")

#: Key of a number that is a reading of the topic itself; it adds nothing to the stream's name.
PLAIN_KEY = "value"
#: Profile that is chosen by topic and content.
AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Route:
    """One subscription and how its topics name streams.

    Attributes:
        levels: Levels of the topic template; a placeholder is a whole level.
        parts: Stream template, literal text and placeholder names in turn; of an empty one profile and topic
            name the streams.
        profile: Name of the profile that reads its messages; ``auto`` for whichever claims them.
        zone: Zone of local times; None when nobody said.
        mapping: What the profile ``mapping`` reads.
    """

    levels: tuple[str, ...]
    parts: tuple[str, ...]
    profile: str = AUTO
    zone: tzinfo | None = None
    mapping: Mapping | None = None

    @classmethod
    def parse(cls, topic: str, stream: str) -> Self:
        """Compile a topic template and the stream template that belongs to it.

        Args:
            topic: Levels of literal text or one ``{placeholder}``; ``{rest}``, only at the end,
                matches one level or more.
            stream: Literal text and placeholders of ``topic``; ``{key}`` stands for the key of a
                number in a JSON object. Empty: profile and topic name the streams.

        Raises:
            ValueError: A template is wrong; the text says what and how to mend it.

        Example:
            >>> route = Route.parse("plant/{device}/{sensor}", "{device}/{sensor}")
            >>> route.filter
            'plant/+/+'
            >>> route.stream("plant/pump-1/temperature")
            'pump-1/temperature'
        """
        levels = tuple(topic.split("/"))
        known = _topic_placeholders(topic, levels)
        parts = tuple(_PLACEHOLDER.split(stream))
        _check_stream(stream, parts, known)
        return cls(levels, parts)

    @property
    def filter(self) -> str:
        """The MQTT topic filter to subscribe to."""
        wild = {level: "#" if level == "{rest}" else "+" for level in self.levels if level.startswith("{")}
        return "/".join(wild.get(level, level) for level in self.levels)

    def match(self, topic: str) -> dict[str, str] | None:
        """Return what the placeholders stand for in ``topic``; None when it does not match."""
        given = topic.split("/")
        if self.levels[-1] == "{rest}" and len(given) > len(self.levels):
            last = len(self.levels) - 1
            given[last:] = ["/".join(given[last:])]
        if len(given) != len(self.levels):
            return None
        fields: dict[str, str] = {}
        for level, text in zip(self.levels, given, strict=True):
            if level.startswith("{"):
                fields[level[1:-1]] = text
            elif level != text:
                return None
        return fields

    def name(self, fields: dict[str, str], key: str = PLAIN_KEY) -> str | None:
        """Return the stream of a number; None when its name cannot be brought into the allow-list.

        The name depends on topic and key alone, never on the other keys of a message, so a stream
        keeps its name when a device starts to send more.

        Args:
            fields: What ``match`` returned.
            key: Key of the number in a JSON object; ``value`` adds nothing to the name.
        """
        values = fields | {"key": key}
        cleaned = {part: clean(values[part]) for part in self.parts[1::2]}
        if None in cleaned.values():
            return None
        name = "".join(str(cleaned[part]) if i % 2 else part for i, part in enumerate(self.parts))
        if key != PLAIN_KEY and "key" not in cleaned:
            name = f"{name}/{clean(key) or '//'}"
        return clean(name)

    @property
    def is_named_by_profile(self) -> bool:
        """The stream template is empty."""
        return self.parts == ("",)

    def rest(self, topic: str, fields: dict[str, str]) -> str:
        """Return what a topic says beyond the template's own text; all of it where the template is nothing else."""
        return "/".join(fields.values()) or topic

    def stream(self, topic: str, key: str = PLAIN_KEY) -> str | None:
        """Return the stream that a topic and a key name; None when no name may be made of them."""
        fields = self.match(topic)
        return None if fields is None else self.name(fields, key)


def filters_overlap(one: str, other: str) -> bool:
    """Tell whether some topic matches both MQTT topic filters.

    Example:
        >>> filters_overlap("plant/+/temperature", "plant/pump/#")
        True
        >>> filters_overlap("plant/#", "foretell/home/alert/#")
        False
    """
    return _levels_overlap(one.split("/"), other.split("/"))


def _levels_overlap(one: list[str], other: list[str]) -> bool:
    for a, b in zip(one, other, strict=False):
        if "#" in (a, b):
            return True
        if a != b and "+" not in (a, b):
            return False
    longer = max(one, other, key=len)[min(len(one), len(other)) :]
    return not longer or longer == ["#"]  # "a/#" matches "a" too


def _topic_placeholders(topic: str, levels: tuple[str, ...]) -> set[str]:
    """Return the placeholders of a topic template, after checking it."""
    if "+" in topic or "#" in topic:
        raise ValueError("holds a wildcard; write {name} in place of + and {rest} in place of #")
    if not topic.isprintable():
        raise ValueError("holds a character that cannot be printed; remove it")
    names = [match[1] if (match := _PLACEHOLDER.fullmatch(level)) else "" for level in levels]
    for level, name in zip(levels, names, strict=True):
        if not name and ("{" in level or "}" in level):
            raise ValueError(f"level {level!r} mixes text and braces; make the whole level one {{placeholder}}")
    found = [name for name in names if name]
    if "rest" in names[:-1]:
        raise ValueError("{rest} matches all that follows; put it at the end")
    if "key" in found:
        raise ValueError("{key} stands for a key of the payload; use another name in the topic")
    if len(found) != len(set(found)):
        raise ValueError("uses a placeholder twice; give each its own name")
    return set(found)


def _check_stream(stream: str, parts: tuple[str, ...], known: set[str]) -> None:
    for literal in parts[0::2]:
        if not _STREAM_LITERAL.fullmatch(literal):
            raise ValueError(f"{stream!r} has characters other than letters, digits, '_', '.', '/', '-'; remove them")
    for name in parts[1::2]:
        if name not in known | {"key"}:
            choice = ", ".join(f"{{{each}}}" for each in [*sorted(known), "key"])
            raise ValueError(f"{{{name}}} is not in the topic; use {choice}")
