"""Alerting rules, their unit tests and Alertmanager's configuration, as Prometheus' own tools see them."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path("configs", "prometheus")


def tool(name: str, *arguments: str, folder: Path) -> str:
    """Run one of Prometheus' tools in a folder; return what it printed, which must be success."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed; on Debian: apt-get install prometheus prometheus-alertmanager")
    done = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_rules_are_valid_and_their_unit_tests_pass(repository: Path) -> None:
    folder = repository / FOLDER
    assert "SUCCESS" in tool("promtool", "check", "config", "prometheus.yml", folder=folder)
    for tests in sorted(folder.glob("*.test.yml")):
        assert "SUCCESS" in tool("promtool", "test", "rules", tests.name, folder=folder)


def test_alertmanager_takes_its_configuration_and_routes_to_who_can_help(repository: Path) -> None:
    folder = repository / FOLDER
    assert "SUCCESS" in tool("amtool", "check-config", "alertmanager.yml", folder=folder)
    for labels, receiver in {
        ("alertname=ForetellEpisodeOpen", "site=mill", "device=press-1"): "operators",
        ("alertname=ForetellSiteIncident", "site=mill"): "operators",
        ("alertname=ForetellSensorUnfit", "stream=press-1/oil"): "instrumentation",
        ("alertname=ForetellStreamSilent", "stream=press-1/oil"): "instrumentation",
        ("alertname=ForetellDown", "instance=box"): "administrators",
        ("alertname=ForetellDiskFilling", "instance=box"): "administrators",
    }.items():
        routed = tool("amtool", "config", "routes", "test", "--config.file=alertmanager.yml", *labels, folder=folder)
        assert routed.strip() == receiver, labels


def test_every_alert_is_tested_and_names_only_catalogued_metrics(repository: Path) -> None:
    from pipeline.sinks.catalogue import CATALOGUE

    rules = (repository / FOLDER / "foretell.rules.yml").read_text("utf-8")
    tests = "".join(file.read_text("utf-8") for file in (repository / FOLDER).glob("*.test.yml"))
    alerts = re.findall(r"- alert: (\w+)", rules)
    assert len(alerts) > 8
    assert [alert for alert in alerts if f"alertname: {alert}\n" not in tests] == []
    named = set(re.findall(r"\bforetell_[a-z0-9_]+", rules))
    assert named <= {spec.full_name for spec in CATALOGUE}
