"""A live run on a real mosquitto, recorded beside it: replaying the recording gives the scores of the live run."""

import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.core.records import Outcome, Readings, Steps
from pipeline.core.settings import Settings
from pipeline.runtime.daemon import Daemon
from pipeline.runtime.message_recording import decoded_recording
from pipeline.runtime.record import Recorder
from pipeline.runtime.replay import replay
from pipeline.runtime.session import Session
from pipeline.sources.message_files import message_header

pytestmark = pytest.mark.broker

LIMIT_S = 300.0  # the child gives way to everybody, and starts slowly on a busy machine
START_S = 1_767_571_200
N_STEPS = 170
LATE_AT, TWICE_AT, POISON_AT = 130, 140, 150
#: Stream and event time of a reading -> what became of it, each time it came: outcome, forecast, score.
Told = dict[tuple[str, float], list[tuple[int, float, float]]]


class Noting(Session):
    """A session that keeps what became of every reading."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.noted: Told = {}
        self.n = 0

    def process(self, readings: Readings, now: float) -> Steps:
        steps = super().process(readings, now)
        note(self.noted, readings, steps)
        self.n += len(readings)
        return steps

    def wait_for(self, n: int) -> None:
        """Wait until so many readings have been processed."""
        wait_until(lambda: self.n == n, f"{n} readings are scored")


def note(told: Told, readings: Readings, steps: Steps) -> None:
    for i in range(len(readings)):
        key = (readings.names[int(readings.stream[i])], float(readings.time[i]))
        told.setdefault(key, []).append((int(steps.outcome[i]), float(steps.forecast[i]), float(steps.score[i])))


def plant(step: int) -> list[tuple[str, bytes, int]]:
    """Return what is published in a step: topic, payload, readings in it; three families, one of them multi-valued."""
    time_s = START_S + 60 * step
    wave = math.sin(step / 9)
    hall = {"temperature": round(20 + wave, 2), "humidity": 50 - 5 * wave, "last_seen": time_s * 1000, "state": "ON"}
    pump = {"ts": time_s, "bar": 2 + 0.2 * math.cos(step / 5) + (step % 7) / 50}
    tank = [{"bn": "tank/", "bt": time_s, "n": "top", "v": 30 + wave}, {"n": "top", "v": 30 + wave / 2, "t": -30}]
    sent = [
        ("zigbee2mqtt/hall", json.dumps(hall).encode(), 2),
        ("plant/pump", json.dumps(pump).encode(), 1),
        ("plant/tank", json.dumps(tank).encode(), 2),
    ]
    if step == LATE_AT:  # older than the newest by far, and one from the future
        sent += [("plant/pump", json.dumps(pump | {"ts": time_s - 400}).encode(), 1)]
        sent += [("plant/pump", json.dumps(pump | {"ts": time.time() + 9000}).encode(), 1)]
    if step == TWICE_AT:
        sent += [sent[1]]
    if step == POISON_AT:
        sent += [("plant/pump", b"\xff\x00", 0), ("plant/pump", b'{"bar": NaN}', 0), ("plant/set", b"5", 0)]
    return sent


@pytest.fixture(params=[True, False], ids=["taught in a child", "taught by the worker"])
def settings(mosquitto: Any, request: pytest.FixtureRequest) -> Settings:  # noqa: ANN401 - the fixture's class is conftest's own
    topics = [{"topic": "plant/{rest}"}, {"topic": "zigbee2mqtt/{rest}"}]
    return Settings.model_validate(
        {
            "mqtt": {"host": mosquitto.host, "port": mosquitto.port, "topics": topics},
            "metrics": {"enabled": False},
            "runtime": {"batch_s": 0.01},
            "forecast": {"hidden": 8, "ensemble": 1},
            "training": {"in_child": request.param, "steps": 2, "window": 16, "batch": 4},
            "detection": {"n_warmup": 100},
        }
    )


def test_replaying_a_recording_gives_the_scores_of_the_live_run(settings: Settings, tmp_path: Path) -> None:
    recorded = settings.model_copy(update={"mqtt": settings.mqtt.model_copy(update={"client_id": "second"})})
    lines, parquet = (tmp_path / f"live{suffix}" for suffix in (".jsonl", ".parquet"))
    recorders = [Recorder(settings, lines), Recorder(recorded, parquet)]
    session = Noting(settings)
    live_run(settings, session, recorders)

    outcomes = {Outcome(each).name for told in session.noted.values() for each, _, _ in told}
    assert outcomes == {"ACCEPTED", "LATE", "FUTURE", "DUPLICATE", "RETAINED"}
    assert sum(session.fine_tunes.values()) >= 10
    assert session.fine_tunes["late"] == 0
    for path in (lines, parquet):
        header = message_header(path)
        assert header is not None
        recording = decoded_recording(path, header)
        assert recording.bad["not_text"].n == recording.bad["not_finite"].n == 1
        again = replay([recording], settings)
        replayed: Told = {}
        note(replayed, again.readings, again.steps)
        assert again.fine_tunes == session.fine_tunes
        assert len(replayed) == len(session.noted)
        for (name, at), told in session.noted.items():
            if name != "old":  # timed by its arrival, which differs by client
                # Sums over more streams at once may differ in their last bits.
                np.testing.assert_allclose(replayed[name, at], told, rtol=0, atol=1e-6, err_msg=f"{name} {at}")
        n_scored = sum(not math.isnan(score) for told in replayed.values() for _, _, score in told)
        assert n_scored > 5 * (N_STEPS - 100) - 10


def live_run(settings: Settings, session: Noting, recorders: list[Recorder]) -> None:
    """Let a daemon score what is published, each message alone, while others record it."""
    daemon = Daemon(settings, session=session)
    threads = [threading.Thread(target=each) for each in (daemon.run, *(recorder.run for recorder in recorders))]
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect(settings.mqtt.host, settings.mqtt.port)
    client.publish("plant/old", b"7", qos=1, retain=True)
    client.loop_start()
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: session.n == 1 and all(each.is_subscribed for each in recorders), "all listen")
        n_readings, n_messages = 1, 1
        for step in range(N_STEPS):
            for topic, payload, n in plant(step):
                client.publish(topic, payload, qos=1)
                n_readings, n_messages = n_readings + n, n_messages + 1
                if step == LATE_AT:  # what comes together is put in order, by the daemon and by a replay
                    session.wait_for(n_readings)
                    wait_until(lambda: heard(recorders) == n_messages, "all is recorded")  # noqa: B023 - called here
                    came_s = time.monotonic()
                    wait_until(lambda: time.monotonic() - came_s > settings.runtime.batch_s, "they came apart")  # noqa: B023
            session.wait_for(n_readings)
            # Real sensors give a child that long; else its networks come late, which is counted.
            wait_until(lambda: not is_behind(daemon, session), "the child has taught what is due")
        wait_until(lambda: heard(recorders) == n_messages, "all is recorded")
    finally:
        daemon.stop()
        for recorder in recorders:
            recorder.stop()
        for thread in threads:
            thread.join()
        client.disconnect()
        client.loop_stop()
        client._reset_sockets()  # noqa: SLF001 - paho keeps its wake-up pair open until it is collected


def heard(recorders: list[Recorder]) -> int:
    """Return how many messages every recorder has recorded."""
    return min(each.n_messages for each in recorders)


def is_behind(daemon: Daemon, session: Session) -> bool:
    """Whether networks wait for the child; it has time until they are to be taken over."""
    tuner = daemon._teacher._tuner  # noqa: SLF001
    return session.settings.training.in_child and len(tuner.owed(session)) > 0


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {LIMIT_S} s: {what}"
        time.sleep(0.002)
