"""Arrays as sealed bytes: versioned, checksummed, and refused when anything is amiss.

Layout: 8 bytes of magic with kind and version, 32 bytes of BLAKE2b over the rest, then safetensors.
Nothing in the bytes is executed.
"""

import json
from collections.abc import Iterator, Mapping
from hashlib import blake2b

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from pipeline.core.columns import AnyArray
from pipeline.core.errors import ForetellError

_DIGEST_BYTES = 32
#: What safetensors calls the types of numbers that are kept.
_TYPES = {
    **{f"f{n}": f"F{8 * n}" for n in (2, 4, 8)},
    **{f"i{n}": f"I{8 * n}" for n in (1, 2, 4, 8)},
    **{f"u{n}": f"U{8 * n}" for n in (1, 2, 4, 8)},
    "b1": "BOOL",
}
_ALIGNMENT = 8


class SnapshotError(ForetellError):
    """Bytes that are not a snapshot of this version, are damaged, or belong to other settings."""


def seal(magic: bytes, arrays: Mapping[str, AnyArray], metadata: dict[str, str]) -> bytes:
    """Return arrays and texts as bytes; the same ones give the same bytes."""
    body = safetensors.numpy.save({name: np.ascontiguousarray(a) for name, a in arrays.items()}, metadata)
    return magic + blake2b(body, digest_size=_DIGEST_BYTES).digest() + body


def unseal(magic: bytes, data: bytes) -> tuple[dict[str, AnyArray], dict[str, str]]:
    """Return what ``seal`` was given; nothing is decoded before its checksum agreed.

    Raises:
        SnapshotError: Of another kind or version, or damaged.

    Example:
        >>> arrays, texts = unseal(b"EXAMPLE1", seal(b"EXAMPLE1", {"a": np.arange(3)}, {"b": "c"}))
        >>> arrays["a"].tolist(), texts
        ([0, 1, 2], {'b': 'c'})
    """
    start = len(magic) + _DIGEST_BYTES
    if data[: len(magic)] != magic:
        raise SnapshotError(f"not a snapshot of this version: starts with {data[:8]!r}, not {magic!r}")
    body = data[start:]
    if blake2b(body, digest_size=_DIGEST_BYTES).digest() != data[len(magic) : start]:
        raise SnapshotError("damaged snapshot: its checksum does not agree")
    return parse(body)


def chunks(arrays: Mapping[str, AnyArray], metadata: dict[str, str]) -> Iterator[bytes | memoryview]:
    """Yield arrays and texts in safetensors' format, a piece at a time: what is large need not be held twice.

    Example:
        >>> arrays, texts = parse(b"".join(chunks({"a": np.arange(3)}, {"b": "c"})))
        >>> arrays["a"].tolist(), texts
        ([0, 1, 2], {'b': 'c'})
    """
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))  # so that every array lies aligned
    header: dict[str, object] = {"__metadata__": metadata}
    at = 0
    for name in names:
        array = arrays[name]
        end = at + array.nbytes
        header[name] = {"dtype": _TYPES[array.dtype.str[1:]], "shape": array.shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    yield len(text).to_bytes(8, "little")
    yield text
    for name in names:
        if arrays[name].nbytes:
            yield np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data


def parse(body: bytes) -> tuple[dict[str, AnyArray], dict[str, str]]:
    """Return arrays and texts of bytes in safetensors' format that somebody else has vouched for.

    Raises:
        SnapshotError: They are something else.
    """
    try:
        arrays = safetensors.numpy.load(body)
        header = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])
    except (SafetensorError, ValueError) as error:
        raise SnapshotError(f"damaged snapshot: {error}") from error
    return arrays, header.get("__metadata__", {})
