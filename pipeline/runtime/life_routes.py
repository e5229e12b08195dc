"""The endpoint's answers beside ``/metrics``: ``/livez``, ``/readyz`` and ``/status.json``.

Comes in: life signs, and who makes the status. Goes out: routes. 503 says no, with the reason as text.
"""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from pipeline.runtime.life import LifeSigns
from pipeline.sinks.http_server import Route
from pipeline.sinks.http_text import Response


def life_routes(life: LifeSigns, status: Callable[[], Mapping[str, Any]]) -> dict[str, Route]:
    """Return the routes.

    Args:
        life: The daemon's life signs.
        status: Makes the document of ``/status.json``; called on a thread of the endpoint.
    """

    def livez() -> Response:
        now = life.now()
        return _said(now.is_live, "live" if now.is_live else now.why)

    def readyz() -> Response:
        now = life.now()
        return _said(now.is_ready, now.why)

    def document() -> Response:
        body = json.dumps(status(), allow_nan=False).encode() + b"\n"
        return Response(HTTPStatus.OK, "application/json", body)

    return {
        "/livez": lambda _request: livez(),
        "/readyz": lambda _request: readyz(),
        "/status.json": lambda _request: document(),
    }


def _said(is_so: bool, why: str) -> Response:  # noqa: FBT001 - a word and its reason
    return Response.text(HTTPStatus.OK if is_so else HTTPStatus.SERVICE_UNAVAILABLE, f"{why}\n")
