"""A TCP proxy before the broker, which resets, refuses, delays or swallows what passes."""

import socket
import struct
import threading
import time
from contextlib import suppress

_RESET = struct.pack("ii", 1, 0)  # linger for 0 s: close sends RST


class Proxy:
    """Passes connections on to a loopback port.

    Args:
        port: Where to.

    Attributes:
        port: Where it listens.
        delay_s: What passes is delayed by so much, seconds.
        is_black: What comes is swallowed, and connections stay open.
    """

    def __init__(self, port: int) -> None:
        self.delay_s = 0.0
        self.is_black = False
        self._target = port
        self._links: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._spawn(self._accept, self._listener)

    def reset(self) -> None:
        """Cut every connection with a RST."""
        links, self._links = self._links, []
        for link in links:
            with suppress(OSError):
                link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                link.shutdown(socket.SHUT_RD)  # its thread closes it

    def refuse(self) -> None:
        """Cut every connection, and take no new ones."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.reset()

    def listen(self) -> None:
        """Take connections again."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._spawn(self._accept, self._listener)

    def close(self) -> None:
        self.is_black = False
        with suppress(OSError):
            self.refuse()
        for thread in self._threads:
            thread.join(10.0)

    def _spawn(self, target: object, *arguments: object) -> None:
        assert callable(target)
        self._threads.append(threading.Thread(target=target, args=arguments, daemon=True))
        self._threads[-1].start()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self._target), timeout=5.0)
                except OSError:
                    client.close()
                    continue
                self._links += [client, server]
                pair = _Pair(client, server)
                self._spawn(self._pass, client, server, pair)
                self._spawn(self._pass, server, client, pair)

    def _pass(self, source: socket.socket, sink: socket.socket, pair: "_Pair") -> None:
        source.settimeout(0.2)
        with suppress(OSError):
            while not pair.is_over:
                if self.is_black:
                    time.sleep(0.05)
                    continue
                try:
                    data = source.recv(65536)
                except TimeoutError:
                    continue
                if not data:
                    break
                if self.delay_s:
                    time.sleep(self.delay_s)
                if not self.is_black:
                    sink.sendall(data)
        pair.end()


class _Pair:
    """Two sockets that end together."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.is_over = False
        self._sockets = (client, server)
        self._n_left = 2
        self._lock = threading.Lock()

    def end(self) -> None:
        """Note that one direction has ended; the second closes both."""
        with self._lock:
            self.is_over = True
            self._n_left -= 1
            if not self._n_left:
                for each in self._sockets:
                    each.close()
