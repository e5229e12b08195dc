"""Who we are to the broker: passwords from three places, plain text only where it stays on the machine, TLS files."""

import shutil
import ssl
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline.core.edge_settings import MqttSettings, MqttTlsSettings
from pipeline.core.errors import UsageError
from pipeline.core.settings import parse_settings
from pipeline.sources.mqtt import Connection
from pipeline.sources.mqtt_security import FreshContext, build_context, read_password

CANARY = "canary-7f3a"


def secret(folder: Path, content: bytes, mode: int = 0o600) -> MqttSettings:
    path = folder / "password"
    path.write_bytes(content)
    path.chmod(mode)
    return MqttSettings(username="user", password_file=str(path))


def test_the_password_is_read_without_its_line_end_and_shown_nowhere(tmp_path: Path) -> None:
    connection = Connection(secret(tmp_path, f"{CANARY}\n".encode()), "me", keep_session=True)
    assert connection.client.password == CANARY
    assert CANARY not in repr(connection)
    assert CANARY not in repr(connection.client)


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (CANARY.encode(), 0o640, "others may read"),
        (b"", 0o600, "holds no password"),
        (b"\n", 0o600, "holds no password"),
        (b"\xff", 0o600, "holds no password"),
        (b"x" * 2000, 0o600, "holds no password"),
    ],
)
def test_a_password_file_that_is_unsafe_or_useless_is_refused(
    tmp_path: Path, content: bytes, mode: int, message: str
) -> None:
    with pytest.raises(UsageError, match=message) as error:
        Connection(secret(tmp_path, content, mode), "me", keep_session=True)
    assert CANARY not in str(error.value)


def test_a_missing_password_file_and_one_without_a_user_are_refused(tmp_path: Path) -> None:
    missing = MqttSettings(username="user", password_file=str(tmp_path / "none"))
    with pytest.raises(UsageError, match="cannot read"):
        Connection(missing, "me", keep_session=True)
    lonely = secret(tmp_path, b"x").model_copy(update={"username": ""})
    with pytest.raises(UsageError, match="without a user"):
        Connection(lonely, "me", keep_session=True)


def test_the_password_comes_from_an_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = MqttSettings(username="user", password_env="PLANT_PASSWORD")  # noqa: S106 - the variable's name
    with pytest.raises(UsageError, match="PLANT_PASSWORD holds no password"):
        read_password(settings)
    monkeypatch.setenv("PLANT_PASSWORD", CANARY)
    assert read_password(settings) == CANARY


def test_the_password_comes_from_a_systemd_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = MqttSettings(username="user", password_credential="mqtt")  # noqa: S106 - the credential's name
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(UsageError, match="no credentials were handed over; LoadCredential=mqtt:FILE"):
        read_password(settings)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "mqtt").write_text(f"{CANARY}\n")
    (tmp_path / "mqtt").chmod(0o440)  # as systemd shows a file whose access list names one user
    assert read_password(settings) == CANARY
    (tmp_path / "mqtt").chmod(0o444)
    with pytest.raises(UsageError, match="others may read"):
        read_password(settings)


def test_a_password_has_one_place() -> None:
    with pytest.raises(ValidationError, match="name one of password_file, password_env and password_credential"):
        MqttSettings(username="user", password_env="A", password_file="b")  # noqa: S106 - names


def test_plain_text_to_another_machine_is_wrong_configuration_unless_asked_for() -> None:
    with pytest.raises(UsageError, match=r"^edge.yaml:1: mqtt: mqtt.host broker.example is another machine"):
        parse_settings("mqtt: {host: broker.example}", "edge.yaml")
    assert parse_settings("mqtt: {host: broker.example, allow_plaintext: true}", "f").mqtt.allow_plaintext
    assert parse_settings("mqtt: {host: broker.example, tls: {enabled: true}}", "f").mqtt.tls.enabled
    for host in ("localhost", "127.0.0.1", "127.8.8.8", "::1"):
        assert MqttSettings(host=host).host == host


def test_a_password_that_was_changed_is_taken_on_the_next_connect(tmp_path: Path) -> None:
    connection = Connection(secret(tmp_path, f"{CANARY}-old".encode()), "me", keep_session=True)
    secret(tmp_path, CANARY.encode())
    assert connection.client.on_pre_connect is not None
    connection.client.on_pre_connect(connection.client, None)
    assert connection.client.password == CANARY
    secret(tmp_path, b"")  # half written: the old one is kept, and the next attempt looks again
    connection.client.on_pre_connect(connection.client, None)
    assert connection.client.password == CANARY


def tls(folder: Path, **files: str) -> MqttTlsSettings:
    return MqttTlsSettings(enabled=True, **{name: str(folder / file) for name, file in files.items()})


def test_a_context_checks_certificate_and_host_name_and_refuses_old_tls(certificates: Path) -> None:
    context = build_context(tls(certificates, ca_file="ca.pem", cert_file="client.pem", key_file="client.key"))
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"ca_file": "none.pem"}, r"mqtt\.tls\.ca_file: cannot read .*none\.pem: No such file"),
        ({"ca_file": "ca.key"}, r"mqtt\.tls\.ca_file: .*ca\.key is no certificate"),
        (
            {"cert_file": "client.pem", "key_file": "server.key"},
            r"mqtt\.tls\.cert_file: .*client\.pem is no certificate",
        ),
        ({"cert_file": "client.pem", "key_file": "none.key"}, r"mqtt\.tls\.key_file: cannot read"),
    ],
)
def test_files_that_are_missing_or_wrong_are_named(certificates: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        FreshContext(tls(certificates, **files))


def test_a_key_that_others_may_read_is_refused(certificates: Path, tmp_path: Path) -> None:
    for name in ("client.pem", "client.key"):
        shutil.copy(certificates / name, tmp_path)
    (tmp_path / "client.key").chmod(0o644)
    with pytest.raises(UsageError, match="others may read"):
        FreshContext(tls(tmp_path, cert_file="client.pem", key_file="client.key"))
