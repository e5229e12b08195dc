"""The declarative mapping: where identity, value, time and unit stand in JSON that no profile knows.

A path is keys and list positions: ``data.samples[0].temp``, ``$.a["b.c"]``; ``[*]`` is every element, in ``items``
alone. Nothing is evaluated.
"""

import math
import re
from dataclasses import dataclass
from typing import Self

from pipeline.core.priors import Prior
from pipeline.decode.content import Json, parse_number
from pipeline.decode.found import Content, Found, Incoming, Item, Profile
from pipeline.decode.memory import Memory
from pipeline.decode.profiles.common import MAX_ITEMS, leaves, record_time, word
from pipeline.decode.reasons import Reason, RefusalError, Skip

_STEP = re.compile(r"\.?([A-Za-z0-9_:@$-]+)|\[([0-9]{1,4})\]|\[(['\"])([^'\"\]]+)\3\]|(\[\*\])")
_EVERY = "*"

#: Keys and list positions from the root; ``*`` is every element.
Steps = tuple[str | int, ...]


def parse_path(path: str) -> Steps:
    """Return the steps of a path.

    Raises:
        ValueError: It is none; the text says what and how to mend it.

    Example:
        >>> parse_path("$.data[0].temp"), parse_path('a["b.c"]'), parse_path("")
        (('data', 0, 'temp'), ('a', 'b.c'), ())
    """
    rest, steps = path.removeprefix("$"), list[str | int]()
    while rest:
        match = _STEP.match(rest)
        if match is None:
            raise ValueError(f"{path!r} is no path; write keys and positions: data.samples[0].temp")
        name, position, _, quoted, every = match.groups()
        steps.append(int(position) if position else _EVERY if every else name or quoted)
        rest = rest[match.end() :]
    return tuple(steps)


def at(content: Json, steps: Steps) -> Json:
    """Return what stands at a path; None where nothing does."""
    for step in steps:
        if isinstance(step, str) and isinstance(content, dict):
            content = content.get(step)
        elif isinstance(step, int) and isinstance(content, list) and step < len(content):
            content = content[step]
        else:
            return None
    return content


@dataclass(frozen=True, slots=True)
class Mapping:
    """Where things stand.

    Attributes:
        items: List of records, each read by itself; empty when the payload is one record.
        device: Identity within a record, or within the payload.
        key: Name of what is measured; its value is the first of ``values``.
        values: Values; each is named by its last key unless ``key`` names it. Objects give all their leaves.
        time: Event time within a record, or within the payload.
        unit: Unit within a record.
    """

    items: Steps
    device: Steps
    key: Steps
    values: tuple[Steps, ...]
    time: Steps
    unit: Steps

    @classmethod
    def parse(cls, items: str, device: str, key: str, values: tuple[str, ...], time: str, unit: str) -> Self:
        """Compile paths.

        Raises:
            ValueError: One is wrong, or there is nothing to read; the text says how to mend it.
        """
        if not values:
            raise ValueError("mapping has no values; name at least one path: values: [temp]")
        if any(_EVERY in parse_path(path) for path in (device, key, *values, time, unit)):
            raise ValueError("[*] outside items; put the list there and name what is inside each element")
        steps = parse_path(items)
        if _EVERY in steps[:-1]:
            raise ValueError("[*] in the middle of items; only the last step may be every element")
        if steps and steps[-1] == _EVERY:
            steps = steps[:-1]
        return cls(
            steps,
            parse_path(device),
            parse_path(key),
            tuple(map(parse_path, values)),
            parse_path(time),
            parse_path(unit),
        )


def _read(incoming: Incoming, content: Content, _memory: Memory) -> Found:
    mapping = incoming.options
    if not isinstance(mapping, Mapping):
        raise RefusalError(Reason.MALFORMED, "the topic has no mapping")
    if not isinstance(content, dict | list):
        raise RefusalError(Reason.MALFORMED, "a mapping reads JSON objects and lists")
    records = at(content, mapping.items) if mapping.items else content if isinstance(content, list) else [content]
    if isinstance(records, dict):
        records = [records]
    if not isinstance(records, list) or not records:
        raise RefusalError(Reason.NO_NUMBER, "mapping.items: no list stands there")
    found = Found()
    for record in records:
        if len(found.items) > MAX_ITEMS:
            raise RefusalError(Reason.TOO_MANY_KEYS, f"more than {MAX_ITEMS} values")
        _take(record, content, mapping, found, incoming)
    if not found.items and not found.skipped:
        raise RefusalError(Reason.NO_NUMBER, "mapping.values: nothing stands at these paths")
    return found


def _take(record: Json, content: Json, mapping: Mapping, found: Found, incoming: Incoming) -> None:
    """Read one record; identity and time may stand outside it."""

    def near(steps: Steps) -> Json:
        inside = at(record, steps) if steps else None
        return at(content, steps) if inside is None and steps else inside

    time_s = record_time(found, near(mapping.time), incoming)
    if time_s is not None and math.isnan(time_s):
        return
    sub, named, unit = (word(near(steps)) for steps in (mapping.device, mapping.key, mapping.unit))
    if (mapping.device and not sub) or (mapping.key and not named):
        found.skipped.append(Skip.BAD_KEY)
        return
    for steps in mapping.values:
        value = at(record, steps)
        name = named or next((step for step in reversed(steps) if isinstance(step, str)), "value")
        if isinstance(value, dict):
            found.items.extend(Item(sub, f"{name}/{item.key}", item.value, time_s) for item in leaves(value))
        elif value is not None:
            number = parse_number(value) if isinstance(value, str) else None
            found.items.append(Item(sub, name, value if number is None else number, time_s))
            if unit:
                found.priors[sub, name] = Prior(unit[:16])


def _device(_levels: tuple[str, ...]) -> str | None:
    return None


def _claims(_content: Content) -> bool:
    return False


MAPPING = Profile("mapping", "What mqtt.topics[].mapping says", _device, _claims, _read)
