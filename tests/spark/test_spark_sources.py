"""From a real broker to scores: MQTT, the bridge killed on the way, Spark; and JetStream, the job killed on the way."""

import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from fault_box import PATIENT_BROKER, expected_times, wait_until
from fault_bridge import BridgeBox
from fault_load import Load, Plan
from fault_nats import Server, nats_program, publish, wait_for
from spark_contract import IS_LONG, missing, run_scale, run_until_killed, say, settings_for

from pipeline.core.settings import Settings
from pipeline.runtime.broker import free_port
from pipeline.scaleout.jetstream import bounds
from pipeline.scaleout.outcome import read_outcome

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(bool(missing()), reason=missing() or "there is a Spark"),
    pytest.mark.skipif(not IS_LONG, reason="takes minutes; run: make test-spark"),
]
N = 200_000


def configured(folder: Path, settings: Settings) -> Path:
    path = folder / "scale.yaml"
    path.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_defaults=True)))
    return path


def scored(output: Path) -> tuple[dict[str, list[float]], int, int]:
    """Return event times by stream in the order of positions; how many rows there are, and how many were accepted."""
    files = sorted((output / "scores").glob("batch=*/*.parquet"))
    tables = [
        pq.read_table(each, columns=["stream", "seq", "timestamp", "outcome"], partitioning=None) for each in files
    ]
    seq = np.concatenate([table["seq"].to_numpy() for table in tables])
    assert len(np.unique(seq)) == len(seq), "a position is there once"
    names = np.concatenate([table["stream"].to_numpy() for table in tables])
    time_s = np.concatenate([table["timestamp"].cast("int64").to_numpy() / 1e6 for table in tables])
    times: dict[str, list[float]] = {}
    for row in np.argsort(seq).tolist():
        times.setdefault(names[row], []).append(float(time_s[row]))
    outcome = np.concatenate([table["outcome"].to_numpy() for table in tables])
    return times, len(seq), int((outcome == 0).sum())


def test_mqtt_to_the_bridge_killed_on_the_way_to_spark(
    tmp_path: Path,
    broker_with: Callable[[str], Any],
) -> None:
    broker = broker_with(PATIENT_BROKER)
    plan = Plan(500, 8000.0)
    box, load = BridgeBox(tmp_path, broker.port, free_port()), Load(broker.port, plan, N)
    try:
        box.start()
        wait_until(lambda: box.status().get("mqtt", {}).get("subscribed"), "the bridge has subscribed")
        load.start()
        wait_until(lambda: box.metric("log_position") > N / 4, "a part is in the log")
        time.sleep(random.Random(3).uniform(0.0, 0.5))  # noqa: S311 - a moment, not a secret
        box.kill()
        box.start()
        load.join(180.0)
        wait_until(lambda: box.metric("log_position") >= N, "all is in the log", 300.0)
        assert box.terminate() == 0
    finally:
        box.kill()
    settings = settings_for(tmp_path)
    run_scale("backfill", "-c", configured(tmp_path, settings))
    times, n, n_accepted = scored(tmp_path / "live")
    assert read_outcome(tmp_path / "live" / "scores" / "batch=0").newest_s < time.time()
    say("MQTT, bridge killed, Spark", f"{N:,} readings sent, {n:,} scored, {n_accepted:,} of them accepted")
    assert times == expected_times(plan, N)
    assert (n, n_accepted) == (N, N)


@pytest.fixture
def server(tmp_path: Path, repository: Path) -> Iterator[Server]:
    pytest.importorskip("nats")
    program = nats_program()
    if program is None:
        pytest.skip("nats-server is not installed; on Debian: apt-get install nats-server")
    server = Server(
        program, tmp_path, (repository / "docker" / "nats.conf").read_text("utf-8"), (free_port(), free_port())
    )
    server.start()
    yield server
    server.kill()


def test_mqtt_to_jetstream_to_spark_killed_twice(tmp_path: Path, server: Server) -> None:
    n, n_devices = N // 40, 100
    theirs = server.settings()
    bounds(theirs.scale.nats)  # makes the streams, as a job does that is started first
    publish(server, n, n_devices=n_devices)
    wait_for(theirs, n)
    scale = {"source": "nats", "nats": theirs.scale.nats.model_dump(), "batch_readings": n // 5}
    settings = settings_for(tmp_path, **scale).model_copy(update={"mqtt": theirs.mqtt})
    path = configured(tmp_path, settings)
    for batch in (1, 2):
        run_until_killed(tmp_path / "live", batch, "backfill", "-c", path)
    run_scale("backfill", "-c", path)
    times, n_scored, n_accepted = scored(tmp_path / "live")
    say(
        "MQTT, JetStream, Spark killed twice",
        f"{n:,} readings sent, {n_scored:,} scored, {n_accepted:,} of them accepted",
    )
    assert (n_scored, n_accepted) == (n, n)
    assert all(each == sorted(each) for each in times.values())
    assert len(times) == 3 * n_devices
