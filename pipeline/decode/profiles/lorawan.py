"""LoRaWAN network servers: The Things Stack v3 and ChirpStack v4 (JSON). Missing frame counts are lost uplinks."""

from pipeline.decode.content import Json
from pipeline.decode.found import Content, Found, Incoming, Item, Profile, keys_of
from pipeline.decode.memory import Memory
from pipeline.decode.profiles.common import MAX_ITEMS, inner, leaves, lost_frames, record_time, the_object, time_of
from pipeline.decode.reasons import Reason, RefusalError

_RECORD_SKIP = frozenset({"time", "timestamp", "ts"})


def _stack_device(levels: tuple[str, ...]) -> str | None:
    if levels[0] != "v3" or len(levels) != 5 or levels[2] != "devices" or levels[4] != "up":
        return None
    return f"{levels[1].partition('@')[0]}/{levels[3]}"


def _stack_claims(content: Content) -> bool:
    return {"end_device_ids", "uplink_message"} <= keys_of(content).keys()


def _stack_read(incoming: Incoming, content: Content, memory: Memory) -> Found:
    """Read an uplink; the server leaves out what is empty, 0 or false, frame count 0 included."""
    values = the_object(content)
    uplink = inner(values, "uplink_message")
    found = Found()
    found.n_lost = lost_frames(memory, incoming.topic, uplink.get("f_cnt"))
    payload = uplink.get("decoded_payload")
    if not isinstance(payload, dict):
        raise RefusalError(Reason.NO_NUMBER, "no decoded_payload: give the application a payload formatter")
    found.items = list(leaves(payload))
    sent = inner(uplink, "settings").get("time")  # by the gateway's GPS, where it has one
    found.time_s = time_of(found, sent or uplink.get("received_at") or values.get("received_at"), incoming)
    return found


def _chirp_device(levels: tuple[str, ...]) -> str | None:
    is_up = len(levels) >= 6 and levels[-2:] == ("event", "up") and levels[-4] == "device"
    return levels[-3] if is_up else None


def _chirp_claims(content: Content) -> bool:
    return "deviceInfo" in keys_of(content)


def _chirp_read(incoming: Incoming, content: Content, memory: Memory) -> Found:
    """Read an uplink whose object may hold records of their own times.

    A message that the server sends twice has one ``deduplicationId`` and one time, so the gate drops it.
    """
    values = the_object(content)
    decoded = values.get("object")
    found = Found()
    found.n_lost = lost_frames(memory, incoming.topic, values.get("fCnt"))
    if not isinstance(decoded, dict):
        raise RefusalError(Reason.NO_NUMBER, "no object: give the device profile a codec")
    found.time_s = time_of(found, values.get("time"), incoming)
    for item in leaves(decoded):
        if isinstance(item.value, list):
            found.items.extend(_records(item.key, item.value, found, incoming))
        else:
            found.items.append(item)
        if len(found.items) > MAX_ITEMS:
            raise RefusalError(Reason.TOO_MANY_KEYS, f"more than {MAX_ITEMS} values")
    return found


def _records(key: str, records: list[Json], found: Found, incoming: Incoming) -> list[Item]:
    """Return the values of a list of objects with times; without times there is no telling what they are."""
    items: list[Item] = []
    prefix = "" if key == "data" else f"{key}/"
    for record in records[:MAX_ITEMS]:
        if not isinstance(record, dict):
            continue
        time_key = next((name for name in record if name in _RECORD_SKIP), None)
        if time_key is None:
            continue
        time_s = record_time(found, record[time_key], incoming)
        if time_s is None or time_s == time_s:  # noqa: PLR0124 - not NaN: its time could be read
            items.extend(item._replace(time_s=time_s) for item in leaves(record, _RECORD_SKIP, prefix))
    return items


STACK = Profile("things_stack", "The Things Stack v3 uplinks", _stack_device, _stack_claims, _stack_read)
CHIRPSTACK = Profile("chirpstack", "ChirpStack v4 uplinks, JSON", _chirp_device, _chirp_claims, _chirp_read)
