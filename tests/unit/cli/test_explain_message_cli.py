"""``foretell explain-message`` from the command line: payload from an argument, a file or stdin."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli.main import app
from pipeline.core.errors import UsageError

runner = CliRunner()


def test_a_payload_is_given_as_text_file_or_stdin(tmp_path: Path) -> None:
    (tmp_path / "payload").write_bytes(b"20.5")
    for arguments, given in (
        (["--payload", "20.5"], ""),
        (["--file", str(tmp_path / "payload")], ""),
        (["--file", "-"], "20.5"),
    ):
        done = runner.invoke(app, ["explain-message", "--topic", "hall/t", *arguments], input=given)
        assert done.exit_code == 0
        assert "  hall/t = 20.5 at " in done.stdout


def test_a_rejection_ends_with_1_and_the_remedy(tmp_path: Path) -> None:
    config = tmp_path / "edge.yaml"
    config.write_text('mqtt: {topics: [{topic: "plant/{rest}"}]}')
    done = runner.invoke(app, ["explain-message", "-t", "hall/t", "-p", "1", "-c", str(config)])
    assert done.exit_code == 1
    assert "add the topic to mqtt.topics; read are: plant/#" in done.stdout


def test_json_has_everything() -> None:
    arguments = ["-t", "hall/t", "-p", "1", "--property", "time=1772359200", "--json"]
    told = json.loads(runner.invoke(app, ["explain-message", *arguments]).stdout)
    assert told["profile"] == "bare"
    assert told["readings"][0]["time"] == "2026-03-01T10:00:00.000Z"
    assert told["readings"][0]["timed_by"] == "MQTT property"


@pytest.mark.parametrize("arguments", [[], ["-p", "1", "-f", "x"], ["-f", "absent"], ["-p", "1", "--property", "x"]])
def test_wrong_usage_is_named(arguments: list[str]) -> None:
    done = runner.invoke(app, ["explain-message", "-t", "a", *arguments])
    assert isinstance(done.exception, UsageError)
