"""A small HTTP server that nobody can hold up: few connections, short patience, short bodies.

Comes in: GET, HEAD and POST requests over HTTP/1.1, with TLS where that is configured. Goes out: what the routes
answer. At most ``MAX_CONNECTIONS`` are open, each with a thread of its own, in which the TLS handshake happens
too. When one more comes, the connection that has idled longest makes room: a client that says nothing never
delays another. This module refuses to know what is served.
"""

import logging
import selectors
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from threading import Condition, Thread

from pipeline.core.errors import printable
from pipeline.sinks.http_text import MAX_HEAD_BYTES, BadRequest, Request, Response, parse_head, render

MAX_CONNECTIONS = 16
#: Longest a client may take for its TLS handshake, for a request once begun, and for reading the answer, seconds.
HANDSHAKE_S = REQUEST_S = ANSWER_S = 5.0
#: Longest a connection may wait for its next request, seconds: Prometheus scrapes rarely less than once a minute.
IDLE_S = 90.0
#: Once all connections are taken, a client that has been reading its answer for so long makes room too, seconds.
_PATIENCE_S = 0.5
_POLL_S = 0.05
_BACKLOG = 128
_STOP_S = 3.0

Route = Callable[[Request], Response]

_log = logging.getLogger(__name__)


class Guard:
    """Who gets in: everybody. ``WebConfig`` is the guard that asks."""

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS context for the next connection; None for plain text."""
        return None

    def refusal(self, request: Request, certificate: Mapping[str, object]) -> Response | None:
        """Return what to answer instead of the route; None to let the request in."""
        del request, certificate
        return None

    def headers(self) -> Mapping[str, str]:
        """Return headers for every answer."""
        return {}


@dataclass(eq=False, slots=True)
class _Connection:
    """One client.

    Attributes:
        sock: Its socket, wrapped for TLS but for the handshake.
        since_s: When it began what it is doing now, monotonic seconds.
        is_idle: It waits for the client: for the handshake or a request.
        is_evicted: It was told to make room.
        thread: Serves it.
    """

    sock: socket.socket
    since_s: float = field(default_factory=time.monotonic)
    is_idle: bool = True
    is_writing: bool = False
    is_evicted: bool = False
    thread: Thread | None = None

    def wake(self) -> None:
        """End whatever its thread waits for; the thread closes it."""
        self.is_evicted = True
        with suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)  # not SSLSocket's: its thread still uses it


class HttpServer:
    """Serves routes until it is stopped.

    Args:
        routes: Answer of each path; called on any of the server's threads.
        guard: TLS and who gets in.
        posts: Answer of each path to a POST.
    """

    def __init__(
        self, routes: Mapping[str, Route], guard: Guard | None = None, posts: Mapping[str, Route] | None = None
    ) -> None:
        self._routes = routes
        self._posts = posts or {}
        self._guard = guard or Guard()
        self._open: set[_Connection] = set()
        self._changed = Condition()
        self._listener: socket.socket | None = None
        self._bell: tuple[socket.socket, socket.socket] | None = None
        self._thread: Thread | None = None

    def start(self, host: str, port: int) -> int:
        """Bind and serve on threads of its own.

        Args:
            host: Address to bind.
            port: Port; 0 for any free one.

        Returns:
            The port that was bound.

        Raises:
            OSError: The address may not be bound.
        """
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        self._listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._bell = socket.socketpair()
        self._thread = Thread(target=self._accept_all, name="http", daemon=True)
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def stop(self) -> None:
        """Close every connection and free the port; does nothing when it does not serve."""
        if self._listener is None or self._bell is None or self._thread is None:
            return
        listener, self._listener = self._listener, None
        self._bell[1].close()
        self._thread.join(_STOP_S)
        listener.close()
        self._bell[0].close()
        with self._changed:
            threads = [each.thread for each in self._open]
            for connection in self._open:
                connection.wake()
        for thread in threads:
            if thread is not None:
                thread.join(_STOP_S)

    def _accept_all(self) -> None:
        if self._listener is None or self._bell is None:
            return
        listener, bell = self._listener, self._bell[0]
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(bell, selectors.EVENT_READ)
            while not any(key.fileobj is bell for key, _ in selector.select()):
                if self._make_room():
                    self._accept(listener)

    def _make_room(self) -> bool:
        """Wait for a free place, telling somebody to leave; False when nobody could just now."""
        with self._changed:
            if len(self._staying()) < MAX_CONNECTIONS and len(self._open) < 2 * MAX_CONNECTIONS:
                return True
            victim = min(filter(_may_leave, self._staying()), key=lambda each: each.since_s, default=None)
            if victim is not None:
                victim.wake()
            # Those told to leave are gone at once; their threads may take a moment longer, within twice the limit.
            self._changed.wait_for(lambda: len(self._open) < 2 * MAX_CONNECTIONS, _POLL_S)
            return victim is not None and len(self._open) < 2 * MAX_CONNECTIONS

    def _staying(self) -> list[_Connection]:
        return [each for each in self._open if not each.is_evicted]

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:  # the client left again, or file descriptors ran out
            time.sleep(_POLL_S)
            return
        sock.settimeout(HANDSHAKE_S)
        try:
            context = self._guard.context()
            if context is not None:
                sock = context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        except (OSError, ValueError):
            sock.close()
            return
        connection = _Connection(sock)
        connection.thread = Thread(target=self._serve, args=(connection,), name="http-client", daemon=True)
        with self._changed:
            self._open.add(connection)
        connection.thread.start()

    def _serve(self, connection: _Connection) -> None:
        try:
            with connection.sock:
                self._converse(connection)
        except (OSError, ValueError) as error:  # it left, said nothing for too long, or failed its handshake
            _log.debug("client gone", extra={"fields": {"why": printable(str(error))}})
        finally:
            with self._changed:
                self._open.discard(connection)
                self._changed.notify_all()

    def _converse(self, connection: _Connection) -> None:
        """Answer requests until the client closes, errs or has idled too long."""
        sock, certificate = connection.sock, {}
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
            certificate = sock.getpeercert() or {}
        rest, patience_s = b"", REQUEST_S
        while True:
            connection.since_s, connection.is_idle = time.monotonic(), True
            head, rest = _read_head(sock, rest, patience_s)
            if not head:
                return
            request = _parsed(head)
            if isinstance(request, Request):
                body, rest = _read_body(sock, rest, request.n_body)
                request = replace(request, body=body)
            connection.since_s, connection.is_idle = time.monotonic(), False
            if not self._answer(connection, request, certificate):
                return
            patience_s = IDLE_S

    def _answer(
        self, connection: _Connection, request: Request | BadRequest, certificate: Mapping[str, object]
    ) -> bool:
        """Answer one request; return whether the connection stays open."""
        is_head, is_kept = False, False
        try:
            if isinstance(request, BadRequest):
                response = Response.text(request.status, f"{request}\n")
            else:
                is_head, is_kept = request.method == "HEAD", request.is_kept
                response = self._guard.refusal(request, certificate) or self._routed(request)
                is_kept = is_kept and response.status < HTTPStatus.BAD_REQUEST
        except Exception:  # noqa: BLE001 - one bug must not close the endpoint
            _log.exception("request failed")
            response, is_kept = Response.text(HTTPStatus.INTERNAL_SERVER_ERROR, "failed; see the log\n"), False
        connection.is_writing, connection.since_s = True, time.monotonic()
        connection.sock.settimeout(ANSWER_S)
        connection.sock.sendall(render(response, self._guard.headers(), is_head=is_head, is_kept=is_kept))
        connection.is_writing = False
        return is_kept

    def _routed(self, request: Request) -> Response:
        is_post = request.method == "POST"
        route = (self._posts if is_post else self._routes).get(request.path)
        if route is None and request.path in (self._routes if is_post else self._posts):
            return Response.text(HTTPStatus.METHOD_NOT_ALLOWED, f"not with {request.method}\n")
        if route is None:
            return Response.text(HTTPStatus.NOT_FOUND, "not found; there are " + " ".join(self._routes) + "\n")
        return route(request)


def _may_leave(connection: _Connection) -> bool:
    """Say whether a connection may be closed for another: it idles, or its client reads too slowly."""
    return connection.is_idle or (connection.is_writing and time.monotonic() - connection.since_s > _PATIENCE_S)


def _read_head(sock: socket.socket, read: bytes, patience_s: float) -> tuple[bytes, bytes]:
    """Return the next request up to its empty line, and what follows; nothing when the client is done.

    Args:
        sock: The client.
        read: What was read already.
        patience_s: How long to wait for the first byte; then ``REQUEST_S`` for the rest, seconds.

    Raises:
        TimeoutError: It took too long.
    """
    until_s = time.monotonic() + (REQUEST_S if read else patience_s)
    while b"\r\n\r\n" not in read and len(read) <= MAX_HEAD_BYTES:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no request in time")
        sock.settimeout(left_s)
        part = sock.recv(4096)
        if not part:
            return b"", b""
        if not read:
            until_s = time.monotonic() + REQUEST_S
        read += part
    head, _, rest = read.partition(b"\r\n\r\n")
    return head, rest


def _parsed(head: bytes) -> Request | BadRequest:
    """Return the request, or why it is none."""
    try:
        return parse_head(head)
    except BadRequest as error:
        return error


def _read_body(sock: socket.socket, read: bytes, n: int) -> tuple[bytes, bytes]:
    """Return a body of ``n`` bytes, and what follows it.

    Raises:
        TimeoutError: It took too long.
        ConnectionError: The client left.
    """
    until_s = time.monotonic() + REQUEST_S
    while len(read) < n:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("no body in time")
        sock.settimeout(left_s)
        part = sock.recv(4096)
        if not part:
            raise ConnectionError("left within its body")
        read += part
    return read[:n], read[n:]
