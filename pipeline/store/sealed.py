"""Rows that vouch for themselves: a checksum before the bytes, over what they are and where they belong."""

from hashlib import blake2b

_DIGEST_BYTES = 16


def seal(place: str, data: bytes) -> bytes:
    """Return the bytes with a checksum over them and the place they belong to."""
    return _digest(place, data) + data


def unseal(place: str, sealed: object) -> bytes:
    """Return what ``seal`` was given.

    Raises:
        ValueError: It is damaged, or belongs elsewhere.

    Example:
        >>> unseal("journal 7", seal("journal 7", b"readings"))
        b'readings'
        >>> unseal("journal 8", seal("journal 7", b"readings"))
        Traceback (most recent call last):
        ValueError: journal 8: damaged, its checksum does not agree
    """
    if isinstance(sealed, bytes) and sealed[:_DIGEST_BYTES] == _digest(place, sealed[_DIGEST_BYTES:]):
        return sealed[_DIGEST_BYTES:]
    raise ValueError(f"{place}: damaged, its checksum does not agree")


def _digest(place: str, data: bytes) -> bytes:
    return blake2b(data, digest_size=_DIGEST_BYTES, key=place.encode()[:64]).digest()
