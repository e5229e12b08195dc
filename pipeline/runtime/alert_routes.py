"""The endpoint's answers about alerts: ``GET /alerts.json``, and ``POST /alerts/words`` for whoever shows the token.

Comes in: requests of strangers. Goes out: JSON. A word is answered once it is in the journal. The token stands in a
header that no other site's page can set without our leave, which is never given: there is no forging from a browser.
"""

import hmac
import json
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as NotYet
from http import HTTPStatus
from typing import Any

from pipeline.core.operator_words import WordError
from pipeline.runtime.word_desk import WordDesk
from pipeline.sinks.http_server import Route
from pipeline.sinks.http_text import Request, Response

#: Header that carries the token.
TOKEN_HEADER = "x-foretell-token"  # noqa: S105 - its name
#: Longest that a word may take to be written down, seconds.
_PATIENCE_S = 5.0
_STATUS = {
    "no_such_alert": HTTPStatus.NOT_FOUND,
    "ambiguous": HTTPStatus.CONFLICT,
    "already_undone": HTTPStatus.CONFLICT,
    "too_many": HTTPStatus.TOO_MANY_REQUESTS,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unauthorized": HTTPStatus.UNAUTHORIZED,
}


def alert_routes(desk: WordDesk) -> dict[str, Route]:
    """Return what may be read."""
    return {"/alerts.json": lambda _request: _json(HTTPStatus.OK, desk.listing)}


def word_routes(desk: WordDesk, token: Callable[[], str]) -> dict[str, Route]:
    """Return what may be posted.

    Args:
        desk: Where words go.
        token: Returns what a request must show; empty where nobody may speak.
    """

    def words(request: Request) -> Response:
        try:
            _check(request, token())
        except WordError as error:
            desk.refuse(error.reason)
            return _refusal(error)
        try:
            said = desk.submit(request.body).result(_PATIENCE_S)
        except WordError as error:
            return _refusal(error)
        except NotYet:
            text = "heard, and not written down yet: the disk is full or the daemon is busy"
            return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"reason": "not_written", "text": text})
        shown = {each["episode"]: each for each in desk.listing["alerts"]}
        alerts = [shown[episode] for episode in said["alerts"] if episode in shown]
        return _json(HTTPStatus.OK, {"said": said["said"], "alerts": alerts})

    return {"/alerts/words": words}


def _check(request: Request, token: str) -> None:
    if not token:
        raise WordError("unauthorized", "nobody may speak here: alerts.token_file names no token")
    shown = request.headers.get(TOKEN_HEADER, "")
    if not hmac.compare_digest(shown.encode("latin-1"), token.encode()):
        raise WordError("unauthorized", "show the token in the header X-Foretell-Token")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise WordError("malformed", "Content-Type must be application/json")


def _json(status: HTTPStatus, document: Mapping[str, Any]) -> Response:
    return Response(status, "application/json", json.dumps(document, allow_nan=False).encode() + b"\n")


def _refusal(error: WordError) -> Response:
    status = _STATUS.get(error.reason, HTTPStatus.BAD_REQUEST)
    return _json(status, {"reason": error.reason, "text": str(error)})
