"""Homes: Zigbee2MQTT, Tasmota, Shelly Gen2+, Z-Wave JS UI, Victron, rtl_433, Meshtastic."""

from pipeline.core.priors import Prior
from pipeline.decode.content import Json
from pipeline.decode.found import Content, Found, Incoming, Item, Profile, keys_of
from pipeline.decode.memory import Memory
from pipeline.decode.profiles.common import inner, leaves, the_object, time_of, word
from pipeline.decode.reasons import Request, Skip

_Z2M_SKIP = frozenset({"last_seen", "update", "update_available", "elapsed", "device"})
_TASMOTA_SKIP = frozenset({"Time", "Id", "TotalStartTime", "TempUnit", "PressureUnit", "SpeedUnit"})
_TASMOTA_ENDS = ("SENSOR", "STATUS8", "STATUS10")
_TASMOTA_PREFIXES = ("tele", "stat")
_RTL_SKIP = frozenset({"time", "model", "id", "channel", "subtype", "mic", "mod", "sequence_num"})
_SHELLY_SKIP = frozenset({"ts", "id", "minute_ts", "ver", "cfg_rev", "kvs_rev", "schedule_rev", "webhook_rev"})
_MESH_SKIP = frozenset({"time"})
_KEEPALIVE_S = 60.0


# Zigbee2MQTT ----------------------------------------------------------------------------------------------------


def _z2m_device(levels: tuple[str, ...]) -> str | None:
    return "/".join(levels[1:]) if levels[0] == "zigbee2mqtt" and len(levels) > 1 else None


def _z2m_claims(content: Content) -> bool:
    return isinstance(content, dict)


def _z2m_read(incoming: Incoming, content: Content, _memory: Memory) -> Found:
    values = the_object(content)
    found = Found(list(leaves(values, _Z2M_SKIP)))
    found.time_s = time_of(found, values.get("last_seen"), incoming)
    return found


# Tasmota --------------------------------------------------------------------------------------------------------


def _tasmota_device(levels: tuple[str, ...]) -> str | None:
    """Name the device whatever the order of prefix and topic: %prefix%/%topic%/ or %topic%/%prefix%/."""
    if levels[-1] not in _TASMOTA_ENDS or not set(levels[:-1]) & set(_TASMOTA_PREFIXES):
        return None
    rest = list(levels[:-1])
    rest.remove(next(level for level in rest if level in _TASMOTA_PREFIXES))
    return "/".join(rest)


def _tasmota_claims(content: Content) -> bool:
    return bool({"Time", "StatusSNS"} & keys_of(content).keys())


def _tasmota_read(incoming: Incoming, content: Content, _memory: Memory) -> Found:
    values = the_object(content)
    values = inner(values, "StatusSNS") or values
    found = Found(list(leaves(values, _TASMOTA_SKIP)))
    found.time_s = time_of(found, values.get("Time"), incoming)
    degrees = word(values.get("TempUnit"))
    for item in found.items:
        if item.key.endswith("/Temperature") and degrees:
            found.priors["", item.key] = Prior(unit=f"°{degrees}")
        elif item.key == "ENERGY/Total":
            found.priors["", item.key] = Prior(unit="kWh", is_counter=True)
    return found


# rtl_433 --------------------------------------------------------------------------------------------------------


def _rtl_device(levels: tuple[str, ...]) -> str | None:
    return "" if levels[0] == "rtl_433" and levels[-1] == "events" else None


def _rtl_claims(content: Content) -> bool:
    keys = keys_of(content).keys()
    return "model" in keys and bool({"id", "channel"} & keys)


def _rtl_read(incoming: Incoming, content: Content, _memory: Memory) -> Found:
    """Read a receiver's event; repeats of a burst have one time, so the gate takes them for duplicates."""
    values = the_object(content)
    who = [word(values.get(key)) for key in ("model", "subtype", "channel", "id")]
    sub = "/".join(part.replace("/", "-") for part in who if part)
    found = Found([item._replace(sub=sub) for item in leaves(values, _RTL_SKIP)])
    found.time_s = time_of(found, values.get("time"), incoming)
    return found


# Shelly Gen2 and later ------------------------------------------------------------------------------------------


def _shelly2_device(levels: tuple[str, ...]) -> str | None:
    if levels[-2:] == ("events", "rpc"):
        return "/".join(levels[:-2])
    if len(levels) > 2 and levels[-2] == "status":
        return "/".join((*levels[:-2], levels[-1]))
    return None


def _shelly2_claims(content: Content) -> bool:
    keys = keys_of(content).keys()
    return {"src", "method", "params"} <= keys or ("id" in keys and "method" not in keys)


def _shelly2_read(incoming: Incoming, content: Content, _memory: Memory) -> Found:
    values = the_object(content)
    found = Found()
    if "params" in values:
        params = inner(values, "params")
        if word(values.get("method")) in {"NotifyStatus", "NotifyFullStatus"}:
            found.items = list(leaves(params, _SHELLY_SKIP))
        found.time_s = time_of(found, params.get("ts"), incoming)
    else:
        found.items = list(leaves(values, _SHELLY_SKIP))
    for item in found.items:
        if item.key.endswith("aenergy/total"):
            found.priors["", item.key] = Prior(unit="Wh", is_counter=True)
        elif item.key.endswith("tC"):
            found.priors["", item.key] = Prior(unit="°C")
    return found


# Z-Wave JS UI ---------------------------------------------------------------------------------------------------


def _zwave_device(levels: tuple[str, ...]) -> str | None:
    return "/".join(levels[1:]) if levels[0] == "zwave" and len(levels) > 2 else None


def _zwave_claims(content: Content) -> bool:
    return "value" in keys_of(content)


def _zwave_read(incoming: Incoming, content: Content, _memory: Memory) -> Found:
    values = the_object(content)
    value = values.get("value")
    found = Found(list(leaves(value)) if isinstance(value, dict) else [Item("", "value", value)])
    found.time_s = time_of(found, values.get("time"), incoming)
    return found


# Victron Venus --------------------------------------------------------------------------------------------------


def _victron_device(levels: tuple[str, ...]) -> str | None:
    return "/".join(levels[1:]) if levels[0] == "N" and len(levels) > 3 else None


def _victron_read(incoming: Incoming, content: Content, memory: Memory) -> Found:
    """Read a value; null means that the device is gone. The installation sends only while it is asked to."""
    values = the_object(content)
    found = Found()
    if values.get("value") is None:
        found.skipped.append(Skip.NULL)
    else:
        found.items = [Item("", "value", values["value"])]
        low, high = (_limit(values.get(key)) for key in ("min", "max"))
        if low is not None or high is not None:
            found.priors["", "value"] = Prior(low=low, high=high)
    topic = f"R/{incoming.levels[1]}/keepalive" if incoming.levels[0] == "N" and len(incoming.levels) > 1 else ""
    if topic and incoming.arrival_s - memory.asked_s.get(topic, float("-inf")) >= _KEEPALIVE_S:
        memory.asked_s.put(topic, incoming.arrival_s)
        found.requests.append(Request(topic, b'{"keepalive-options":["suppress-republish"]}', "Victron keepalive"))
    return found


def _limit(value: Json) -> float | None:
    return value if isinstance(value, float) else None


# Meshtastic -----------------------------------------------------------------------------------------------------


def _mesh_device(levels: tuple[str, ...]) -> str | None:
    return "" if levels[0] == "msh" and "json" in levels else None


def _mesh_claims(content: Content) -> bool:
    return {"from", "type", "payload"} <= keys_of(content).keys()


def _mesh_read(incoming: Incoming, content: Content, _memory: Memory) -> Found:
    """Read telemetry; the topic names the gateway that heard it, ``from`` the node that sent it."""
    values = the_object(content)
    sender = values.get("from")
    number = int(sender) if isinstance(sender, float) and 0 <= sender < 1 << 32 else 0
    found = Found()
    if values.get("type") == "telemetry":
        items = leaves(inner(values, "payload"), _MESH_SKIP)
        found.items = [item._replace(sub=f"{number:08x}") for item in items]
    found.time_s = time_of(found, values.get("timestamp"), incoming)
    return found


ZIGBEE2MQTT = Profile("zigbee2mqtt", "Zigbee2MQTT", _z2m_device, _z2m_claims, _z2m_read)
TASMOTA = Profile("tasmota", "Tasmota: SENSOR and STATUS10", _tasmota_device, _tasmota_claims, _tasmota_read)
RTL_433 = Profile("rtl_433", "rtl_433: identity is model, channel and id", _rtl_device, _rtl_claims, _rtl_read)
SHELLY2 = Profile("shelly2", "Shelly Gen2 and later", _shelly2_device, _shelly2_claims, _shelly2_read)
ZWAVE = Profile("zwave", "Z-Wave JS UI", _zwave_device, _zwave_claims, _zwave_read)
VICTRON = Profile("victron", "Victron Venus, with keepalive", _victron_device, _zwave_claims, _victron_read)
MESHTASTIC = Profile("meshtastic", "Meshtastic JSON telemetry", _mesh_device, _mesh_claims, _mesh_read)
