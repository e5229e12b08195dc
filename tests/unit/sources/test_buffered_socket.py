"""What is read through a buffer is what was sent, however it was cut, and nobody waits for what is there already."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.buffered_socket import BufferedSocket


class Scripted:
    """A socket that gives pieces one after the other; then it has nothing for now."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.n_calls = 0

    def recv(self, buffer_size: int) -> bytes:
        self.n_calls += 1
        if not self.pieces:
            raise BlockingIOError
        piece = self.pieces.pop(0)
        assert len(piece) <= buffer_size
        return piece

    def pending(self) -> int:
        return 7 if self.pieces else 0


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=8), st.lists(st.integers(1, 50), min_size=1, max_size=300))
def test_the_bytes_are_those_that_were_sent(pieces: list[bytes], sizes: list[int]) -> None:
    sent, got = b"".join(pieces), b""
    inner = Scripted(list(pieces))
    buffered = BufferedSocket(inner)  # type: ignore[arg-type]
    for size in sizes:
        try:
            piece = buffered.recv(size)
        except BlockingIOError:
            assert got == sent
            break
        assert 1 <= len(piece) <= size
        got += piece
        assert buffered.pending() == buffered.n_held + inner.pending()
    assert sent.startswith(got)
    assert inner.n_calls <= len(pieces) + 1  # the system is asked once for each piece


def test_the_end_of_a_connection_is_told_as_the_socket_tells_it() -> None:
    ours, theirs = socket.socketpair()
    buffered = BufferedSocket(ours)
    theirs.send(b"ab")
    theirs.close()
    assert (buffered.recv(1), buffered.recv(1), buffered.recv(1)) == (b"a", b"b", b"")
    buffered.close()
    assert ours.fileno() == -1


def test_nothing_to_read_is_no_end() -> None:
    ours, theirs = socket.socketpair()
    buffered = BufferedSocket(ours)
    ours.settimeout(0.0)
    with pytest.raises(BlockingIOError):
        buffered.recv(1)
    buffered.close()
    theirs.close()
