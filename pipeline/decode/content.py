"""Payload bytes as plain data: a number, text, parsed JSON, or bytes left for a binary format.

Comes in: any bytes. Goes out: content, or a ``RefusalError``. Bounded by ``MAX_PAYLOAD_BYTES`` before anything is
parsed; repeated keys are refused; every number is a float. This module refuses to know topics and profiles.
"""

import json
import re

from pipeline.decode.reasons import Reason, RefusalError

MAX_PAYLOAD_BYTES = 65536

#: Parsed JSON; every number is a float.
Json = None | bool | float | str | list["Json"] | dict[str, "Json"]

# Possessive: 64 KiB of digits must not backtrack.
NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
NOT_FINITE = re.compile(r"[+-]?(?:nan|inf(?:inity)?)", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[+-]?[0-9]{1,15},(?:[0-9]{1,2}|[0-9]{4,9})")
#: First characters of JSON that is no number; everything else is a word or a line of some protocol.
_JSON_STARTS = ("{", "[", '"')
_JSON_WORDS = ("true", "false", "null")


class _RepeatedKeyError(ValueError):
    """An object has a key twice."""


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _RepeatedKeyError
    return made


# Integers become floats at once: int() refuses, or float(int) overflows on, long ones.
_decode_json = json.JSONDecoder(parse_int=float, object_pairs_hook=_object).decode


def parse(payload: bytes) -> Json | bytes:
    r"""Return what a payload holds.

    JSON is parsed; a bare number may be written in ways JSON does not know (``+3.``, ``20,5``); other text is
    returned as it is, and bytes that are no text too.

    Raises:
        RefusalError: Too large, empty, broken JSON, a repeated key, or nested too deep.

    Example:
        >>> parse(b'{"a": [1, true]}'), parse(b" 20,5 "), parse(b"ON"), parse(b"\xff")
        ({'a': [1.0, True]}, 20.5, 'ON', b'\xff')
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise RefusalError(Reason.TOO_LARGE, f"more than {MAX_PAYLOAD_BYTES} bytes")
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        return payload
    if not text:
        raise RefusalError(Reason.EMPTY)
    if text.startswith(_JSON_STARTS) or text in _JSON_WORDS:
        return parse_json(text)
    number = parse_number(text)
    return text if number is None else number


def parse_json(text: str) -> Json:
    """Parse JSON text.

    Raises:
        RefusalError: It is none, has a repeated key, or is nested too deep for the parser.
    """
    try:
        parsed: Json = _decode_json(text)
    except RecursionError:
        raise RefusalError(Reason.NESTED, "JSON nested too deep to be parsed") from None
    except _RepeatedKeyError:
        raise RefusalError(Reason.DUPLICATE_KEY, "an object has a key twice") from None
    except ValueError as error:
        raise RefusalError(Reason.MALFORMED, f"not JSON: {error}") from None
    return parsed


def parse_number(text: str) -> float | None:
    """Return a number written as text, not finite ones too; None when it is none.

    A decimal comma is understood where it cannot be one between thousands.

    Example:
        >>> parse_number("20.50"), parse_number("-1,5"), parse_number("1,234"), parse_number("1_0")
        (20.5, -1.5, None, None)
    """
    if NUMBER.fullmatch(text) or NOT_FINITE.fullmatch(text):
        return float(text)
    if _DECIMAL_COMMA.fullmatch(text):
        return float(text.replace(",", "."))
    return None
