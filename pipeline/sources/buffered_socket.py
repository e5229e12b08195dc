"""A socket that is read in large pieces: paho asks for a byte, another byte, and a packet, each a call of the system.

Comes in: a connected socket, plain, TLS or websocket. Goes out: the same bytes. Refuses to know MQTT.
"""

from typing import Protocol

_PIECE_BYTES = 65_536


class SocketLike(Protocol):
    """What paho needs of a socket."""

    def recv(self, buffer_size: int, /) -> bytes:
        """Return what has come, so many bytes at most."""

    def send(self, buffer: bytes | bytearray, /) -> int:
        """Send; return how many bytes were."""

    def fileno(self) -> int:
        """Return its descriptor."""

    def setblocking(self, flag: bool, /) -> None:  # noqa: FBT001 - a socket's signature
        """Let calls wait, or not."""

    def close(self) -> None:
        """Close it."""


class BufferedSocket:
    """What paho needs of a socket; ``pending`` says what has been read already, so that nobody waits for it.

    Args:
        inner: The socket; it is owned, and closed with this.

    Example:
        >>> import socket
        >>> ours, theirs = socket.socketpair()
        >>> with ours, theirs:
        ...     buffered = BufferedSocket(ours)
        ...     theirs.send(b"abc"), buffered.recv(1), buffered.n_held, buffered.recv(9)
        (3, b'a', 2, b'bc')
    """

    def __init__(self, inner: SocketLike) -> None:
        self._inner = inner
        self._piece = b""
        self._at = 0

    @property
    def n_held(self) -> int:
        """Bytes that were read from the socket and not yet received."""
        return len(self._piece) - self._at

    def recv(self, buffer_size: int) -> bytes:
        """Return at most so many bytes: of what was read already, else of a new piece.

        Raises:
            OSError: As the socket does, when nothing is there or the connection is gone.
        """
        at = self._at
        if at == len(self._piece):
            self._piece, at = self._inner.recv(_PIECE_BYTES), 0
        end = self._at = min(at + buffer_size, len(self._piece))
        return self._piece[at:end]

    def pending(self) -> int:
        """Return how many bytes can be received without asking the system whether there are any."""
        inner = getattr(self._inner, "pending", None)  # TLS and websockets keep some of their own
        return self.n_held + (inner() if inner else 0)

    def send(self, buffer: bytes | bytearray) -> int:
        """Send as the socket does."""
        return self._inner.send(buffer)

    def fileno(self) -> int:
        """Return the socket's descriptor."""
        return self._inner.fileno()

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - a socket's signature
        """Let calls wait, or not."""
        self._inner.setblocking(flag)

    def shutdown(self, how: int) -> None:
        """End the connection one way or both, where the socket can."""
        self._inner.shutdown(how)  # type: ignore[attr-defined] # only websockets lack it, which are not configured

    def close(self) -> None:
        """Close the socket."""
        self._inner.close()
