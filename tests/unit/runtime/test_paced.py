"""Where paced messages go: addresses of brokers, paces, and what plain text must not reach."""

import math

import pytest

from pipeline.core.edge_settings import MqttSettings
from pipeline.core.errors import UsageError
from pipeline.runtime.paced import broker_at, speed_in

OWN = MqttSettings(host="127.0.0.1", port=1999, username="me", password_env="SECRET")  # noqa: S106 - a variable's name


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("localhost", ("localhost", 1883, False)),
        ("127.0.0.1:1884", ("127.0.0.1", 1884, False)),
        ("mqtt://[::1]:1885", ("::1", 1885, False)),
        ("mqtts://broker.example", ("broker.example", 8883, True)),
    ],
)
def test_an_address_names_host_port_and_encryption(url: str, place: tuple[str, int, bool]) -> None:
    found = broker_at(OWN, url)
    assert (found.host, found.port, found.tls.enabled) == place
    assert found.username == "me"


@pytest.mark.parametrize("url", ["", "http://x", "mqtt://", "a:b:c", "x:99999", "mqtt://x/topic"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        broker_at(OWN, url)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError, match="must not hold a password") as caught:
        broker_at(OWN, "mqtt://me:canary@broker.example")
    assert "canary" not in str(caught.value)


def test_plain_text_goes_to_this_machine_only() -> None:
    with pytest.raises(UsageError, match="not encrypted"):
        broker_at(OWN, "broker.example")


def test_paces() -> None:
    assert [speed_in(text) for text in ("1", "60x", "0.5", "max")] == [1.0, 60.0, 0.5, math.inf]
    for text in ("", "0", "-1", "fast", "nan", "inf"):
        with pytest.raises(ValueError, match="must be max"):
            speed_in(text)
