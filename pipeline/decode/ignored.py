"""Topics that hold no readings: states of bridges and devices, commands, the broker's own.

Subscribing to ``#`` must not create streams for these. Discovery messages are no readings either, but some are
read as descriptions first.
"""

import re

#: Topic filters of MQTT that are ignored.
IGNORED = (
    "$SYS/#",
    "homeassistant/#",
    "tele/+/STATE",
    "tele/+/INFO1",
    "tele/+/INFO2",
    "tele/+/INFO3",
    "+/tele/STATE",
    "cmnd/#",
    "tasmota/discovery/#",
    "zigbee2mqtt/bridge/#",
    "zwave/_CLIENTS/#",
)
#: Last levels that are ignored wherever they stand.
LAST_LEVELS = frozenset(
    {"LWT", "availability", "set", "get", "status_update", "online", "connected", "announce", "nodeinfo", "command"}
)
#: Events of LoRaWAN network servers beside uplinks.
_LORAWAN = re.compile(r"v3/[^/]+/devices/[^/]+/(?!up$).*|application/[^/]+/device/[^/]+/event/(?!up$).*")
_SPARKPLUG_COMMANDS = re.compile(r"spBv1\.0/(?:[^/]+/[ND]CMD/.*|STATE/.*)")


def _pattern(topic_filter: str) -> str:
    levels = [re.escape(level) if level not in "+#" else "[^/]+" for level in topic_filter.split("/")]
    return "/".join(levels[:-1]) + "(?:/.*)?" if topic_filter.endswith("/#") else "/".join(levels)


_FILTERS = re.compile("|".join(map(_pattern, IGNORED)))


def is_ignored(topic: str) -> bool:
    """Tell whether a topic holds no readings.

    Example:
        >>> is_ignored("zigbee2mqtt/bridge/state"), is_ignored("zigbee2mqtt/kitchen/fridge/availability")
        (True, True)
        >>> is_ignored("zigbee2mqtt/kitchen/fridge"), is_ignored("plant/set/temperature")
        (False, False)
    """
    if topic.startswith("$") or topic.rpartition("/")[2] in LAST_LEVELS:
        return True
    patterns = (_FILTERS, _LORAWAN, _SPARKPLUG_COMMANDS)
    return any(pattern.fullmatch(topic) is not None for pattern in patterns)
