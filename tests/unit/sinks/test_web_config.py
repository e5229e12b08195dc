"""The web configuration: passwords, certificates, files that change, and mistakes that are named."""

import shutil
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import bcrypt
import pytest

from pipeline.core.edge_settings import MetricsSettings
from pipeline.core.errors import UsageError
from pipeline.sinks.exporter import Exporter
from pipeline.sinks.http_text import Request
from pipeline.sinks.web_config import WebConfig

PASSWORD = "canary-51aa"  # noqa: S105 - made up here
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
TLS = "tls_server_config: {cert_file: server.pem, key_file: server.key"
MUTUAL = TLS + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"
USERS = f"basic_auth_users: {{prometheus: '{HASH}'}}\n"

Write = Callable[[str], Path]


@pytest.fixture
def write(certificates: Path, tmp_path: Path) -> Write:
    """Write a web configuration beside copies of all certificates."""
    for file in certificates.iterdir():
        shutil.copy(file, tmp_path)

    def write(text: str) -> Path:
        path = tmp_path / "web.yml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def serve() -> Iterator[Callable[[Path], int]]:
    """Serve metrics under a web configuration, on all addresses."""
    exporter = Exporter()

    def serve(path: Path) -> int:
        every_address = "0.0.0.0"  # noqa: S104 - what is tested
        return exporter.start(MetricsSettings(host=every_address, web_config_file=str(path)), 0)

    yield serve
    exporter.stop()


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def scrape(port: int, folder: Path, headers: dict[str, str], client: str = "") -> int:
    """Return the status of a scrape over TLS."""
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if client:
        context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}.key")
    request = urllib.request.Request(f"https://localhost:{port}/metrics", headers=headers)
    try:
        with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310 - our own
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_over_tls_the_right_password_alone_gets_in(
    write: Write, serve: Callable[[Path], int], certificates: Path
) -> None:
    port = serve(write(TLS + "}\n" + USERS))
    assert scrape(port, certificates, basic("prometheus", PASSWORD)) == 200
    assert scrape(port, certificates, basic("prometheus", PASSWORD)) == 200  # remembered
    for headers in ({}, basic("prometheus", "wrong"), basic("root", PASSWORD), {"Authorization": "Basic %%%"}):
        assert scrape(port, certificates, headers) == 401


def test_a_client_certificate_is_asked_for_checked_and_may_be_listed(
    write: Write, serve: Callable[[Path], int], certificates: Path
) -> None:
    port = serve(write(MUTUAL + "}"))
    assert scrape(port, certificates, {}, "client") == 200
    for client in ("", "stranger"):
        with pytest.raises(OSError):  # noqa: PT011 - an alert or a reset, as TLS has it
            scrape(port, certificates, {}, client)


def test_a_certificate_that_is_not_listed_is_forbidden(
    write: Write, serve: Callable[[Path], int], certificates: Path
) -> None:
    port = serve(write(MUTUAL + ", client_allowed_sans: [scraper.example]}"))
    assert scrape(port, certificates, {}, "client") == 403
    write(MUTUAL + ", client_allowed_sans: [localhost]}")  # read again, as it changed
    assert scrape(port, certificates, {}, "client") == 200


def test_a_change_is_taken_unless_it_is_wrong_or_opens_what_was_closed(
    write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    web = WebConfig(write(TLS + "}\n" + USERS))
    request = Request("GET", "/metrics", {"authorization": basic("prometheus", PASSWORD)["Authorization"]})
    assert web.refusal(request, {}) is None
    for text in ("tls_server_config: [", TLS + "}", USERS):
        write(text)
        assert web.context() is not None
        assert web.settings.is_authenticated
    assert caplog.messages.count("web configuration not taken") == 3
    write(TLS + "}\n" + USERS.replace(HASH, bcrypt.hashpw(b"another", bcrypt.gensalt(4)).decode()))
    web.context()
    refused = web.refusal(request, {})
    assert refused is not None
    assert refused.status == 401
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "basic_auth_users: {a: secret-in-plain}",
            r"web.yml:1: basic_auth_users.a is no bcrypt hash.*htpasswd -nBC 10 a",
        ),
        ("basic_auth_users: {}\ntls_config: 1", r"web.yml:2: tls_config: Extra inputs are not permitted"),
        (TLS + ", cipher_suites: [X]}", r"tls_server_config.cipher_suites: Extra inputs"),
        (TLS + ", client_auth_type: RequireAnyClientCert}", r"client_auth_type: Input should be ''"),
        (TLS + ", client_auth_type: RequireAndVerifyClientCert}", r"client_ca_file: is missing"),
        (TLS + ", client_ca_file: ca.pem}", r"names client certificates that nobody asks for"),
        ("tls_server_config: {cert_file: none.pem, key_file: server.key}", r"cannot read .*: No such file"),
        ("tls_server_config: {cert_file: server.pem, key_file: client.key}", r"certificate and key do not fit"),
    ],
)
def test_mistakes_are_named(write: Write, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        WebConfig(write(text))
    assert "secret-in-plain" not in str(error.value)


def test_a_key_that_others_may_read_is_refused(write: Write, tmp_path: Path) -> None:
    path = write(TLS + "}")
    (tmp_path / "server.key").chmod(0o644)
    with pytest.raises(UsageError, match="others may read"):
        WebConfig(path)


def test_other_machines_are_served_with_both_tls_and_authentication_only(
    write: Write, serve: Callable[[Path], int]
) -> None:
    for text in (TLS + "}", USERS):
        with pytest.raises(UsageError, match="needs TLS and passwords or client certificates"):
            serve(write(text))
