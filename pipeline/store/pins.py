"""Pins: what reproduces a decision, the snapshot before it and the journal up to it, kept from being trimmed.

Pure but for the sizes of files, which are an argument.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b

#: Decisions that are kept reproducible at most.
MAX_PINS = 32


@dataclass(frozen=True, slots=True)
class Pin:
    """One decision.

    Attributes:
        name: Id of the episode.
        since: Position of the snapshot before it; 0 for the beginning, without a snapshot.
        until: Position of the entry with which it was taken.
        state: Name of the snapshot's state file; empty for none.
        model: Name of its weights file; empty for none.
        digest: SHA-256 of what was told, hexadecimal.
        settings: The settings in force, JSON.
    """

    name: str
    since: int
    until: int
    state: str
    model: str
    digest: str
    settings: str


def bounded(pins: Sequence[Pin], size_bytes: Callable[[str], int], most_bytes: int) -> list[Pin]:
    """Return the newest pins whose files together are small enough.

    Args:
        pins: Oldest first.
        size_bytes: Gives the size of a state or weights file; 0 where it is gone.
        most_bytes: For all of their files; 0 keeps none.

    Example:
        >>> pins = [Pin(str(i), i, i + 1, f"state-{i // 2}", "model", "", "{}") for i in range(6)]
        >>> [pin.name for pin in bounded(pins, lambda _name: 10, 30)]
        ['2', '3', '4', '5']
        >>> bounded(pins, lambda _name: 10, 0)
        []
    """
    if not most_bytes:
        return []
    kept: list[Pin] = []
    files: set[str] = set()
    for pin in reversed(pins[-MAX_PINS:]):
        files |= {name for name in (pin.state, pin.model) if name}
        if sum(map(size_bytes, files)) > most_bytes:
            break
        kept.insert(0, pin)
    return kept


def dump_pins(pins: Sequence[Pin]) -> str:
    """Return pins as text; settings that several have stand there once."""
    settings = {_short(pin.settings): pin.settings for pin in pins}
    return json.dumps({"settings": settings, "pins": [asdict(p) | {"settings": _short(p.settings)} for p in pins]})


def load_pins(text: str) -> list[Pin]:
    """Return what ``dump_pins`` was given; none where the text is something else.

    Example:
        >>> one = Pin("61b0", 3, 9, "a.safetensors", "b.safetensors", "00", "{}")
        >>> load_pins(dump_pins([one])) == [one], load_pins("")
        (True, [])
    """
    try:
        kept = json.loads(text)
        return [Pin(**pin | {"settings": kept["settings"][pin["settings"]]}) for pin in kept["pins"]]
    except (ValueError, KeyError, TypeError):
        return []


def _short(text: str) -> str:
    return blake2b(text.encode(), digest_size=8).hexdigest()
