"""The wire format of Protocol Buffers: fields of one message, one after the other, nothing more.

Comes in: bytes of anybody. Goes out: (field number, value) pairs; integers of varints and fixed words, bytes of
the rest. It builds no objects and follows no schema, so what it costs is bounded by the length of the payload.
"""

from collections.abc import Iterator

from pipeline.decode.reasons import Reason, RefusalError

_VARINT, _WORD_64, _BYTES, _WORD_32 = 0, 1, 2, 5
_LONGEST_VARINT = 10
_MORE = 0x80
_WIDTH = {_WORD_64: 8, _WORD_32: 4}


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message in order.

    Raises:
        RefusalError: The bytes follow no wire format, or use the groups of version 2.

    Example:
        >>> list(fields(bytes.fromhex("0896011203616263")))
        [(1, 150), (2, b'abc')]
    """
    at, end = 0, len(message)
    while at < end:
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise _malformed("field 0")
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif kind in _WIDTH:
            length = _WIDTH[kind]
        else:
            raise _malformed(f"wire type {kind}")
        if at + length > end:
            raise _malformed("it ends inside a field")
        yield number, message[at : at + length]
        at += length


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = 0
    for i in range(_LONGEST_VARINT):
        if at + i >= len(message):
            raise _malformed("it ends inside a number")
        byte = message[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if not byte & _MORE:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at + i + 1
    raise _malformed("a number of more than 64 bits")


def _malformed(why: str) -> RefusalError:
    return RefusalError(Reason.MALFORMED, f"not protobuf: {why}")
