"""HTTP/1.1 as text: the head of a request, and a response as bytes. Pure; anything unusual is refused.

Comes in: bytes of a stranger. Goes out: a ``Request``, or a ``BadRequest`` with its status.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Self

MAX_HEAD_BYTES = 8192
#: Bodies are bounded too.
MAX_BODY_BYTES = 8192
_REQUEST = re.compile(r"([A-Z]{1,16}) (/[!-~]{0,2047}) HTTP/1\.([01])")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_METHODS = ("GET", "HEAD", "POST")
_LENGTH = re.compile(r"[0-9]{1,9}")


class BadRequest(Exception):  # noqa: N818 - it has the name of its status
    """A request that is not answered.

    Attributes:
        status: What the client is told.
    """

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Attributes:
        method: ``GET``, ``HEAD`` or ``POST``.
        path: Path, without the query.
        query: What follows the question mark, as sent; empty for nothing.
        headers: Values by name in lower case.
        is_kept: The client wants to keep the connection.
        n_body: Length of the body, bytes.
        body: The body, once it was read.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    is_kept: bool = False
    query: str = ""
    n_body: int = 0
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered.

    Attributes:
        status: Status.
        content_type: Type of the body.
        body: Body.
        headers: Further headers.
    """

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def text(cls, status: HTTPStatus, text: str, headers: Mapping[str, str] | None = None) -> Self:
        """Return plain text."""
        return cls(status, "text/plain; charset=utf-8", text.encode(), headers or {})


def parse_head(head: bytes) -> Request:
    r"""Return the request whose head this is, without the empty line.

    Raises:
        BadRequest: It is too long, no HTTP/1, carries a body that is too long or not wanted, or asks for what is not
            served.

    Example:
        >>> parse_head(b"GET /metrics?x=1 HTTP/1.1\r\nAccept: text/plain").path
        '/metrics'
    """
    if len(head) > MAX_HEAD_BYTES:
        raise BadRequest(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"more than {MAX_HEAD_BYTES} bytes of headers")
    first, *lines = head.decode("latin-1").split("\r\n")
    request = _REQUEST.fullmatch(first)
    if request is None:
        raise BadRequest(HTTPStatus.BAD_REQUEST, "not an HTTP/1 request")
    method, target, minor = request.groups()
    headers: dict[str, str] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise BadRequest(HTTPStatus.BAD_REQUEST, "not a header")
        headers[header[1].lower()] = header[2]
    n_body = _body_length(method, headers)
    if method not in _METHODS:
        raise BadRequest(HTTPStatus.METHOD_NOT_ALLOWED, "only GET, HEAD and POST")
    wish = headers.get("connection", "").lower()
    is_kept = "close" not in wish if minor == "1" else "keep-alive" in wish
    path, _, query = target.partition("?")
    return Request(method, path, headers, is_kept, query, n_body)


def _body_length(method: str, headers: Mapping[str, str]) -> int:
    """Return how long the body is that follows, bytes."""
    length = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not _LENGTH.fullmatch(length) or (method != "POST" and int(length)):
        raise BadRequest(HTTPStatus.BAD_REQUEST, "no body is taken")
    if int(length) > MAX_BODY_BYTES:
        raise BadRequest(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"more than {MAX_BODY_BYTES} bytes")
    return int(length)


def render(response: Response, headers: Mapping[str, str], *, is_head: bool, is_kept: bool) -> bytes:
    """Return a response as bytes.

    Args:
        response: What is answered.
        headers: Headers that every answer has.
        is_head: Leave the body out.
        is_kept: The connection stays open.
    """
    lines = [
        f"HTTP/1.1 {int(response.status)} {response.status.phrase}",
        f"Content-Type: {response.content_type}",
        f"Content-Length: {len(response.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        f"Connection: {'keep-alive' if is_kept else 'close'}",
        *(f"{name}: {value}" for name, value in {**headers, **response.headers}.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (b"" if is_head else response.body)
