"""Which shard a stream belongs to; local workers and Spark must agree, so it is one function."""

from zlib import crc32


def shard_of(stream: str, n_shards: int) -> int:
    """Return the shard of a stream: ``crc32(utf8(stream)) % n_shards``.

    Equal to Spark SQL's ``pmod(crc32(cast(stream as binary)), n_shards)``.

    Args:
        stream: Stream name.
        n_shards: Number of shards, at least 1.

    Example:
        >>> shard_of("pump-1/temperature", 8)
        0
    """
    return crc32(stream.encode()) % n_shards
