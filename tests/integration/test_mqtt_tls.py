"""TLS to a real mosquitto: certificates of both sides, renewed ones, and a password that shows up nowhere."""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.edge_settings import MqttSettings, MqttTlsSettings
from pipeline.sources.mqtt import Connection

pytestmark = pytest.mark.broker
LIMIT_S = 60.0
CANARY = "canary-19c2-password"
MAIN = "from pipeline.cli.main import main; main()"
SECURED = """
allow_anonymous false
password_file {folder}/passwords
cafile %(certificates)s/ca.pem
certfile %(certificates)s/server.pem
keyfile %(certificates)s/server.key
require_certificate true
"""


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.05)


def scraped(port: int) -> bytes:
    """Return /metrics of our own daemon; nothing while it does not serve yet."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            return bytes(answer.read())
    except urllib.error.URLError:
        return b""


@pytest.fixture
def secured(broker_with: Callable[[str], Any], certificates: Path, tmp_path: Path) -> Any:  # noqa: ANN401 - conftest's
    """A broker that asks for a client certificate and for the password of user ``foretell``."""
    passwords = tmp_path / "passwords"
    passwords.write_text(f"foretell:{CANARY}\n")
    hasher = shutil.which("mosquitto_passwd")
    assert hasher, "mosquitto_passwd comes with mosquitto"
    subprocess.run([hasher, "-U", str(passwords)], check=True)
    return broker_with(SECURED.replace("{folder}", str(tmp_path)) % {"certificates": certificates})


def settings(port: int, folder: Path, certificates: Path, ca: str = "ca", client: str = "client") -> MqttSettings:
    """Return settings whose certificates are copies in ``folder``."""
    for name, file in {"ca": f"{ca}.pem", "cert": f"{client}.pem", "key": f"{client}.key"}.items():
        shutil.copy(certificates / file, folder / name)
    password = folder / "password"
    password.write_text(CANARY)
    password.chmod(0o600)
    files = {f"{name}_file": str(folder / name) for name in ("ca", "cert", "key")}
    return MqttSettings(
        host="127.0.0.1",
        port=port,
        username="foretell",
        password_file=str(password),
        tls=MqttTlsSettings(enabled=True, **files),
    )


def test_wrong_certificates_are_kept_out_and_right_ones_are_taken_without_a_restart(
    secured: Any,  # noqa: ANN401 - conftest's class
    certificates: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = Connection(settings(secured.port, tmp_path, certificates, ca="stranger"), "tls", keep_session=False)
    connection.start()
    try:
        wait_until(lambda: "broker not reachable" in caplog.messages, "the broker's certificate was refused")
        assert not connection.is_connected
        settings(secured.port, tmp_path, certificates)  # the right authority is put in place
        wait_until(lambda: connection.is_connected, "it connected with the new certificates")
    finally:
        connection.stop()


def test_the_password_shows_up_nowhere(
    secured: Any,  # noqa: ANN401 - conftest's class
    certificates: Path,
    tmp_path: Path,
    repository: Path,
) -> None:
    mqtt = settings(secured.port, tmp_path, certificates)
    port = secured.port - 10_000
    config = tmp_path / "edge.yaml"
    text: dict[str, Any] = {
        "store": {"path": str(tmp_path / "state")},
        "mqtt": mqtt.model_dump(mode="json"),
        "metrics": {"port": port},
        "runtime": {"log_level": "debug"},
    }
    config.write_text(json.dumps(text))  # JSON is YAML
    command = [sys.executable, "-c", MAIN, "run", "-c", str(config)]
    log = tmp_path / "foretell.log"
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            command, cwd=repository, stdout=output, stderr=output, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
    try:
        wait_until(lambda: b"foretell_mqtt_connected 1.0" in scraped(port), "it connected")
        shown = scraped(port)
        shown += Path(f"/proc/{daemon.pid}/cmdline").read_bytes()
    finally:
        daemon.terminate()
        assert daemon.wait(LIMIT_S) == 0, log.read_text()
    shown += log.read_bytes() + repr(mqtt).encode()
    assert CANARY.encode() not in shown
