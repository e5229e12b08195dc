"""The payload of Sparkplug B as plain records: metrics with their values, and the command that asks for a birth."""

import struct
from dataclasses import dataclass, field

from pipeline.decode.content import Json
from pipeline.decode.profiles.common import MAX_ITEMS
from pipeline.decode.protobuf import fields
from pipeline.decode.reasons import Reason, RefusalError

#: Numbers of data types in the specification.
_SIGNED_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
_UNSIGNED = frozenset({5, 6, 7, 8})
_BOOLEAN = 11
_INT, _LONG, _FLOAT, _DOUBLE, _BOOL, _TEXT = range(10, 16)
_GOOD = 192


@dataclass(slots=True)
class Metric:
    """One metric of a payload.

    Attributes:
        name: Its name; empty where only the alias is given.
        alias: Its alias; None where only the name is given.
        timestamp_ms: Its own time; None for the payload's.
        datatype: Number of its type; 0 where the birth tells it.
        is_historical: It was stored and is no news.
        is_null: It has no value.
        raw: Its value: number of the field, and what stands in it; None where there is none.
        quality: Quality property; 192 is good.
        unit: Engineering unit, of births.
        low: Lowest value, of births.
        high: Highest value, of births.
    """

    name: str = ""
    alias: int | None = None
    timestamp_ms: int | None = None
    datatype: int = 0
    is_historical: bool = False
    is_null: bool = False
    raw: tuple[int, int | bytes] | None = None
    quality: float = _GOOD
    unit: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def is_good(self) -> bool:
        """The publisher stands by its value."""
        return self.quality == _GOOD


@dataclass(slots=True)
class Payload:
    """One payload.

    Attributes:
        timestamp_ms: When it was sent; None when it does not say.
        seq: Sequence number, 0 to 255; None when it does not say.
        metrics: Its metrics in order.
    """

    timestamp_ms: int | None = None
    seq: int | None = None
    metrics: list[Metric] = field(default_factory=list)


def read_payload(message: bytes) -> Payload:
    """Return what a payload says.

    Raises:
        RefusalError: Not protobuf, or more metrics than one message may hold.
    """
    payload = Payload()
    for number, value in fields(message):
        if number == 1 and isinstance(value, int):
            payload.timestamp_ms = value
        elif number == 3 and isinstance(value, int):
            payload.seq = value
        elif number == 2 and isinstance(value, bytes):
            payload.metrics.append(_metric(value))
            if len(payload.metrics) > MAX_ITEMS:
                raise RefusalError(Reason.TOO_MANY_KEYS, f"more than {MAX_ITEMS} metrics")
    return payload


def _metric(message: bytes) -> Metric:
    metric = Metric()
    for number, value in fields(message):
        if isinstance(value, int):
            _set_number(metric, number, value)
        elif number == 1:
            metric.name = _text(value)
        elif number == 9:
            _set_properties(metric, value)
        elif number in {_FLOAT, _DOUBLE, _TEXT}:
            metric.raw = (number, value)
    return metric


def _set_number(metric: Metric, number: int, value: int) -> None:
    if number == 2:
        metric.alias = value
    elif number == 3:
        metric.timestamp_ms = value
    elif number == 4:
        metric.datatype = value
    elif number == 5:
        metric.is_historical = bool(value)
    elif number == 7:
        metric.is_null = bool(value)
    elif number in {_INT, _LONG, _BOOL}:
        metric.raw = (number, value)


def _set_properties(metric: Metric, message: bytes) -> None:
    keys: list[str] = []
    values: list[Json] = []
    for number, value in fields(message):
        if number == 1 and isinstance(value, bytes):
            keys.append(_text(value))
        elif number == 2 and isinstance(value, bytes):
            values.append(_property(value))
    for key, each in zip(keys, values, strict=False):
        if key.lower() == "quality" and isinstance(each, float):
            metric.quality = each
        elif key.lower() == "engunit" and isinstance(each, str):
            metric.unit = each[:16]
        elif key.lower() == "englow" and isinstance(each, float):
            metric.low = each
        elif key.lower() == "enghigh" and isinstance(each, float):
            metric.high = each


def _property(message: bytes) -> Json:
    """Return a property's value: a number or text, None for anything else."""
    datatype, found = 0, None
    for number, value in fields(message):
        if number == 1 and isinstance(value, int):
            datatype = value
        elif number in {3, 4, 5, 6, 8}:
            found = (number + 7, value)  # the same order of fields as a metric's
    return value_of(found, datatype) if found else None


def value_of(raw: tuple[int, int | bytes] | None, datatype: int) -> Json:
    """Return a value as JSON knows it; None where there is none, or it is of a kind that is not read.

    Args:
        raw: Number of the field, and what stands in it.
        datatype: Number of its type: signed integers are stored as unsigned ones.

    Example:
        >>> value_of((10, 4294967295), 3), value_of((10, 4294967295), 7), value_of((14, 1), 11)
        (-1.0, 4294967295.0, True)
    """
    if raw is None:
        return None
    number, value = raw
    if isinstance(value, int):
        if number == _BOOL or datatype == _BOOLEAN:
            return bool(value)
        return _integer(value, datatype)
    if number == _FLOAT and len(value) == 4:
        return float(struct.unpack("<f", value)[0])
    if number == _DOUBLE and len(value) == 8:
        return float(struct.unpack("<d", value)[0])
    return _text(value) if number == _TEXT else None


def _integer(value: int, datatype: int) -> Json:
    bits = _SIGNED_BITS.get(datatype)
    if bits is None:
        return float(value) if datatype in _UNSIGNED or datatype == 0 else "a date"
    value &= (1 << bits) - 1
    return float(value - (1 << bits) if value >> (bits - 1) else value)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def rebirth(timestamp_ms: int) -> bytes:
    """Return the command that asks an edge node for its births.

    Example:
        >>> payload = read_payload(rebirth(1772359200123))
        >>> payload.timestamp_ms, payload.metrics[0].name, value_of(payload.metrics[0].raw, 11)
        (1772359200123, 'Node Control/Rebirth', True)
    """
    name = b"Node Control/Rebirth"
    metric = b"\x0a" + bytes([len(name)]) + name + b"\x20\x0b\x70\x01"
    return b"\x08" + _encoded(timestamp_ms) + b"\x12" + bytes([len(metric)]) + metric


def _encoded(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
