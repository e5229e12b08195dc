"""Influx line protocol: several lines, tags as identity, typed fields, times of any precision.

``measurement,tag=a temperature=21.4,rh=48i,door=f 1772359200000000000``. The stream is
``measurement/tag-a/temperature``; ``i`` and ``u`` mark integers, quotes text, ``t`` and ``f`` booleans.
"""

import re

from pipeline.decode.content import NUMBER, Json
from pipeline.decode.found import Content, Found, Incoming, Item, Profile
from pipeline.decode.memory import Memory
from pipeline.decode.profiles.common import MAX_ITEMS
from pipeline.decode.reasons import Reason, RefusalError, Skip
from pipeline.decode.times import epoch

_LINE_START = re.compile(r"[^\s,={\[\"#](?:\\.|[^\s\\])*+ (?:\\.|[^\s=,\\])++=\S")
_INTEGER = re.compile(r"[+-]?[0-9]{1,20}[iu]")
_BOOLEANS = {"t": True, "T": True, "true": True, "True": True, "TRUE": True} | dict.fromkeys(
    ("f", "F", "false", "False", "FALSE"), False
)
#: Text up to a separator that is neither escaped nor between quotes, by separator.
_PARTS = {
    separator: re.compile(rf'(?:[^\\"{separator}]++|\\.?+|"(?:[^\\"]++|\\.?+)*+"?+)*+', re.DOTALL)
    for separator in " ,="
}
_UNESCAPED = re.compile(r"\\([,= \"\\])")


def _device(_levels: tuple[str, ...]) -> str | None:
    return ""


def _claims(content: Content) -> bool:
    return isinstance(content, str) and _LINE_START.match(content) is not None


def _read(_incoming: Incoming, content: Content, _memory: Memory) -> Found:
    """Read lines; one that cannot be read is left out."""
    if not isinstance(content, str):
        raise RefusalError(Reason.MALFORMED, "line protocol is text")
    found = Found()
    for line in content.split("\n"):
        if line.strip() and not line.startswith("#"):
            _take(line.strip(), found)
        if len(found.items) > MAX_ITEMS or len(found.skipped) > MAX_ITEMS:
            raise RefusalError(Reason.TOO_MANY_KEYS, f"more than {MAX_ITEMS} values")
    if not found.items and found.skipped:
        raise RefusalError(Reason(found.skipped[0].value), "no line could be read")
    return found


def _take(line: str, found: Found) -> None:
    parts = split(line, " ")
    if len(parts) not in {2, 3}:
        found.skipped.append(Skip.MALFORMED)
        return
    try:
        time_s = epoch(float(parts[2])) if len(parts) == 3 and NUMBER.fullmatch(parts[2]) else None
    except RefusalError:
        found.skipped.append(Skip.BAD_TIME)
        return
    (name, *tags), fields = split(parts[0], ","), split(parts[1], ",")
    if len(tags) + len(fields) > MAX_ITEMS:
        raise RefusalError(Reason.TOO_MANY_KEYS, f"more than {MAX_ITEMS} fields in a line")
    pairs = sorted(pair for tag in tags if len(pair := split(tag, "=")) == 2)
    sub = "/".join([_plain(name), *(f"{_plain(key)}-{_plain(value)}".replace("/", "-") for key, value in pairs)])
    for each in fields:
        pair = split(each, "=")
        value = _value(pair[1]) if len(pair) == 2 else None
        if value is None:
            found.skipped.append(Skip.MALFORMED)
        else:
            found.items.append(Item(sub, _plain(pair[0]), value, time_s))


def split(text: str, separator: str) -> list[str]:
    r"""Split at a separator that is neither escaped nor between quotes; empty parts of spaces are dropped.

    Example:
        >>> split('a\\ b x="c d" 5', " ")
        ['a\\ b', 'x="c d"', '5']
    """
    part, parts, at = _PARTS[separator], list[str](), 0
    while at <= len(text):
        match = part.match(text, at)
        parts.append(match[0] if match else "")
        at += len(parts[-1]) + 1
    return [each for each in parts if each] if separator == " " else parts


def _value(text: str) -> Json:
    """Return a field's value; None when it is none."""
    if NUMBER.fullmatch(text):
        return float(text)
    if _INTEGER.fullmatch(text):
        return float(text[:-1])
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    return _BOOLEANS.get(text)


def _plain(text: str) -> str:
    return _UNESCAPED.sub(r"\1", text)


INFLUX = Profile("influx", "Influx line protocol", _device, _claims, _read)
