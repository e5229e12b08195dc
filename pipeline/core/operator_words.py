"""What an operator may say of an alert, and reading it from whoever claims to be one.

Comes in: JSON from a command topic, an HTTP body or the command line. Goes out: a ``Word``, or a ``WordError`` with one
of ``REFUSALS``. Everything is bounded, nothing is guessed. Pure: the current time is an argument.
"""

import json
import re
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any, Self

from pipeline.core.durations import seconds_in

#: What may be said. ``ack``: I have seen it. ``false`` and ``true``: it was a false alarm, it was not. ``expected``:
#: this goes on until then, and is known. ``silence``: tell nothing of these streams until then. ``undo``: take back.
WORDS = ("ack", "false", "true", "expected", "silence", "undo")
#: Why a word may be refused, the labels of ``foretell_commands_total``.
REFUSALS = (
    "too_large",
    "malformed",
    "unknown_word",
    "bad_id",
    "bad_match",
    "bad_text",
    "bad_until",
    "no_such_alert",
    "ambiguous",
    "already_undone",
    "too_many",
    "retained",
    "unauthorized",
)
MAX_BYTES = 4096
#: Longest that something may be expected, or silenced, seconds.
MAX_EXPECTED_S, MAX_SILENCE_S = 366 * 86_400.0, 31 * 86_400.0

_KEYS = {"word", "id", "match", "by", "note", "until"}
_ID = re.compile(r"[0-9a-f]{4,32}")
_MATCH = re.compile(r"[A-Za-z0-9_./*?-]{1,256}")
_MAX_BY, _MAX_NOTE = 64, 200


class WordError(ValueError):
    """A word that is not taken.

    Attributes:
        reason: One of ``REFUSALS``.
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Word:
    """What an operator said.

    Attributes:
        kind: One of ``WORDS``.
        target: Id of the episode, of the word to be undone, or the pattern of streams to silence.
        by: Who says so; nobody has checked it.
        via: ``cli``, ``http`` or ``mqtt``.
        at_s: When it was said, Unix seconds.
        until_s: Until when it is expected, or silenced, Unix seconds; None for other words.
        note: Why, in a few words.
    """

    kind: str
    target: str
    by: str
    via: str
    at_s: float
    until_s: float | None = None
    note: str = ""

    @property
    def key(self) -> str:
        """Stable id of the word: said twice at the same moment it is one word."""
        said = f"{self.kind}\0{self.target}\0{self.by}\0{self.at_s!r}\0{self.until_s!r}"
        return blake2b(said.encode(), digest_size=6).hexdigest()

    def of(self, target: str) -> Self:
        """Return the same word about another target."""
        return replace(self, target=target)

    def plain(self) -> dict[str, Any]:
        """Return it as plain values."""
        return asdict(self)

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return what ``plain`` was made from."""
        return cls(**plain)


def parse_word(payload: bytes, via: str, now_s: float) -> Word:
    """Read a word from JSON.

    Args:
        payload: An object with ``word`` and ``id`` (of ``silence``: ``match``), and, where they apply, ``until`` (a
            duration such as ``2h``, or a time with its zone), ``by`` and ``note``. Anybody may have written it.
        via: How it came.
        now_s: Current time, Unix seconds.

    Raises:
        WordError: It is none.

    Example:
        >>> word = parse_word(b'{"word": "expected", "id": "61b0f2c4", "until": "2h", "by": "ann"}', "cli", 1000.0)
        >>> word.kind, word.target, word.until_s
        ('expected', '61b0f2c4', 8200.0)
        >>> parse_word(b'{"word": "shutdown", "id": "61b0f2c4"}', "mqtt", 1000.0)
        Traceback (most recent call last):
        pipeline.core.operator_words.WordError: word must be one of: ack, false, true, expected, silence, undo
    """
    data = _object(payload)
    kind = data.get("word")
    if kind not in WORDS:
        raise WordError("unknown_word", f"word must be one of: {', '.join(WORDS)}")
    by, note = _text(data, "by", _MAX_BY) or via, _text(data, "note", _MAX_NOTE)
    target = _match(data) if kind == "silence" else _id(data)
    limits_s = {"expected": MAX_EXPECTED_S, "silence": MAX_SILENCE_S}
    if kind not in limits_s and "until" in data:
        raise WordError("bad_until", f"{kind} has no until")
    until_s = _until(data, now_s, limits_s[kind]) if kind in limits_s else None
    return Word(kind, target, by, via, now_s, until_s, note)


def _object(payload: bytes) -> dict[str, Any]:
    if len(payload) > MAX_BYTES:
        raise WordError("too_large", f"more than {MAX_BYTES} bytes")
    try:
        data = json.loads(payload.decode())
    except (ValueError, RecursionError):
        raise WordError("malformed", "not JSON") from None
    if not isinstance(data, dict):
        raise WordError("malformed", "not an object")
    if not data.keys() <= _KEYS:
        raise WordError("malformed", f"keys are: {', '.join(sorted(_KEYS))}")
    return data


def _id(data: dict[str, Any]) -> str:
    found = data.get("id")
    if "match" in data or not isinstance(found, str) or not _ID.fullmatch(found):
        raise WordError("bad_id", "id must be four or more hexadecimal digits, of an alert, an incident or a word")
    return found


def _match(data: dict[str, Any]) -> str:
    found = data.get("match")
    if "id" in data or not isinstance(found, str) or not _MATCH.fullmatch(found):
        raise WordError("bad_match", "match must be a pattern of streams or devices: letters, digits, _ . / - * ?")
    return found


def _text(data: dict[str, Any], key: str, limit: int) -> str:
    found = data.get(key, "")
    if not isinstance(found, str) or len(found) > limit or not found.isprintable():
        raise WordError("bad_text", f"{key} must be a line of at most {limit} characters")
    return found.strip()


def _until(data: dict[str, Any], now_s: float, limit_s: float) -> float:
    until_s = when(data.get("until"), now_s)
    if not now_s < until_s <= now_s + limit_s:
        raise WordError("bad_until", f"until must lie ahead, {limit_s / 86_400:.0f} days at most")
    return until_s


def when(text: object, now_s: float) -> float:
    """Return the time that a duration from now, or a time with its zone, means, Unix seconds.

    Raises:
        WordError: It is neither.

    Example:
        >>> when("90 min", 1000.0), when("2026-03-01T10:00:00Z", 0.0)
        (6400.0, 1772359200.0)
    """
    try:
        if isinstance(text, str) and len(text) <= _MAX_BY:
            if text[:4].isdecimal() and text[4:5] == "-":
                at = datetime.fromisoformat(text)
                if at.tzinfo is not None:
                    return at.timestamp()
            else:
                return now_s + seconds_in(text)
    except (ValueError, OverflowError):
        pass
    raise WordError("bad_until", "until must be a duration such as 2h, or a time such as 2026-03-01T10:00:00Z")
