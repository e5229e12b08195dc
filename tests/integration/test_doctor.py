"""``foretell doctor`` on real brokers: the shipped configuration passes, a default one fails with the setting named."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.doctor import Finding, examine, judge
from pipeline.sources.broker_probe import BrokerFacts

pytestmark = pytest.mark.broker
MAIN = "from pipeline.cli.main import main; main()"
PASSWORD = "canary-2b8d"  # noqa: S105 - made up here
CONFIG = """
mqtt: {{host: 127.0.0.1, port: {port}, username: {user}, password_file: {password}, protocol: "{protocol}"}}
"""


def doctor(folder: Path, repository: Path, port: int, *, user: str = "", protocol: str = "5") -> tuple[int, str]:
    """Run the command; return its exit code and what it printed."""
    password = folder / "password"
    password.write_text(PASSWORD)
    password.chmod(0o600)
    config = folder / "edge.yaml"
    named = {"user": user or '""', "password": password if user else '""'}
    config.write_text(CONFIG.format(port=port, protocol=protocol, **named))
    command = [sys.executable, "-c", MAIN, "doctor", "-c", str(config)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert PASSWORD not in done.stdout
    return done.returncode, done.stdout


def test_the_shipped_broker_settings_pass(broker_with: Callable[[str], Any], repository: Path, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    passwords.write_text(f"foretell:{PASSWORD}\n")
    hasher = shutil.which("mosquitto_passwd")
    assert hasher, "mosquitto_passwd comes with mosquitto"
    subprocess.run([hasher, "-U", str(passwords)], check=True)
    settings = (repository / "docker" / "mosquitto.conf").read_text("utf-8")
    settings = re.sub("(?m)^(listener|log_dest).*", "", settings)
    settings = settings.replace("/mosquitto/config/passwords", str(passwords))
    settings = settings.replace("/mosquitto/config/acl", str(repository / "docker" / "acl"))
    broker = broker_with(settings.replace("/mosquitto/data", "{folder}"))
    code, text = doctor(tmp_path, repository, broker.port, user="foretell")
    assert code == 0, text
    assert "ok    all of 2100 messages came through while we were slow" in text, text
    assert "ok    1000 messages in flight" in text


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_default_broker_fails_and_the_setting_is_named(
    broker_with: Callable[[str], Any], repository: Path, tmp_path: Path, protocol: str
) -> None:
    broker = broker_with("allow_anonymous true")
    code, text = doctor(tmp_path, repository, broker.port, protocol=protocol)
    assert code == 2, text
    assert "-> max_queued_messages 100000 in mosquitto.conf (never 0)" in text
    assert ("-> max_inflight_messages 1000 in mosquitto.conf" in text) == (protocol == "3.1.1")


def test_a_broker_that_lets_nobody_in_or_is_not_there_is_told_at_once(
    broker_with: Callable[[str], Any], repository: Path, tmp_path: Path
) -> None:
    broker = broker_with("allow_anonymous false")
    code, text = doctor(tmp_path, repository, broker.port)
    assert code == 2
    assert "no connection to 127.0.0.1" in text
    assert "Not authorized" in text
    broker.stop()
    started_s = time.monotonic()
    findings = examine(parse_settings(f"mqtt: {{port: {broker.port}}}", "f"))
    assert time.monotonic() - started_s < 5.0
    assert findings[-1].text.endswith("nobody answers there, or not in the way that mqtt.tls says")


def test_a_topic_that_reads_our_own_alerts_fails_without_asking_the_broker() -> None:
    settings = parse_settings('mqtt: {port: 1, topics: [{topic: "{rest}", stream: "{rest}"}]}', "f")
    (first, *others) = examine(settings)
    assert (first.kind, "matches our own alerts" in first.text) == ("fail", True)
    assert all("connect" not in finding.text for finding in others)


def failures(facts: BrokerFacts) -> list[Finding]:
    return [each for each in judge(facts, Settings(), "foretell/home/doctor/x") if each.kind == "fail"]


@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"refused_topics": ["sensors/#"]}, "its access list"),
        ({"is_session_kept": False}, "persistent_client_expiration"),
        ({"n_received": 0}, "let this user write and read foretell/home/doctor/#"),
        ({"n_received": 2000}, "max_queued_messages 100000"),
        ({"n_in_flight": 20}, "max_inflight_messages 1000"),
        ({"version": "mosquitto version 1.6.9"}, "mosquitto 2.0.11 or newer"),
        ({"limits": {"MaximumQoS": 0}}, "max_qos"),
        ({"limits": {"RetainAvailable": 0}}, "retain_available true"),
    ],
)
def test_each_shortcoming_has_its_remedy(change: dict[str, Any], remedy: str) -> None:
    good: dict[str, Any] = {"is_session_kept": True, "n_sent": 2100, "n_in_flight": 1000, "n_received": 2100}
    assert failures(BrokerFacts(**good)) == []
    (failure,) = failures(BrokerFacts(**good | change))
    assert remedy in failure.remedy
