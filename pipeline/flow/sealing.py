"""Arrays as sealed bytes: versioned, checksummed, and refused when anything is amiss.

Layout: 8 bytes of magic with kind and version, 32 bytes of BLAKE2b over the rest, then safetensors.
Nothing in the bytes is executed.
"""

import json
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from pipeline.core.columns import AnyArray
from pipeline.core.errors import ForetellError

_DIGEST_BYTES = 32


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
    try:
        arrays = safetensors.numpy.load(body)
        header = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])
    except (SafetensorError, ValueError) as error:
        raise SnapshotError(f"damaged snapshot: {error}") from error
    return arrays, header.get("__metadata__", {})
