"""The endpoint's server against clients that mean it no good."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path

import pytest

from pipeline.sinks import http_server
from pipeline.sinks.http_server import MAX_CONNECTIONS, Guard, HttpServer
from pipeline.sinks.http_text import BadRequest, Request, Response, parse_head

LIMIT_S = 20.0
#: What no scrape may take longer than, whatever others do, seconds.
SCRAPE_S = 1.0


def hello(request: Request) -> Response:
    return Response.text(HTTPStatus.OK, f"hello {request.path}\n")


@contextmanager
def serving(guard: Guard | None = None, routes: dict[str, http_server.Route] | None = None) -> Iterator[int]:
    server = HttpServer(routes or {"/hello": hello}, guard)
    n_before = threading.active_count()
    port = server.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        server.stop()
        assert threading.active_count() == n_before


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=LIMIT_S)


def ask(port: int, request: bytes = b"GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n") -> bytes:
    """Send bytes and return all that comes until the server closes."""
    with dial(port) as client:
        client.sendall(request)
        return b"".join(iter(lambda: client.recv(65536), b""))


def timed_scrape(port: int) -> float:
    started_s = time.monotonic()
    assert b"hello /hello" in ask(port)
    return time.monotonic() - started_s


def test_a_connection_is_kept_for_further_requests_and_head_has_no_body() -> None:
    with serving() as port, dial(port) as client:
        for method, body in ((b"GET", b"hello /hello\n"), (b"HEAD", b""), (b"GET", b"hello /hello\n")):
            client.sendall(method + b" /hello?x=1 HTTP/1.1\r\nHost: box\r\n\r\n")
            answer = client.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"Content-Length: 13\r\n" in answer
            assert answer.partition(b"\r\n\r\n")[2] == body


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /none HTTP/1.1\r\nConnection: close\r\n\r\n", b"404"),
        (b"POST /hello HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"405"),
        (b"POST /hello HTTP/1.1\r\nContent-Length: 9999\r\n\r\nabc", b"413"),
        (b"POST /hello HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc", b"400"),
        (b"POST /hello HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc", b"400"),
        (b"GET /hello HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", b"400"),
        (b"DELETE /hello HTTP/1.1\r\n\r\n", b"405"),
        (b"GET http://elsewhere/ HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /hello HTTP/2.0\r\n\r\n", b"400"),
        (b"GET /hello HTTP/1.1\r\nno header\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\r\n\r\n", b"400"),
        (b"GET /hello HTTP/1.1\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b"431"),
    ],
)
def test_what_is_not_served_is_refused_with_a_status(request_: bytes, status: bytes) -> None:
    with serving() as port:
        assert ask(port, request_).split(b" ")[1] == status


def test_a_megabyte_of_headers_is_cut_off() -> None:
    with serving() as port, dial(port) as client:
        try:
            client.sendall(b"GET /hello HTTP/1.1\r\nX: " + b"a" * 1_000_000)
            while client.recv(65536):
                pass
        except ConnectionError:  # the server closes with bytes unread
            pass
        assert timed_scrape(port) < SCRAPE_S


def test_an_error_in_a_route_is_the_servers_alone(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_request: Request) -> Response:
        raise ZeroDivisionError

    with serving(routes={"/broken": broken, "/hello": hello}) as port:
        assert ask(port, b"GET /broken HTTP/1.1\r\n\r\n").split(b" ")[1] == b"500"
        assert timed_scrape(port) < SCRAPE_S
    assert "request failed" in caplog.messages


def test_five_hundred_silent_clients_and_slow_readers_hold_nobody_up() -> None:
    big = Response.text(HTTPStatus.OK, "x" * 8_000_000)  # more than the buffers of two sockets hold
    with serving(routes={"/hello": hello, "/big": lambda _request: big}) as port, ExitStack() as clients:
        for i in range(500):
            client = clients.enter_context(dial(port))
            if i % 3 == 0:
                client.sendall(b"GET /hel")
        assert max(timed_scrape(port) for _ in range(5)) < SCRAPE_S
        for _ in range(MAX_CONNECTIONS):
            clients.enter_context(dial(port)).sendall(b"GET /big HTTP/1.1\r\n\r\n")  # and never reads
        assert max(timed_scrape(port) for _ in range(3)) < SCRAPE_S + 0.5  # a slow reader has half a second
        assert sum(each.name == "http-client" for each in threading.enumerate()) <= 2 * MAX_CONNECTIONS


class TlsGuard(Guard):
    """TLS with the test's certificate."""

    def __init__(self, folder: str) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(f"{folder}/server.pem", f"{folder}/server.key")

    def context(self) -> ssl.SSLContext:
        return self._context


def test_clients_that_stay_silent_in_the_handshake_hold_nobody_up(certificates: Path) -> None:
    trusting = ssl.create_default_context(cafile=f"{certificates}/ca.pem")
    with serving(TlsGuard(str(certificates))) as port, ExitStack() as clients:
        for i in range(100):
            client = clients.enter_context(dial(port))
            if i % 2:
                client.sendall(b"\x16\x03\x01\x02\x00\x01")  # a hello that never ends
        for _ in range(3):
            started_s = time.monotonic()
            with dial(port) as plain, trusting.wrap_socket(plain, server_hostname="localhost") as client:
                client.sendall(b"GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n")
                assert b"hello /hello" in b"".join(iter(lambda: client.recv(65536), b""))
            assert time.monotonic() - started_s < SCRAPE_S


def test_a_request_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_server, "REQUEST_S", 0.3)
    with serving() as port, dial(port) as client:
        started_s = time.monotonic()
        with suppress(OSError):  # reset or broken pipe, as the system has it
            while time.monotonic() - started_s < LIMIT_S:
                client.sendall(b"G")  # a byte now and then is no progress
                time.sleep(0.05)
        assert time.monotonic() - started_s < 5.0


def test_a_head_is_parsed_or_refused() -> None:
    request = parse_head(b"GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept:  text/plain \r\nConnection: Close")
    assert (request.method, request.path, request.is_kept) == ("GET", "/a", False)
    assert request.headers == {"host": "x", "accept": "text/plain", "connection": "Close"}
    assert parse_head(b"GET / HTTP/1.1").is_kept
    assert not parse_head(b"GET / HTTP/1.0").is_kept
    with pytest.raises(BadRequest):
        parse_head(b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked")


def test_a_posted_body_reaches_its_route_in_pieces_and_the_next_request_is_served() -> None:
    server = HttpServer(
        {"/hello": hello}, posts={"/say": lambda request: Response.text(HTTPStatus.OK, f"{request.body!r}")}
    )
    port = server.start("127.0.0.1", 0)
    try:
        with dial(port) as client:
            client.sendall(b"POST /say HTTP/1.1\r\nContent-Length: 6\r\n\r\nab")
            time.sleep(0.05)
            client.sendall(b"cdefGET /hello HTTP/1.1\r\nConnection: close\r\n\r\n")
            answers = b"".join(iter(lambda: client.recv(65536), b""))
        assert answers.count(b"200 OK") == 2
        assert b"b'abcdef'" in answers
    finally:
        server.stop()


def test_clients_that_never_finish_their_bodies_make_room() -> None:
    with serving() as port, ExitStack() as clients:
        for _ in range(MAX_CONNECTIONS):
            client = clients.enter_context(dial(port))
            client.sendall(b"POST /hello HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
        assert timed_scrape(port) <= SCRAPE_S
