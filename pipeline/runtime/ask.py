"""Asking a running daemon over HTTP: where it listens, who we are, and what it answers.

Comes in: an address and credentials. Goes out: a JSON document. Answers are bounded, and a wrong one is an error
in one line.
"""

import json
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.errors import ForetellError, UsageError, printable
from pipeline.core.settings import Settings
from pipeline.sources.mqtt_security import read_secret_file

_MAX_BYTES = 16 << 20
_MAX_REFUSAL_BYTES = 4096
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach an endpoint that asks who we are.

    Attributes:
        ca_file: Who signed its certificate (PEM); empty for the machine's own list.
        cert_file: Our certificate and key (PEM); empty for none.
        user: User name; empty for none.
        password_file: File that holds the user's password.
    """

    ca_file: str = ""
    cert_file: str = ""
    user: str = ""
    password_file: str = ""


def endpoint_url(settings: Settings) -> str:
    """Return where a daemon with these settings serves.

    Raises:
        UsageError: It serves nowhere.

    Example:
        >>> endpoint_url(Settings())
        'http://127.0.0.1:9464'
    """
    metrics = settings.metrics
    if not metrics.enabled:
        raise UsageError("metrics.enabled", "is false: this daemon answers nobody", "set it to true")
    here = {"0.0.0.0": "localhost", "::": "localhost"}.get(metrics.host, metrics.host)  # noqa: S104 - compared
    host = f"[{here}]" if ":" in here else here
    return f"http{'s' if metrics.web_config_file else ''}://{host}:{metrics.port}"


def ask(url: str, access: Access) -> dict[str, Any]:
    """Return the JSON document at an address.

    Raises:
        UsageError: The address or a file of ours is wrong.
        ForetellError: Nobody answers there, or not as Foretell does.
    """
    return _document(_request(url), url, access)


def tell(url: str, access: Access, token: str, said: dict[str, str]) -> dict[str, Any]:
    """Say something of alerts, and return the answer.

    Raises:
        UsageError: The address or a file of ours is wrong.
        ForetellError: Nobody answers there, not as Foretell does, or what was said is not taken.
    """
    request = _request(url)
    request.data = json.dumps(said).encode()
    request.add_header("Content-Type", "application/json")
    request.add_header("X-Foretell-Token", token)
    return _document(request, url, access)


def _request(url: str) -> urllib.request.Request:
    if not url.startswith(("http://", "https://")):
        raise UsageError(url, "is no http address", "give one such as http://127.0.0.1:9464")
    return urllib.request.Request(url)  # noqa: S310 - checked above


def _document(request: urllib.request.Request, url: str, access: Access) -> dict[str, Any]:
    if access.user:
        password = read_secret_file("--password-file", Path(access.password_file))
        request.add_header("Authorization", f"Basic {b64encode(f'{access.user}:{password}'.encode()).decode()}")
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=_context(access))
    )
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            document = json.loads(answer.read(_MAX_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            text = _refusal(error.read(_MAX_REFUSAL_BYTES)) or str(error.reason)
            raise ForetellError(f"{url}: answered {error.code}: {printable(text)}") from None
    except (OSError, ValueError, RecursionError) as error:
        why = getattr(error, "reason", error)
        raise ForetellError(f"{url}: no answer from Foretell: {printable(str(why))}") from None
    if not isinstance(document, dict):
        raise ForetellError(f"{url}: answered, but not as Foretell does")
    return document


def _refusal(body: bytes) -> str:
    """Return the words of an answer that says no; empty for none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    text = document.get("text") if isinstance(document, dict) else None
    return text if isinstance(text, str) else ""


def _context(access: Access) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=access.ca_file or None)
        if access.cert_file:
            context.load_cert_chain(access.cert_file, password=lambda: "")
    except (OSError, ssl.SSLError) as error:
        raise UsageError("certificates", printable(str(error)), "name PEM files") from None
    return context
