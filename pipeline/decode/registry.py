"""All profiles, in the order in which they are tried."""

from pipeline.decode.found import Content, Profile
from pipeline.decode.mapping import MAPPING
from pipeline.decode.profiles.described import DISCOVERY, HOMIE
from pipeline.decode.profiles.generic import BARE, ESPHOME, PLAIN, SHELLY1
from pipeline.decode.profiles.homes import MESHTASTIC, RTL_433, SHELLY2, TASMOTA, VICTRON, ZIGBEE2MQTT, ZWAVE
from pipeline.decode.profiles.influx import INFLUX
from pipeline.decode.profiles.last_will import LAST_WILL, STATUS
from pipeline.decode.profiles.lorawan import CHIRPSTACK, STACK
from pipeline.decode.profiles.platforms import DITTO, EDGEX, HONO, THINGSBOARD
from pipeline.decode.profiles.senml import SENML
from pipeline.decode.profiles.sparkplug import SPARKPLUG

#: Recognised by the topic, and then by the content.
BY_TOPIC = (
    SPARKPLUG,
    DISCOVERY,
    HOMIE,
    LAST_WILL,
    STATUS,
    STACK,
    CHIRPSTACK,
    EDGEX,
    THINGSBOARD,
    MESHTASTIC,
    VICTRON,
    ZWAVE,
    RTL_433,
    DITTO,
    HONO,
    TASMOTA,
    SHELLY2,
    SHELLY1,
    ESPHOME,
    ZIGBEE2MQTT,
)
#: Recognised by the content alone, whatever the topic.
BY_CONTENT = (STACK, CHIRPSTACK, EDGEX, MESHTASTIC, RTL_433, DITTO, SENML, INFLUX)
#: Of them, those whose payload names the device.
_NAME_THEMSELVES = (EDGEX, MESHTASTIC, RTL_433, DITTO, SENML, INFLUX)
#: What is left.
LAST = (BARE, PLAIN)

PROFILES = {profile.name: profile for profile in (*BY_TOPIC, SENML, INFLUX, MAPPING, *LAST)}


def candidates(levels: tuple[str, ...]) -> tuple[tuple[Profile, str | None], ...]:
    """Return the profiles that may read a topic, each with the device that the topic names for it.

    Example:
        >>> [(profile.name, device) for profile, device in candidates(("zigbee2mqtt", "a", "b"))][0]
        ('zigbee2mqtt', 'a/b')
    """
    found = [(profile, profile.device(levels)) for profile in BY_TOPIC]
    by_topic = [(profile, device) for profile, device in found if device is not None]
    known = {profile.name for profile, _ in by_topic}
    by_content = [
        (profile, "" if profile in _NAME_THEMSELVES else None) for profile in BY_CONTENT if profile.name not in known
    ]
    return (*by_topic, *by_content, *((profile, None) for profile in LAST))


def choose(options: tuple[tuple[Profile, str | None], ...], content: Content) -> tuple[Profile, str | None]:
    """Return the first profile that claims the content; the last one claims anything."""
    return next(option for option in options if option[0].claims(content))
