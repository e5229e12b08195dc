"""TLS, passwords and client certificates of the endpoint, in the web configuration that Prometheus' exporters share.

Comes in: a YAML file with the keys of exporter-toolkit: ``tls_server_config``, ``basic_auth_users`` (bcrypt) and
``http_server_config``. Goes out: TLS contexts, and whether a request may pass. The file and its certificates are
looked at for each connection and read again when they changed; while they are wrong the last good ones stay in force.
"""

import hmac
import logging
import secrets
import ssl
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from pipeline.core.edge_settings import Section
from pipeline.core.errors import UsageError
from pipeline.core.yaml_lines import read_yaml
from pipeline.sinks.http_server import Guard
from pipeline.sinks.http_text import Request, Response

_MAX_BYTES = 1 << 16
_PRIVATE_BITS = 0o077
#: Passwords that passed, remembered: bcrypt takes a tenth of a second on purpose.
_MAX_PASSED = 100
#: What an unknown user's password is held against, so that it takes as long.
_NOBODY = "$2b$10$Ye5bc.yx70eIaJmi4r.Jb.i/.oYpqMnuvmC.tyyJh3hJTHgZvCODy"
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
#: How Go calls what Python can do too; it cannot ask for a certificate and then not check it.
_CLIENTS = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}

_log = logging.getLogger(__name__)

Hash = Annotated[str, Field(pattern=r"^\$2[aby]\$(0[4-9]|1[0-4])\$[./A-Za-z0-9]{53}$")]


class TlsServer(Section):
    """``tls_server_config``: certificates of the endpoint and of who may ask."""

    cert_file: str = Field(min_length=1)
    key_file: str = Field(min_length=1)
    client_auth_type: Literal["", "NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = ""
    client_ca_file: str = ""
    client_allowed_sans: tuple[str, ...] = ()
    min_version: Literal["TLS12", "TLS13"] = "TLS12"
    max_version: Literal["TLS12", "TLS13"] = "TLS13"


class HttpServerConfig(Section):
    """``http_server_config``: headers; HTTP/2 is not spoken, whatever is said."""

    http2: bool = True
    headers: Mapping[str, Annotated[str, Field(pattern=r"^[ -~]*$")]] = {}


class WebSettings(Section):
    """The whole file."""

    tls_server_config: TlsServer | None = None
    http_server_config: HttpServerConfig = HttpServerConfig()
    basic_auth_users: Mapping[str, Hash] = {}

    @property
    def is_authenticated(self) -> bool:
        """Nobody gets in without a password or a certificate."""
        tls = self.tls_server_config
        return bool(self.basic_auth_users) or (tls is not None and tls.client_auth_type.startswith("Require"))


class WebConfig(Guard):
    """A web configuration in force.

    Args:
        path: The file.

    Raises:
        UsageError: It is missing or wrong, or names files that are.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._settings, self._context = _load(path)
        self._seen = self._stamps()
        self._passed: set[bytes] = set()
        self._salt = secrets.token_bytes(32)
        self._lock = Lock()

    @property
    def settings(self) -> WebSettings:
        """What is in force."""
        return self._settings

    def context(self) -> ssl.SSLContext | None:
        """Return the TLS context for the next connection, after a look at the files."""
        stamps = self._stamps()
        if stamps != self._seen:
            self._seen = stamps
            try:
                settings, context = _load(self._path)
                check_strength(settings, self._settings, str(self._path))
                self._settings, self._context = settings, context
                self._passed.clear()
            except UsageError as error:
                _log.warning("web configuration not taken", extra={"fields": {"why": str(error)}})
        return self._context

    def headers(self) -> Mapping[str, str]:
        """Return the configured headers."""
        return self._settings.http_server_config.headers

    def refusal(self, request: Request, certificate: Mapping[str, object]) -> Response | None:
        """Return 403 for a certificate that is not listed, 401 for a wrong password."""
        settings = self._settings
        allowed = settings.tls_server_config.client_allowed_sans if settings.tls_server_config else ()
        if allowed and not _names(certificate) & set(allowed):
            return Response.text(HTTPStatus.FORBIDDEN, "not one of the certificates that may ask\n")
        if settings.basic_auth_users and not self._is_known(request.headers.get("authorization", "")):
            challenge = {"WWW-Authenticate": 'Basic realm="foretell"'}
            return Response.text(HTTPStatus.UNAUTHORIZED, "user and password, please\n", challenge)
        return None

    def _is_known(self, authorization: str) -> bool:
        kind, _, encoded = authorization.partition(" ")
        try:
            user, colon, password = b64decode(encoded, validate=True).decode().partition(":")
        except (NotBase64, UnicodeDecodeError):
            return False
        if kind.lower() != "basic" or not colon:
            return False
        known = self._settings.basic_auth_users.get(user, "")
        mark = hmac.digest(self._salt, f"{known}\0{user}\0{password}".encode(), "sha256")
        if known and mark in self._passed:
            return True
        from bcrypt import checkpw

        secret = password.encode()[:72]  # bcrypt reads no further, nor does exporter-toolkit's
        with self._lock:  # one guess at a time: guessing must not take the processor away
            is_right = checkpw(secret, (known or _NOBODY).encode()) and bool(known)
        if is_right:
            if len(self._passed) >= _MAX_PASSED:
                self._passed.clear()
            self._passed.add(mark)
        return is_right

    def _stamps(self) -> tuple[tuple[int, int], ...]:
        """Return when each file changed last, and its size; zeros where there is none."""
        tls = self._settings.tls_server_config
        names = (tls.cert_file, tls.key_file, tls.client_ca_file) if tls else ()
        return tuple(_stamp(path) for path in (self._path, *(self._path.parent / name for name in names if name)))


def check_strength(new: WebSettings, old: WebSettings, where: str) -> None:
    """Refuse a configuration that opens what is closed while the endpoint serves.

    Raises:
        UsageError: Authentication or TLS would end.
    """
    is_weaker = old.is_authenticated and not new.is_authenticated
    if is_weaker or (old.tls_server_config is not None and new.tls_server_config is None):
        raise UsageError(where, "would end TLS or authentication", "restart the daemon where that is meant")


def _load(path: Path) -> tuple[WebSettings, ssl.SSLContext | None]:
    settings = _parse(_read(path, "metrics.web_config_file"), str(path))
    tls = settings.tls_server_config
    return settings, None if tls is None else _context(tls, path)


def _read(path: Path, where: str) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES).decode()
    except OSError as error:
        raise UsageError(where, f"cannot read {path}: {error.strerror}", "name a file the daemon may read") from None
    except UnicodeDecodeError:
        raise UsageError(where, f"{path} is not UTF-8 text", "save it as UTF-8") from None


def _parse(text: str, source: str) -> WebSettings:
    data, lines = read_yaml(text, source)
    try:
        return WebSettings.model_validate(data or {})
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[0]  # the input may be a hash
        path = tuple(found["loc"])
        line = next(lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines or n == 0)
        key = ".".join(map(str, path))
        if path[:1] == ("basic_auth_users",):
            problem = f"{key} is no bcrypt hash of cost 4 to 14"
            raise UsageError(f"{source}:{line}", problem, f"htpasswd -nBC 10 {path[-1]}") from None
        remedy = "keys are those of exporter-toolkit's web-config.yml; docs/install.md lists the ones understood"
        raise UsageError(f"{source}:{line}", f"{key}: {found['msg']}", remedy) from None


def _context(tls: TlsServer, path: Path) -> ssl.SSLContext:
    """Return the context that a file's TLS part asks for; its paths are relative to the file."""
    folder, where = path.parent, f"{path}: tls_server_config"
    key = folder / tls.key_file
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version, context.maximum_version = _VERSIONS[tls.min_version], _VERSIONS[tls.max_version]
    try:
        if key.stat().st_mode & _PRIVATE_BITS:
            raise UsageError(f"{where}.key_file", f"others may read {key}", f"chmod 600 {key}")
        context.load_cert_chain(folder / tls.cert_file, key, password=lambda: "")
        context.verify_mode = _CLIENTS[tls.client_auth_type or "NoClientCert"]
        if context.verify_mode != ssl.CERT_NONE:
            if not tls.client_ca_file:
                raise UsageError(f"{where}.client_ca_file", "is missing", "name who signs clients' certificates")
            context.load_verify_locations(folder / tls.client_ca_file)
        elif tls.client_ca_file or tls.client_allowed_sans:
            remedy = "client_auth_type: RequireAndVerifyClientCert"
            raise UsageError(where, "names client certificates that nobody asks for", remedy)
    except ssl.SSLError as error:
        problem = f"certificate and key do not fit: {error.reason or 'not PEM'}"
        raise UsageError(where, problem, "name PEM files that belong together, the key without a passphrase") from None
    except OSError as error:
        problem = f"cannot read {error.filename or 'a certificate'}: {error.strerror}"
        raise UsageError(where, problem, "name files the daemon may read") from None
    return context


def _names(certificate: Mapping[str, object]) -> set[str]:
    """Return the alternative names of a client's certificate, as ``getpeercert`` gives it."""
    pairs = certificate.get("subjectAltName", ())
    return {str(pair[1]) for pair in pairs if len(pair) > 1} if isinstance(pairs, tuple) else set()


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)
