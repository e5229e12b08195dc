"""The live job: what the bridge writes is scored as it comes, alerts go out, metrics show it, SIGTERM ends it well."""

import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.request import urlopen

import paho.mqtt.client as paho
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion
from spark_contract import (
    N_ROWS,
    N_SEGMENTS,
    PATIENCE_S,
    alerts_in,
    command,
    compare,
    environment,
    missing,
    say,
    settings_for,
    write_log,
)

from pipeline.runtime.broker import free_port

pytestmark = [
    pytest.mark.skipif(bool(missing()), reason=missing() or "there is a Spark"),
    pytest.mark.xdist_group("spark"),
    pytest.mark.broker,
]


class Broker(Protocol):
    """The broker that the fixture started."""

    port: int


def test_a_live_job_scores_what_comes_and_tells_it(tmp_path: Path, mosquitto: Broker) -> None:
    port = free_port()
    plain = settings_for(tmp_path).model_dump(mode="json", exclude_defaults=True)
    plain |= {"mqtt": {"port": mosquitto.port}, "alerts": {"publish": True}, "metrics": {"port": port}}
    (tmp_path / "scale.yaml").write_text(yaml.safe_dump(plain))
    write_log(tmp_path, last=N_SEGMENTS // 2)
    told: list[dict[str, str]] = []
    listener = _listener(mosquitto.port, told)
    log = (tmp_path / "job.log").open("wb")
    job = subprocess.Popen(
        command("run", "-c", tmp_path / "scale.yaml"), stdout=log, stderr=log, env=environment(), start_new_session=True
    )
    try:
        _wait_until(lambda: _positions(port) >= 0, job)
        write_log(tmp_path, first=N_SEGMENTS // 2)
        _wait_until(lambda: _is_at_the_end(port), job)
        job.send_signal(signal.SIGTERM)
        assert job.wait(PATIENCE_S) == 0
    finally:
        job.kill()
        job.wait()
        log.close()
    figures = compare(tmp_path / "live")
    expected = alerts_in(tmp_path / "live")
    _wait_until(lambda: len(told) >= len(expected), None)
    listener.disconnect()
    listener.loop_stop()
    assert {(each["stream"], each["episode"], each["event"]) for each in told} == expected
    say("live, ended by SIGTERM", f"{figures}, all of them told over MQTT")


def _listener(port: int, told: list[dict[str, str]]) -> paho.Client:
    """Collect alerts."""
    is_listening = threading.Event()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_subscribe = lambda *_: is_listening.set()
    client.on_message = lambda _client, _data, message: told.append(json.loads(message.payload))
    client.connect("127.0.0.1", port)
    client.subscribe("foretell/+/alert/#", qos=1)
    client.loop_start()
    assert is_listening.wait(20)
    return client


def _metrics(port: int) -> dict[str, float]:
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
    except OSError:  # not yet
        return {}
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}


def _positions(port: int) -> float:
    return _metrics(port).get("foretell_scale_position", -1.0)


def _is_at_the_end(port: int) -> bool:
    seen = _metrics(port)
    return seen.get('foretell_readings_total{outcome="accepted"}') == N_ROWS == seen["foretell_scale_position"] + 1


def _wait_until(is_so: Callable[[], bool], job: subprocess.Popen[bytes] | None) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not is_so():
        assert job is None or job.poll() is None
        assert time.monotonic() < until_s
        time.sleep(0.2)
