"""Publishers of no family: a bare number, or an object whose leaves are values.

``bare`` takes names from the topic alone, as Shelly Gen1, ESPHome and OpenMQTTGateway write it; ``plain`` takes
objects. Both are what is left when no other profile claims a message.
"""

import re

from pipeline.decode.content import NUMBER
from pipeline.decode.found import Content, Found, Incoming, Item, Profile
from pipeline.decode.memory import Memory
from pipeline.decode.profiles.common import MAX_ITEMS, leaves, time_of
from pipeline.decode.reasons import Reason, RefusalError

#: Keys of an object that hold its event time, lower case; the first that is there counts.
TIME_KEYS = frozenset({"time", "timestamp", "ts"})
_WORD = re.compile(r"[^\W\d][\w -]{0,63}")
_ESPHOME_KINDS = ("sensor", "number", "climate")


def _shelly1_device(levels: tuple[str, ...]) -> str | None:
    if len(levels) < 3 or levels[0] != "shellies":
        return None
    rest = [level for i, level in enumerate(levels[1:]) if (i, level) != (1, "sensor")]
    return "/".join(rest)


def _esphome_device(levels: tuple[str, ...]) -> str | None:
    if len(levels) < 4 or levels[-1] != "state" or levels[-3] not in _ESPHOME_KINDS:
        return None
    return "/".join((*levels[:-3], levels[-2]))


def is_scalar(content: Content) -> bool:
    """Tell whether content is one value."""
    return not isinstance(content, dict | list | bytes)


def read_bare(_incoming: Incoming, content: Content, _memory: Memory) -> Found:
    """Read one value that the topic names."""
    if isinstance(content, bytes):
        raise RefusalError(Reason.NOT_TEXT, "neither text nor a binary format that is known here")
    if isinstance(content, dict | list):
        raise RefusalError(Reason.MALFORMED, "this profile reads bare values")
    if isinstance(content, str) and not (_WORD.fullmatch(content) or NUMBER.fullmatch(content)):
        raise RefusalError(Reason.MALFORMED, f"{content[:40]!r} is neither a number nor JSON")
    return Found([Item("", "value", content)])


def read_plain(incoming: Incoming, content: Content, memory: Memory) -> Found:
    """Read an object's leaves, or a bare value."""
    if not isinstance(content, dict):
        if isinstance(content, list):
            raise RefusalError(Reason.NESTED, "a list that no profile knows; profile: mapping can read it")
        return read_bare(incoming, content, memory)
    if len(content) > MAX_ITEMS:
        raise RefusalError(Reason.TOO_MANY_KEYS, f"more than {MAX_ITEMS} keys")
    found = Found()
    is_timed = False
    for key, value in content.items():
        if key.lower() in TIME_KEYS:
            if not is_timed and value is not None:
                is_timed = True
                found.time_s = time_of(found, value, incoming)
        elif isinstance(value, dict):
            found.items.extend(leaves(value, prefix=f"{key}/"))
        else:
            found.items.append(Item("", key, value))
    return found


def _any(_levels: tuple[str, ...]) -> str | None:
    return None


def _always(_content: Content) -> bool:
    return True


SHELLY1 = Profile("shelly1", "Shelly Gen1: one value per topic", _shelly1_device, is_scalar, read_bare)
ESPHOME = Profile("esphome", "ESPHome: one value per topic, .../state", _esphome_device, is_scalar, read_bare)
BARE = Profile("bare", "One value per topic, of anybody", _any, is_scalar, read_bare)
PLAIN = Profile("plain", "JSON objects of anybody: every number is a stream", _any, _always, read_plain)
