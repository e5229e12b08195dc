"""Stream names from an allow-list: what publishers call things becomes letters, digits, ``_ . / -``.

Usual characters outside it become ``_`` (a space, a colon), accents go, letters of other scripts become ``_`` with a
checksum of the original, so that two names stay two. Quotes, backslashes, control and direction characters, emoji
and path tricks are refused: no honest device has them, and names reach files, logs and metrics.
"""

import re
import unicodedata
from functools import lru_cache
from zlib import crc32

MAX_NAME = 128

_ALLOWED = re.compile(r"[A-Za-z0-9_./-]{1,128}")
_SOFT = frozenset(" :!@#$%&()+,=[]°*~?")
_FOLDED = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "Ae", "ł": "l", "Ł": "L", "đ": "d", "œ": "oe"})


def clean(part: str) -> str | None:
    """Return one part of a name, levels between slashes included, within the allow-list; None when it is refused.

    Example:
        >>> clean("Living Room"), clean("temperature:0"), clean("Küche"), clean("a/b")
        ('Living_Room', 'temperature_0', 'Kuche', 'a/b')
        >>> clean("../x"), clean("a//b"), clean("'; --"), clean("")
        (None, None, None, None)
    """
    return _cleaned(part) if len(part) <= MAX_NAME else None  # before the cache: what is longer is not kept


@lru_cache(maxsize=8192)
def _cleaned(part: str) -> str | None:
    name = part if _ALLOWED.fullmatch(part) else _folded(part)
    if name is None or any(level in {"", ".", ".."} for level in name.split("/")):
        return None
    return name if len(name) <= MAX_NAME else None


def _folded(part: str) -> str | None:
    """Fold a part into the allow-list; None when it holds a character that no name should."""
    is_lossy = False
    made = []
    for character in unicodedata.normalize("NFKD", part.translate(_FOLDED).replace("°", " ")):
        kind = unicodedata.category(character)
        if character.isascii() and (character.isalnum() or character in "_./-"):
            made.append(character)
        elif character in _SOFT:
            made.append("_")
        elif kind.startswith("L") or kind == "Nd":
            made.append("_")
            is_lossy = True
        elif not kind.startswith("M"):
            return None
    name = "".join(made)
    return f"{name}-{crc32(part.encode()):08x}" if is_lossy else name


def joined(*parts: str) -> str | None:
    """Join the parts of a name that are not empty; None when one is refused or the whole is too long or empty.

    Example:
        >>> joined("boiler", "", "DS18B20-1/Temperature")
        'boiler/DS18B20-1/Temperature'
    """
    cleaned = [clean(part) for part in parts if part]
    name = "/".join(part for part in cleaned if part is not None)
    return name if name and None not in cleaned and len(name) <= MAX_NAME else None
