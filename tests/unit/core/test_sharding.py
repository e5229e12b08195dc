"""The shard of a stream is a published function: other programs compute it too."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.sharding import shard_of

NAMES = st.text(st.characters(codec="utf-8"), max_size=128)


@given(NAMES, st.integers(1, 1000))
def test_every_stream_has_one_shard_within_range(stream: str, n_shards: int) -> None:
    assert 0 <= shard_of(stream, n_shards) < n_shards


def test_the_hash_is_crc32_of_utf8() -> None:
    # The check value of CRC-32/ISO-HDLC, as in every catalogue of checksums.
    assert shard_of("123456789", 1 << 32) == 0xCBF43926
    assert shard_of("grün", 1 << 32) != shard_of("grun", 1 << 32)
