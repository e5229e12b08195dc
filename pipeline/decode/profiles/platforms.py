"""Platforms: ThingsBoard, EdgeX, Eclipse Ditto and Eclipse Hono."""

import base64
import binascii
import math

from pipeline.core.priors import Prior
from pipeline.decode.content import Json, parse_json, parse_number
from pipeline.decode.found import Content, Found, Incoming, Item, Profile, keys_of
from pipeline.decode.memory import Memory
from pipeline.decode.profiles.common import MAX_ITEMS, inner, leaves, record_time, the_object, time_of, word
from pipeline.decode.profiles.generic import read_plain
from pipeline.decode.profiles.senml import SENML
from pipeline.decode.reasons import Reason, RefusalError, Skip

_NUMBER_TYPES = ("Float", "Int", "Uint")


# ThingsBoard ----------------------------------------------------------------------------------------------------


def _board_device(levels: tuple[str, ...]) -> str | None:
    if levels[:2] == ("v1", "gateway") and levels[-1] == "telemetry":
        return ""
    if levels[:2] == ("v1", "devices") and levels[-1] == "telemetry":
        return "/".join(levels[2:-1])
    return None


def _board_claims(content: Content) -> bool:
    return isinstance(content, dict | list)


def _board_read(incoming: Incoming, content: Content, _memory: Memory) -> Found:
    """Read telemetry: a map, a map with its time, a list of either, or lists by device from a gateway."""
    found = Found()
    if isinstance(content, list):
        _board_records("", content, found, incoming)
        return found
    values = the_object(content)
    if values and all(isinstance(each, list) for each in values.values()):
        for device, records in values.items():
            _board_records(device.replace("/", "-"), records if isinstance(records, list) else [], found, incoming)
    else:
        _board_records("", [values], found, incoming)
    return found


def _board_records(sub: str, records: list[Json], found: Found, incoming: Incoming) -> None:
    for record in records:
        if not isinstance(record, dict):
            found.skipped.append(Skip.MALFORMED)
            continue
        is_timed = "ts" in record and isinstance(record.get("values"), dict)
        time_s = record_time(found, record["ts"], incoming) if is_timed else None
        if time_s is not None and math.isnan(time_s):
            continue
        found.items.extend(
            Item(sub, item.key, item.value, time_s) for item in leaves(inner(record, "values") if is_timed else record)
        )
        if len(found.items) > MAX_ITEMS:
            raise RefusalError(Reason.TOO_MANY_KEYS, f"more than {MAX_ITEMS} values")


# EdgeX ----------------------------------------------------------------------------------------------------------


def _edgex_device(levels: tuple[str, ...]) -> str | None:
    return "" if levels[:2] == ("edgex", "events") else None


def _edgex_claims(content: Content) -> bool:
    keys = keys_of(content).keys()
    return "event" in keys or {"correlationID", "payload"} <= keys or {"deviceName", "readings"} <= keys


def _edgex_read(incoming: Incoming, content: Content, _memory: Memory) -> Found:
    """Read an event, bare, in a request, or in a message envelope; numbers are texts there."""
    values = the_object(content)
    if "payload" in values and "event" not in values:
        values = the_object(_opened(values["payload"]))
    event = inner(values, "event") or values
    readings = event.get("readings")
    if not isinstance(readings, list) or len(readings) > MAX_ITEMS:
        raise RefusalError(Reason.MALFORMED, f"no list of at most {MAX_ITEMS} readings")
    found = Found()
    found.time_s = time_of(found, event.get("origin"), incoming)
    for reading in readings:
        if isinstance(reading, dict):
            _edgex_reading(reading, word(event.get("deviceName")), found, incoming)
        else:
            found.skipped.append(Skip.MALFORMED)
    return found


def _edgex_reading(reading: dict[str, Json], event_device: str, found: Found, incoming: Incoming) -> None:
    device = (word(reading.get("deviceName")) or event_device).replace("/", "-")
    name, value = word(reading.get("resourceName")), reading.get("value")
    if reading.get("isNull") is True or value is None or value == "":
        found.skipped.append(Skip.NULL)
        return
    if isinstance(value, str) and word(reading.get("valueType")).startswith(_NUMBER_TYPES):
        number = parse_number(value)
        if number is None:  # an array
            found.skipped.append(Skip.MALFORMED)
            return
        value = number
    time_s = record_time(found, reading.get("origin"), incoming)
    if time_s is None or not math.isnan(time_s):
        found.items.append(Item(device, name, value, time_s))
        if word(reading.get("units")):
            found.priors[device, name] = Prior(unit=word(reading.get("units"))[:16])


def _opened(payload: Json) -> Json:
    """Return what an envelope holds: an object, or base64 of one."""
    if not isinstance(payload, str):
        return payload
    try:
        return parse_json(base64.b64decode(payload, validate=True).decode())
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise RefusalError(Reason.MALFORMED, "the envelope's payload is not base64 of JSON") from None


# Eclipse Ditto --------------------------------------------------------------------------------------------------


def _ditto_device(levels: tuple[str, ...]) -> str | None:
    return "" if levels[0] == "ditto" else None


def _ditto_claims(content: Content) -> bool:
    return {"topic", "path"} <= keys_of(content).keys()


def _ditto_read(incoming: Incoming, content: Content, _memory: Memory) -> Found:
    """Read an event of the Ditto protocol: what changed, and where in the thing."""
    values = the_object(content)
    about = word(values.get("topic")).split("/")
    if len(about) < 6 or about[4] != "events":
        raise RefusalError(Reason.NO_NUMBER, "not an event: only changes are read")
    sub, value = "/".join(about[:2]), values.get("value")
    path = _feature(word(values.get("path")))
    found = Found()
    if isinstance(value, dict):
        pairs = [(f"{path}/{item.key}".strip("/"), item.value) for item in leaves(value)]
        found.items = [Item(sub, _feature(key), each) for key, each in pairs]
    else:
        found.items = [Item(sub, path, value)]
    found.time_s = time_of(found, values.get("timestamp"), incoming)
    return found


def _feature(path: str) -> str:
    """Return a path without the levels that every feature has.

    Example:
        >>> _feature("/features/vibration/properties/rms")
        'vibration/rms'
    """
    return "/".join(level for level in path.split("/") if level not in {"", "features", "properties"})


# Eclipse Hono ---------------------------------------------------------------------------------------------------


def _hono_device(levels: tuple[str, ...]) -> str | None:
    is_hono = len(levels) == 3 and levels[0] in {"telemetry", "event"}
    return "/".join(levels[1:]) if is_hono else None


def _hono_claims(_content: Content) -> bool:
    return True


def _hono_read(incoming: Incoming, content: Content, memory: Memory) -> Found:
    """Read what the content type says: the hub itself does not know what devices send."""
    if incoming.content_type.startswith("application/senml") or SENML.claims(content):
        return SENML.read(incoming, content, memory)
    if isinstance(content, bytes):
        raise RefusalError(Reason.NOT_TEXT, f"content type {incoming.content_type or 'unknown'!r} cannot be read")
    return read_plain(incoming, content, memory)


THINGSBOARD = Profile("thingsboard", "ThingsBoard devices and gateways", _board_device, _board_claims, _board_read)
EDGEX = Profile("edgex", "EdgeX v3 and v4", _edgex_device, _edgex_claims, _edgex_read)
DITTO = Profile("ditto", "Eclipse Ditto events", _ditto_device, _ditto_claims, _ditto_read)
HONO = Profile("hono", "Eclipse Hono: content by its type", _hono_device, _hono_claims, _hono_read)
