"""Poison over a real broker: each message is rejected with its named reason and acknowledged, the next one is scored.

Rows 12 to 16 of the table of faults: payloads that are too large or no numbers, topics and texts that would be code.
"""

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

pytestmark = pytest.mark.broker

LIMIT_S = 120.0
POISON = Path(__file__).resolve().parents[1] / "golden" / "poison.jsonl"
BROKER = """
allow_anonymous true
max_queued_messages 100000
log_type all
"""
MAIN = "from pipeline.cli.main import main; main()"


def poison() -> list[tuple[str, bytes, str]]:
    rows = [json.loads(line) for line in POISON.read_text("utf-8").splitlines()]
    return [
        (
            row["topic"] + "x" * row.get("topic_times", 0),
            base64.b64decode(row["payload_base64"]) * row.get("times", 1),
            row["reason"],
        )
        for row in rows
    ]


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_poison_is_rejected_by_name_and_acknowledged_and_the_next_message_is_scored(
    broker_with: Callable[[str], Any], tmp_path: Path, repository: Path, protocol: str
) -> None:
    mosquitto = broker_with(BROKER)
    config, log = tmp_path / "edge.yaml", tmp_path / "log"
    port = 32_000 + mosquitto.port % 700
    config.write_text(
        f"mqtt: {{port: {mosquitto.port}, protocol: '{protocol}', topics: [{{topic: 'plant/{{rest}}'}}]}}\n"
        f"metrics: {{port: {port}}}\n"
    )
    with log.open("wb") as file:
        daemon = subprocess.Popen(
            [sys.executable, "-c", MAIN, "run", "-c", str(config)],
            cwd=repository,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=file,
            stderr=file,
        )
    sender = paho.Client(CallbackAPIVersion.VERSION2)
    sender.connect(mosquitto.host, mosquitto.port)
    sender.loop_start()

    def status() -> Any:  # noqa: ANN401 - parsed JSON
        try:
            return json.loads(page(port, "status.json"))
        except OSError:
            assert daemon.poll() is None, log.read_text()
            return {"ready": False, "readings": {"accepted": 0}}

    def wait_until(condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not condition():
            assert time.monotonic() < deadline, f"{what}\n{log.read_text()[-3000:]}"
            time.sleep(0.05)

    try:
        wait_until(lambda: status()["ready"], "the daemon is ready")
        messages = poison()
        for i, (topic, payload, _) in enumerate(messages):
            sender.publish(topic, payload, qos=1).wait_for_publish(LIMIT_S)
            good = json.dumps({"time": 1_772_359_200 + 60 * i, "value": i})
            sender.publish("plant/p", good, qos=1).wait_for_publish(LIMIT_S)
        wait_until(lambda: status()["readings"]["accepted"] == len(messages), "all good ones are scored")
        expected = Counter(reason for _, _, reason in messages)
        if protocol == "5":  # the broker keeps from us what is larger than the packets that we take
            del expected["too_large"]
        wait_until(lambda: rejected(status()) == expected, f"{rejected(status())} are {expected}")
        n = sum(expected.values()) + len(messages)
        wait_until(
            lambda: mosquitto.log.read_text("utf-8", "replace").count("Received PUBACK from foretell ") == n, "acks"
        )
        counted = (f'outcome="accepted"}} {len(messages)}', 'outcome="bad_topic"} 8')
        wait_until(
            lambda: all(f"foretell_messages_total{{{each}" in page(port, "metrics") for each in counted), "metrics"
        )
    finally:
        sender.disconnect()
        sender.loop_stop()
        sender._reset_sockets()  # noqa: SLF001 - paho keeps its wake-up pair open until it is collected
        daemon.send_signal(signal.SIGTERM)
        code = daemon.wait(LIMIT_S)
    assert code == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]  # one JSON object per line, whatever came
    told = [line for line in lines if line["event"] == "message rejected"]
    assert {line["reason"] for line in told} == set(expected)
    assert not any("traceback" in json.dumps(line).lower() for line in lines)
    assert "\x1b" not in log.read_text()


def rejected(status: Any) -> Counter[str]:  # noqa: ANN401 - parsed JSON
    return Counter({each["reason"]: each["n"] for each in status["rejections"]})


def page(port: int, name: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}") as answer:
        body: bytes = answer.read()
    return body.decode()
