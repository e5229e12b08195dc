"""Recordings of messages: what a broker sent, topic by topic, byte by byte, to be decoded again later.

A file of JSON lines begins with ``{"foretell": "messages", "version": 1, "topics": [...]}``; each further line is a
message: ``arrival_s``, ``topic``, ``payload`` (``payload_base64`` where it is no text), and where they matter
``retained``, ``qos``, ``connected_s`` and ``properties``. What ``mosquitto_sub -F %j`` writes is read too. Parquet has
the same as columns. This module refuses to know what messages mean.
"""

import base64
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.core.errors import UsageError
from pipeline.sources.inbox import Message, Origin
from pipeline.sources.recording_table import Problems
from pipeline.sources.recording_text import text_lines

#: What a header says the file is.
KIND = "messages"
VERSION = 1
#: Of a header no more is looked at to recognise it.
_HEAD_BYTES = 1 << 20
_MAX_PROPERTIES = 16


@dataclass(frozen=True, slots=True)
class MessageHeader:
    """What a recording says of itself.

    Attributes:
        topics: Entries of ``mqtt.topics`` that it was made with; empty for none.
    """

    topics: Sequence[Mapping[str, Any]] = field(default=())

    def as_json(self) -> str:
        """Return it as the first line of a file."""
        return json.dumps({"foretell": KIND, "version": VERSION, "topics": list(self.topics)}, ensure_ascii=False)


def message_line(message: Message) -> str:
    r"""Return a message as a line of JSON, without the line's end.

    Example:
        >>> message_line(Message("a", b"1", False, 7.5)), message_line(Message("a", b"\xff", True, 7.5))[-19:]
        ('{"arrival_s": 7.5, "topic": "a", "payload": "1"}', ', "retained": true}')
    """
    line: dict[str, Any] = {"arrival_s": message.arrival_s, "topic": message.topic}
    try:
        line["payload"] = message.payload.decode()
    except UnicodeDecodeError:
        line["payload_base64"] = base64.b64encode(message.payload).decode()
    origin = message.origin
    more = {
        "retained": message.retained,
        "qos": origin.qos,
        "connected_s": origin.connected_s,
        "properties": origin.properties,
    }
    return json.dumps(line | {name: value for name, value in more.items() if value}, ensure_ascii=False)


def header_of(path: Path) -> MessageHeader | None:
    """Return the header of a recording of messages in JSON lines; None when the file is something else.

    Raises:
        UsageError: It is of a later version.
    """
    with path.open("rb") as file:
        first = file.readline(_HEAD_BYTES)
    try:
        found = json.loads(first)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    if {"tst", "topic", "payload"} <= found.keys():
        return MessageHeader()
    return checked_header(found, str(path)) if found.get("foretell") == KIND else None


def checked_header(found: Mapping[str, Any], path: str) -> MessageHeader:
    """Return a header that says it is one.

    Raises:
        UsageError: It is of a later version, or not as it should be.
    """
    topics = found.get("topics", [])
    if found.get("version") != VERSION:
        problem = f"a recording of messages of version {found.get('version')!r}, and this Foretell reads {VERSION}"
        raise UsageError(path, problem, "read it with the Foretell that wrote it, or a newer one")
    if not isinstance(topics, list) or not all(isinstance(topic, dict) for topic in topics):
        raise UsageError(
            path, "its header's topics are no list of entries", "correct the first line, or leave topics out"
        )
    return MessageHeader(topics)


def line_messages(path: Path, problems: Problems) -> Iterator[Message]:
    """Read messages in file order.

    Args:
        path: A file of which ``header_of`` returned a header.
        problems: Where lines that are no messages are counted.

    Raises:
        UsageError: The file is not text.
    """
    for number, line in enumerate(text_lines(path), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
            if number == 1 and isinstance(found, dict) and "foretell" in found:
                continue
            yield parsed(found)
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            problems.add("unreadable message", number, f"{type(error).__name__}: {error}")


def parsed(found: Mapping[str, Any]) -> Message:
    """Return a message that was written as JSON, or as a row of a table.

    Raises:
        ValueError: A field is not what it should be.
        KeyError: One is missing.
        TypeError: One is of another type.
    """
    if not isinstance(found, dict):
        raise TypeError("no object")
    topic, payload = found["topic"], _payload(found)
    arrival_s = _iso(found["tst"]) if "tst" in found else float(found["arrival_s"])
    connected_s = float(found.get("connected_s") or 0.0)
    if not isinstance(topic, str):
        raise TypeError("topic is no text")
    if not (math.isfinite(arrival_s) and math.isfinite(connected_s)):
        raise ValueError("a time that is not finite")
    pairs = found.get("properties") or []
    properties = tuple((str(key), str(value)) for key, value in pairs[:_MAX_PROPERTIES])
    is_retained = bool(found.get("retained", found.get("retain")))
    qos = 1 if found.get("qos") else 0
    return Message(topic, payload, is_retained, arrival_s, origin=Origin(qos, connected_s, properties))


def _payload(found: Mapping[str, Any]) -> bytes:
    if "payload_base64" in found:
        return base64.b64decode(found["payload_base64"], validate=True)
    payload = found["payload"]
    if payload is None:  # mosquitto_sub's word for an empty one
        return b""
    return payload if isinstance(payload, bytes) else str.encode(payload)


def _iso(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z+", "+")).timestamp()
