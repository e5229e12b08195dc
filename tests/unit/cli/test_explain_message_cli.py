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


def test_a_recording_is_explained_message_by_message(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    path.write_text(
        '{"foretell": "messages", "version": 1, "topics": [{"topic": "homie/{rest}"}]}\n'
        '{"arrival_s": 1772359200, "topic": "homie/a/n/t/$unit", "payload": "bar", "retained": true}\n'
        '{"arrival_s": 1772359201, "topic": "homie/a/n/t", "payload": "2.5"}\n'
        '{"arrival_s": 1772359202, "topic": "other/t", "payload": "2.5"}\n'
    )
    done = runner.invoke(app, ["explain-message", "--file", str(path)])
    assert done.exit_code == 1  # the last one
    assert "note      a/n/t: unit bar" in done.stdout
    assert "add the topic to mqtt.topics; read are: homie/#" in done.stdout
    told = runner.invoke(app, ["explain-message", "--file", str(path), "--json"]).stdout.splitlines()
    assert [json.loads(line)["outcome"] for line in told] == ["metadata", "accepted", "bad_topic"]


def test_a_message_without_a_topic_is_refused(tmp_path: Path) -> None:
    (tmp_path / "payload").write_bytes(b"20.5")
    for arguments in (["-p", "1"], ["-f", str(tmp_path / "payload")]):
        assert isinstance(runner.invoke(app, ["explain-message", *arguments]).exception, UsageError)


@pytest.mark.parametrize("arguments", [[], ["-p", "1", "-f", "x"], ["-f", "absent"], ["-p", "1", "--property", "x"]])
def test_wrong_usage_is_named(arguments: list[str]) -> None:
    done = runner.invoke(app, ["explain-message", "-t", "a", *arguments])
    assert isinstance(done.exception, UsageError)
