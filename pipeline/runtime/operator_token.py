"""The token that HTTP requests show to say something of alerts: made at the first start, read by the command line.

Whoever may read the file may speak for an operator. It is never logged, printed or sent anywhere but in a request.
"""

import os
import secrets
from pathlib import Path

from pipeline.core.alert_settings import AlertSettings
from pipeline.core.errors import UsageError
from pipeline.core.settings import Settings
from pipeline.runtime.state_folder import state_folder
from pipeline.sources.mqtt_security import read_secret_file

_NAME, _AUTO, _NONE = "token", "auto", "none"
_N_BYTES = 32


def read_token(settings: AlertSettings, folder: Path | None) -> str:
    """Return the token; empty where nobody may speak over HTTP.

    Args:
        settings: Where it is.
        folder: The state folder; None for none.

    Raises:
        UsageError: The file is missing, empty, or others may read it.
    """
    path = _path(settings, folder)
    return read_secret_file("alerts.token_file", path) if path else ""


def token_of(settings: Settings, token_file: str = "") -> str:
    """Return the token of the daemon that runs with these settings.

    Args:
        settings: Its settings.
        token_file: Another file to read it from; empty for that of the settings.

    Raises:
        UsageError: There is none, or it may not be read.
    """
    alerts = settings.alerts.model_copy(update={"token_file": token_file}) if token_file else settings.alerts
    token = read_token(alerts, state_folder(settings.store.path))
    if not token:
        raise UsageError("alerts.token_file", "names no token", "nobody may speak over HTTP: configure one")
    return token


def make_token(settings: AlertSettings, folder: Path | None) -> str:
    """Return the token, and make it where it is to be made automatically and is not there yet.

    Raises:
        UsageError: The file cannot be made or read, or others may read it.
    """
    path = _path(settings, folder)
    if path and settings.token_file == _AUTO and not path.exists():
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_urlsafe(_N_BYTES) + "\n")
        except OSError as error:
            remedy = "free the disk, or set alerts.token_file: none"
            raise UsageError("alerts.token_file", f"cannot make {path}: {error.strerror}", remedy) from None
    return read_token(settings, folder)


def _path(settings: AlertSettings, folder: Path | None) -> Path | None:
    if settings.token_file == _NONE:
        return None
    if settings.token_file == _AUTO:
        return folder / _NAME if folder else None
    return Path(settings.token_file)
