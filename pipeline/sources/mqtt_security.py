"""Who we are to the broker, and how we know that it is the broker: password and TLS.

Comes in: settings that name files, an environment variable or a systemd credential. Goes out: a
password, and a TLS context that reads its files anew for each connection, so that renewed
certificates need no restart. Secrets are never part of an error, a log line or a ``repr``.
"""

import os
import ssl
from pathlib import Path
from typing import Any, Self

from pipeline.core.edge_settings import MqttSettings, MqttTlsSettings
from pipeline.core.errors import UsageError

_MAX_SECRET_BYTES = 1024
#: Nobody but the owner may touch a file with a secret.
_PRIVATE_BITS = 0o077
#: systemd may give its credentials to the daemon's user by an access list, whose mask looks like the group's.
_CREDENTIAL_BITS = 0o037
#: Longest a broker may take for the handshake, seconds; paho would wait for a whole keep-alive interval.
_HANDSHAKE_S = 5.0


def read_password(settings: MqttSettings) -> str | None:
    """Return the password from wherever it is kept; None when none is configured.

    Raises:
        UsageError: It is missing, empty, not text, or others may read it.
    """
    sources = {
        "mqtt.password_file": settings.password_file,
        "mqtt.password_env": settings.password_env,
        "mqtt.password_credential": settings.password_credential,
    }
    where, name = next(((where, name) for where, name in sources.items() if name), ("", ""))
    if not where:
        return None
    if not settings.username:
        raise UsageError(where, "is set without a user", "set mqtt.username")
    if where == "mqtt.password_env":
        return _from_environment(where, name)
    if where == "mqtt.password_file":
        return read_secret_file(where, Path(name))
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise UsageError(where, "no credentials were handed over", f"LoadCredential={name}:FILE in the systemd unit")
    return _from_file(where, Path(folder, name), _CREDENTIAL_BITS)


def _from_environment(where: str, name: str) -> str:
    password = os.environ.get(name, "")
    if not password or len(password) > _MAX_SECRET_BYTES:
        raise UsageError(where, f"the environment variable {name} holds no password", "set it before the daemon starts")
    return password


def read_secret_file(where: str, path: Path) -> str:
    """Return the one line of a file that nobody but its owner may read.

    Args:
        where: Option or setting that names it, for errors.
        path: The file.

    Raises:
        UsageError: It is missing, empty, not text, or others may read it.
    """
    return _from_file(where, path, _PRIVATE_BITS)


def _from_file(where: str, path: Path, forbidden_bits: int) -> str:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise UsageError(where, f"cannot read {path}: {error.strerror}", "name a file the daemon may read") from None
    if mode & forbidden_bits:
        raise UsageError(where, f"others may read {path}", f"chmod 600 {path}")
    try:
        password = content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        password = ""
    if not password or len(content) > _MAX_SECRET_BYTES:
        raise UsageError(where, f"{path} holds no password", "write it as the only line, UTF-8")
    return password


class _ClosingSocket(ssl.SSLSocket):
    """A TLS socket that closes itself when the handshake fails or lasts; paho would leave it open."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - ssl's signature
        self.settimeout(_HANDSHAKE_S)
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


class FreshContext(ssl.SSLContext):
    """A TLS context whose certificates are read again for each connection.

    Args:
        settings: Names the files; they must be in order when the daemon starts.

    Raises:
        UsageError: A file is missing or no certificate, or others may read the key.
    """

    _settings: MqttTlsSettings

    def __new__(cls, settings: MqttTlsSettings) -> Self:
        """Check the files once, and remember where they are."""
        build_context(settings)
        self = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)
        self._settings = settings
        return self

    def __init__(self, settings: MqttTlsSettings) -> None:
        del settings  # __new__ has it: the base class is made there

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:  # noqa: ANN401 - passed on as they are
        """Wrap a socket in TLS with the certificates as they are on disk now.

        Raises:
            OSError: A file is missing or wrong just now; the next attempt looks again.
        """
        try:
            context = build_context(self._settings)
        except UsageError as error:
            raise OSError(str(error)) from None  # what the network thread takes for "not reachable"
        return context.wrap_socket(*args, **kwargs)


def build_context(settings: MqttTlsSettings) -> ssl.SSLContext:
    """Return a context of TLS 1.2 or newer that checks the broker's certificate and host name.

    Raises:
        UsageError: A file is missing or no certificate, or others may read the key.
    """
    where, name = "mqtt.tls.ca_file", settings.ca_file
    try:
        context = ssl.create_default_context(cafile=settings.ca_file or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.sslsocket_class = _ClosingSocket
        if settings.cert_file:
            where, name = "mqtt.tls.cert_file", settings.cert_file
            key = settings.key_file or settings.cert_file
            _check_private("mqtt.tls.key_file" if settings.key_file else where, Path(key))
            # A key with a passphrase would ask on the terminal; an empty answer is refused instead.
            context.load_cert_chain(settings.cert_file, key, password=lambda: "")
    except ssl.SSLError as error:
        problem = f"{name} is no certificate, or its key is another's: {error.reason or 'not PEM'}"
        raise UsageError(where, problem, "name PEM files that belong together, the key without a passphrase") from None
    except OSError as error:
        raise UsageError(where, f"cannot read {name}: {error.strerror}", "name a file the daemon may read") from None
    return context


def _check_private(where: str, path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UsageError(where, f"cannot read {path}: {error.strerror}", "name a file the daemon may read") from None
    if mode & _PRIVATE_BITS:
        raise UsageError(where, f"others may read {path}", f"chmod 600 {path}")
