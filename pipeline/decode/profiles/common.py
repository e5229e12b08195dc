"""What several profiles do alike: walk a payload's leaves, read its time, follow frame counts."""

from collections.abc import Iterator

from pipeline.decode.content import Json
from pipeline.decode.found import Content, Found, Incoming, Item
from pipeline.decode.memory import Memory
from pipeline.decode.reasons import Reason, RefusalError, Skip
from pipeline.decode.times import ZonelessError, event_time

#: Objects inside objects that are walked at most.
MAX_DEPTH = 8
#: Values of one message at most.
MAX_ITEMS = 1024
_NOTHING = frozenset[str]()
#: Frames that may be missing and still be told as lost; a larger gap is another session.
_MOST_LOST = 1000
_FRAME_COUNTS = 1 << 16


def leaves(
    content: dict[str, Json], skip: frozenset[str] = _NOTHING, prefix: str = "", depth: int = 1
) -> Iterator[Item]:
    """Yield the leaves of an object, keys joined by ``/``; a list is a leaf.

    Args:
        content: The object.
        skip: Keys that are left out at any depth.
        prefix: Put before every key.
        depth: How deep the object itself is.

    Raises:
        RefusalError: Nested too deep.

    Example:
        >>> [(item.key, item.value) for item in leaves({"a": 1.0, "b": {"c": 2.0, "Id": "x"}}, frozenset({"Id"}))]
        [('a', 1.0), ('b/c', 2.0)]
    """
    if depth > MAX_DEPTH:
        raise RefusalError(Reason.NESTED, f"more than {MAX_DEPTH} objects inside each other")
    for key, value in content.items():
        if key in skip:
            continue
        if isinstance(value, dict):
            yield from leaves(value, skip, f"{prefix}{key}/", depth + 1)
        else:
            yield Item("", prefix + key, value)


def time_of(found: Found, value: Json, incoming: Incoming) -> float | None:
    """Return an event time in Unix seconds; None where there is none, or it is a local one of nobody knows where.

    Raises:
        RefusalError: It is no time.
    """
    if value is None:
        return None
    try:
        return event_time(value, incoming.zone, incoming.arrival_s)
    except ZonelessError:
        found.skipped.append(Skip.NO_ZONE)
        return None


def record_time(found: Found, value: Json, incoming: Incoming) -> float | None:
    """Return the event time of one of several records; None when it has none; NaN, noted, when it is no time."""
    try:
        return time_of(found, value, incoming)
    except RefusalError:
        found.skipped.append(Skip.BAD_TIME)
        return float("nan")


def the_object(content: Content) -> dict[str, Json]:
    """Return content that must be an object.

    Raises:
        RefusalError: It is none.
    """
    if isinstance(content, dict):
        return content
    raise RefusalError(Reason.MALFORMED, "this profile reads JSON objects")


def inner(content: dict[str, Json], *path: str) -> dict[str, Json]:
    """Return the object at a path; an empty one where there is none."""
    for key in path:
        value = content.get(key)
        if not isinstance(value, dict):
            return {}
        content = value
    return content


def word(value: Json) -> str:
    """Return an id as text: a whole number without its fraction; empty for anything that is no id.

    Example:
        >>> word(196.0), word("01A2"), word(None), word(True)
        ('196', '01A2', '', '')
    """
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else ""
    return value if isinstance(value, str) else ""


def lost_frames(memory: Memory, device: str, value: Json) -> int:
    """Return how many frames of a LoRaWAN device are missing before this one, and remember its count.

    Args:
        memory: Keeps the last count of each device.
        device: Name of the device.
        value: Frame count; publishers leave it out when it is 0.
    """
    count = int(value) if isinstance(value, float) and 0 <= value < 1 << 32 else 0
    last = memory.frames.get(device)
    memory.frames.put(device, count)
    if last is None:
        return 0
    gap = count - last - 1
    if gap < 0:  # joined anew, or a counter of 16 bits began anew
        gap = gap + _FRAME_COUNTS if last < _FRAME_COUNTS and count < _FRAME_COUNTS else 0
    return gap if gap <= _MOST_LOST else 0
