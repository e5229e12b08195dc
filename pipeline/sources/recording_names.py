"""Stream names from file and column names.

Comes in: paths and words from outside. Goes out: names of ``[A-Za-z0-9_./-]``, 1 to 128 characters,
distinct where their sources were. Refuses to know what is in the files.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

MAX_NAME = 128
_FOREIGN = re.compile(r"[^A-Za-z0-9_./-]")


def stream_name(text: str) -> str:
    """Turn any text into a stream name.

    Other characters become ``_``; a name that is too long keeps its start and gains eight
    hexadecimal digits of a hash, so that two long names stay two.

    Example:
        >>> stream_name("Volume Flow/°C")
        'Volume_Flow/_C'
    """
    name = _FOREIGN.sub("_", text.strip()) or "_"
    if len(name) <= MAX_NAME:
        return name
    digest = blake2b(text.encode(errors="replace"), digest_size=4).hexdigest()
    return f"{name[: MAX_NAME - 9]}-{digest}"


def distinct(names: Iterable[str]) -> list[str]:
    """Make names distinct: a later equal one gains ``-2``, ``-3`` and so on.

    Example:
        >>> distinct(["a", "a", "b", "a-2"])
        ['a', 'a-2', 'b', 'a-2-2']
    """
    uses: dict[str, int] = {}
    taken: dict[str, None] = {}
    for name in names:
        new = name
        while new in taken:
            uses[name] = uses.get(name, 1) + 1
            new = f"{name[: MAX_NAME - 9]}-{uses[name]}"
        taken[new] = None
    return list(taken)


def recording_labels(paths: Sequence[Path]) -> list[str]:
    """Name each recording: its file's stem, with as many parent folders as tell it from the others.

    Args:
        paths: The files, in the order of the run; none needs to exist.

    Returns:
        One distinct label per path. Equal files of different kinds in one folder are numbered.

    Example:
        >>> recording_labels([Path("/lab/a/run.csv"), Path("/lab/b/run.csv"), Path("/lab/b/other.csv")])
        ['a/run', 'b/run', 'other']
    """
    parts = [path.absolute().with_suffix("").parts[1:] for path in paths]
    depths = [1] * len(parts)
    while True:
        labels = [stream_name("/".join(names[-depth:])) for names, depth in zip(parts, depths, strict=True)]
        sharers: defaultdict[str, set[int]] = defaultdict(set)
        for i, label in enumerate(labels):
            sharers[label].add(i)
        deeper = [i for i, label in enumerate(labels) if _can_part(sharers[label], parts, depths[i])]
        if not deeper:
            return distinct(labels)
        for i in deeper:
            depths[i] += 1


def _can_part(sharers: set[int], parts: Sequence[tuple[str, ...]], depth: int) -> bool:
    """Tell whether more folders would tell apart recordings that share a label."""
    return len({parts[i] for i in sharers}) > 1 and depth < max(len(parts[i]) for i in sharers)
