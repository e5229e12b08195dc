"""SenML (RFC 8428), JSON and CBOR: base values accumulate over records, times may be relative to now."""

import math

from pipeline.core.priors import Prior
from pipeline.decode.cbor import parse_cbor
from pipeline.decode.content import Json
from pipeline.decode.found import Content, Found, Incoming, Item, Profile
from pipeline.decode.memory import Memory
from pipeline.decode.profiles.common import MAX_ITEMS
from pipeline.decode.reasons import Reason, RefusalError, Skip
from pipeline.decode.times import EARLIEST_S, LATEST_S

_LABELS: dict[object, str] = {-1: "bver", -2: "bn", -3: "bt", -4: "bu", -5: "bv", -6: "bs"}
_LABELS |= {0: "n", 1: "u", 2: "v", 3: "vs", 4: "vb", 5: "s", 6: "t", 7: "ut", 8: "vd"}
_KNOWN = frozenset(_LABELS.values())
#: Times below this are relative to now (RFC 8428, section 4.5.3), seconds.
_RELATIVE_BELOW_S = float(1 << 28)
_VERSION = 10
#: First byte of a CBOR array of up to 23 records, or of indefinite length: no UTF-8 text begins so.
_CBOR_ARRAYS = (*range(0x80, 0x99), 0x9F)
_UNITS = {"Cel": "°C"}


def _device(_levels: tuple[str, ...]) -> str | None:
    return ""


def _claims(content: Content) -> bool:
    if isinstance(content, bytes):
        return content[0] in _CBOR_ARRAYS
    return (
        isinstance(content, list)
        and bool(content)
        and isinstance(content[0], dict)
        and bool(content[0].keys() & _KNOWN)
    )


def _read(incoming: Incoming, content: Content, _memory: Memory) -> Found:
    """Read a pack; a record without a name from the payload is named by the topic."""
    records = _records(content)
    base: dict[str, Json] = {}
    found = Found()
    for record in records:
        base.update((key, value) for key, value in record.items() if key in {"bn", "bt", "bu", "bv", "bs", "bver"})
        version = base.get("bver")
        if isinstance(version, float) and version > _VERSION:
            raise RefusalError(Reason.MALFORMED, f"SenML version {version:g} is not known")
        if any(key.endswith("_") for key in record):
            found.skipped.append(Skip.MALFORMED)  # a field that must be understood, and is not
        else:
            _take(record, base, found, incoming)
    return found


def _records(content: Content) -> list[dict[str, Json]]:
    """Return the records of a pack with names for keys."""
    pack = _named(parse_cbor(content)) if isinstance(content, bytes) else content
    if not isinstance(pack, list) or not all(isinstance(record, dict) for record in pack):
        raise RefusalError(Reason.MALFORMED, "a SenML pack is a list of records")
    if len(pack) > MAX_ITEMS:
        raise RefusalError(Reason.TOO_MANY_KEYS, f"more than {MAX_ITEMS} records")
    return [record for record in pack if isinstance(record, dict)]


def _named(pack: object) -> Json:
    """Return decoded CBOR as JSON with the names of its labels; what SenML has no use for is left out."""
    if not isinstance(pack, list):
        return None
    return [
        {_LABELS.get(key, str(key)): _scalar(value) for key, value in record.items()}
        if isinstance(record, dict) and all(isinstance(key, str) or key in _LABELS for key in record)
        else {"unknown_": None}
        for record in pack
    ]


def _scalar(value: object) -> Json:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    return None


def _take(record: dict[str, Json], base: dict[str, Json], found: Found, incoming: Incoming) -> None:
    """Resolve one record."""
    name = _text(base.get("bn")) + _text(record.get("n"))
    is_sum = "v" not in record and not record.keys() & {"vs", "vb", "vd"} and ("s" in record or "bs" in base)
    value = record.get("s") if is_sum else record.get("v", record.get("vb", record.get("vs", record.get("vd"))))
    offset = base.get("bs") if is_sum else base.get("bv")
    if isinstance(offset, float) and not isinstance(value, bool | str):
        value = offset + (value if isinstance(value, float) else 0.0)
    if value is None:
        return  # base values only
    time_s = _time(_number(base.get("bt")) + _number(record.get("t")), incoming.arrival_s)
    if time_s is None:
        found.skipped.append(Skip.BAD_TIME)
        return
    sub, key = (name, "value") if name else ("", "value")
    found.items.append(Item(sub.strip("/:"), key, value, time_s if ("bt" in base or "t" in record) else None))
    unit = _text(record.get("u")) or _text(base.get("bu"))
    if unit:
        found.priors[sub.strip("/:"), key] = Prior(_UNITS.get(unit, unit[:16]), is_counter=is_sum)


def _time(time_s: float, arrival_s: float) -> float | None:
    """Return a resolved time; None when it is none."""
    absolute = time_s if time_s >= _RELATIVE_BELOW_S else arrival_s + time_s
    return absolute if math.isfinite(absolute) and EARLIEST_S <= absolute < LATEST_S else None


def _number(value: Json) -> float:
    return value if isinstance(value, float) else 0.0


def _text(value: Json) -> str:
    return value if isinstance(value, str) else ""


SENML = Profile("senml", "SenML, JSON and CBOR", _device, _claims, _read)
