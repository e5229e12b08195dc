"""Retained descriptions: Home Assistant discovery and Homie. They tell units, limits and counters of streams."""

import re

from pipeline.core.priors import Prior
from pipeline.decode.content import Json, parse_number
from pipeline.decode.found import Content, Found, Incoming, Profile, keys_of
from pipeline.decode.memory import Memory
from pipeline.decode.profiles.common import inner, the_object, word
from pipeline.decode.profiles.generic import read_bare
from pipeline.decode.profiles.last_will import is_gone
from pipeline.decode.reasons import Reason, RefusalError

#: The one form of template that is read: a path, perhaps with filters behind it.
_PATH = re.compile(r"\{\{\s*value_json((?:\.\w+|\[['\"][^'\"\]]+['\"]\])+)\s*(?:\|[^{}]*)?\}\}")
_STEP = re.compile(r"\.(\w+)|\[['\"]([^'\"\]]+)['\"]\]")
_MAX_UNIT = 16
#: Types of Homie whose values are no readings, whatever they look like.
_HOMIE_WORDS = frozenset({"boolean", "enum", "string", "color", "datetime", "duration", "json"})
_MAX_PROPERTIES = 256


def template_path(template: str) -> str | None:
    """Return the path that a value template reads, steps joined by ``/``; empty for the whole payload.

    Templates that compute are not read: None.

    Example:
        >>> template_path("{{ value_json.energy.power | round(1) }}"), template_path("{{ value }}"), template_path("")
        ('energy/power', 'value', 'value')
        >>> template_path("{{ value_json.a * 2 }}")
    """
    text = template.strip()
    if text in {"", "{{ value }}", "{{value}}"}:
        return "value"
    match = _PATH.fullmatch(text)
    return "/".join(dotted or quoted for dotted, quoted in _STEP.findall(match[1])) if match else None


# Home Assistant discovery -------------------------------------------------------------------------------------


def _discovery_device(levels: tuple[str, ...]) -> str | None:
    return "" if levels[0] == "homeassistant" and levels[-1] == "config" and len(levels) > 3 else None


def _discovery_claims(content: Content) -> bool:
    return isinstance(content, dict)


def _discovery_read(incoming: Incoming, content: Content, memory: Memory) -> Found:
    """Remember what a discovery message says of the values under its state topic."""
    values = the_object(content)
    found = Found(is_metadata=True)
    topic = _either(values, "stat_t", "state_topic")
    base = word(values.get("~"))
    topic = f"{base}{topic[1:]}" if topic.startswith("~") else f"{topic[:-1]}{base}" if topic.endswith("~") else topic
    path = template_path(_either(values, "val_tpl", "value_template"))
    if topic and path is not None and incoming.levels[1:2] in {("sensor",), ("number",)}:
        kind = _either(values, "stat_cla", "state_class")
        unit = _either(values, "unit_of_meas", "unit_of_measurement")[:_MAX_UNIT]
        low, high = (value if isinstance(value := values.get(key), float) else None for key in ("min", "max"))
        memory.describe(topic, path, Prior(unit, low, high, kind == "total_increasing"))
    return found


def _either(values: dict[str, Json], short: str, long: str) -> str:
    return word(values.get(short)) or word(values.get(long))


# Homie --------------------------------------------------------------------------------------------------------


def _homie_levels(levels: tuple[str, ...]) -> tuple[str, ...]:
    """Return the levels from the device on; of version 5 the version is a level too."""
    start = levels.index("homie") + 1 if "homie" in levels[:2] else 0
    return levels[start + 1 :] if levels[start : start + 1] == ("5",) else levels[start:]


def _homie_device(levels: tuple[str, ...]) -> str | None:
    if "homie" not in levels[:1] or len(levels) <= 2:
        return None
    own = _homie_levels(levels)
    return "/".join(own[:-1] if own[-1].startswith("$") else own)


def _homie_claims(_content: Content) -> bool:
    return True


def _homie_read(incoming: Incoming, content: Content, memory: Memory) -> Found:
    """Read a property's value, or remember what an attribute says of it."""
    levels = _homie_levels(incoming.levels)
    if levels and levels[-1].startswith("$"):
        base = incoming.topic.rpartition("/")[0]
        if levels[-1] == "$description" and isinstance(content, dict):
            _describe_all(base, content, memory)
        elif is_text(content):
            _describe(base, levels[-1], str(content), memory)
        is_dead = levels[-1] == "$state" and is_gone(content)
        return Found(dead=[""] if is_dead else [], is_metadata=True)
    datatype = memory.not_numbers.get(incoming.topic)
    if datatype is not None:
        raise RefusalError(Reason.NO_NUMBER, f"its $datatype is {datatype}")
    if isinstance(content, dict | list):
        raise RefusalError(Reason.NO_NUMBER, "a property of Homie is one value")
    return read_bare(incoming, content, memory)


def is_text(content: Content) -> bool:
    """Tell whether content is a word or a number."""
    return isinstance(content, str | float)


def _describe_all(base: str, content: dict[str, Json], memory: Memory) -> None:
    """Remember the properties of a Homie 5 ``$description``."""
    n = 0
    for node, about in inner(content, "nodes").items():
        for name, attributes in inner(about if isinstance(about, dict) else {}, "properties").items():
            n += 1
            if n > _MAX_PROPERTIES:
                raise RefusalError(Reason.TOO_MANY_KEYS, f"more than {_MAX_PROPERTIES} properties")
            for attribute in ("unit", "datatype", "format"):
                text = word(keys_of(attributes).get(attribute))
                if text:
                    _describe(f"{base}/{node}/{name}", f"${attribute}", text, memory)


def _describe(topic: str, attribute: str, text: str, memory: Memory) -> None:
    prior = memory.described.get((topic, "value"), Prior())
    if attribute == "$unit":
        memory.describe(topic, "value", prior._replace(unit=text[:_MAX_UNIT]))
    elif attribute == "$format" and ":" in text:
        low, high = (parse_number(part) for part in text.split(":")[:2])
        memory.describe(topic, "value", prior._replace(low=low, high=high))
    elif attribute == "$datatype":
        if text in _HOMIE_WORDS:
            memory.not_numbers.put(topic, text)
        else:
            memory.not_numbers.pop(topic, None)


DISCOVERY = Profile(
    "homeassistant",
    "Home Assistant discovery: units, limits and counters of other streams",
    _discovery_device,
    _discovery_claims,
    _discovery_read,
)
HOMIE = Profile("homie", "Homie 4 and 5", _homie_device, _homie_claims, _homie_read)
