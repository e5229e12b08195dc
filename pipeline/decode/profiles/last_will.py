"""Last wills: what a broker says for a device that has gone, and the device itself when it comes and goes.

Families differ in topic and words: ``tele/plug/LWT`` ``Offline``, ``zigbee2mqtt/fridge/availability``
``{"state": "offline"}``, ``shelly-1/online`` ``false``, ``node/status`` ``offline``,
mqtt-smarthome's ``x/connected`` ``0``.
"""

from pipeline.decode.found import Content, Found, Incoming, Profile, keys_of
from pipeline.decode.memory import Memory

#: Words that say that a device is gone, lower case; Homie's ``$state`` among them.
GONE = frozenset({"offline", "lost", "disconnected", "dead", "false", "0"})
_ENDS = frozenset({"LWT", "availability", "online", "connected"})
#: First levels that are no part of a device's name, by the family that puts them there.
_BASES = frozenset({"zigbee2mqtt", "shellies"})


def is_gone(content: Content) -> bool:
    """Tell whether content says that a device is gone.

    Example:
        >>> is_gone("Offline"), is_gone({"state": "offline"}), is_gone(False), is_gone("online"), is_gone(1.0)
        (True, True, True, False, False)
    """
    said = keys_of(content).get("state", content)
    if isinstance(said, float):
        return said == 0.0
    return str(said).lower() in GONE


def _will_device(levels: tuple[str, ...]) -> str | None:
    """Return the device that a will's topic names, as its readings' topics name it."""
    if levels[-1] not in _ENDS or len(levels) == 1:
        return None
    device = levels[:-1]
    if levels[-1] == "LWT" and "tele" in device:  # Tasmota's prefix stands before or after the device
        device = tuple(level for level in device if level != "tele")
    elif device[0] in _BASES and len(device) > 1:
        device = device[1:]
    return "/".join(device) or None


def _status_device(levels: tuple[str, ...]) -> str | None:
    return "/".join(levels[:-1]) if levels[-1] == "status" and len(levels) > 1 else None


def _any(_content: Content) -> bool:
    return True


def _is_status(content: Content) -> bool:
    """Tell a node's status from a valve's or a job's: only these two words are a will's."""
    return isinstance(content, str) and content.lower() in {"online", "offline"}


def _read(_incoming: Incoming, content: Content, _memory: Memory) -> Found:
    return Found(dead=[""] if is_gone(content) else [], is_metadata=True)


LAST_WILL = Profile("last_will", "LWT, availability, online: a device that has gone", _will_device, _any, _read)
STATUS = Profile("status", "ESPHome: .../status, online or offline", _status_device, _is_status, _read)
