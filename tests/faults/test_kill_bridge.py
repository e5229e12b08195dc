"""kill -9 of the bridge: what the broker accepted is in the log once, in order, and a session scores each once."""

import random
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as paho
import pytest
from fault_box import expected_times, wait_until
from fault_bridge import BridgeBox
from fault_load import Load, Plan
from paho.mqtt.enums import CallbackAPIVersion

from pipeline.runtime.session import Session
from pipeline.runtime.status_report import status_lines

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.broker
#: Kills itself at a chosen moment of the third segment: before it, or after it and before the acknowledgements.
_SUICIDE = """
import os, signal
from pipeline.scaleout import bridge
from pipeline.sources.mqtt import Connection
_write, _calls = bridge.write_segment, []
def write_segment(folder, logged):
    _calls.append(logged)
    if len(_calls) == 3 and {before}:
        os.kill(os.getpid(), signal.SIGKILL)
    path = _write(folder, logged)
    if len(_calls) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return path
bridge.write_segment = write_segment
"""


@pytest.fixture
def bridge_at(box_at: Callable[..., Any]) -> Callable[..., BridgeBox]:
    """Make bridges for a broker's port."""
    return lambda port, **more: box_at(port, kind=BridgeBox, **more)


def is_subscribed(box: BridgeBox) -> bool:
    return bool(box.status().get("mqtt", {}).get("subscribed"))


def test_kill_9_at_random_moments(
    patient: Any,  # noqa: ANN401 - conftest's class
    bridge_at: Callable[..., BridgeBox],
    report: Callable[..., None],
    is_long: bool,  # noqa: FBT001 - a fixture
    within: Callable[[float, float], bool],
) -> None:
    n, n_kills, longest_s = (200_000, 20, 4.0) if is_long else (16_000, 3, 2.0)
    plan = Plan(200, 4000.0)
    draw = random.Random(13)  # noqa: S311 - moments, not secrets
    box, load = bridge_at(patient.port), Load(patient.port, plan, n)
    stops_s: list[float] = []
    for i in range(n_kills):
        is_stop = i % 3 == 1
        box.start()
        if i == 0 or is_stop:
            wait_until(lambda: is_subscribed(box), "the bridge has subscribed")
        if i == 0:  # from here on the broker keeps what is sent
            load.start()
        time.sleep(draw.uniform(0.3, longest_s))
        if is_stop:
            began_s = time.monotonic()
            assert box.terminate() == 0
            stops_s.append(time.monotonic() - began_s)
        else:
            box.kill()
    box.start()
    load.join(180.0)
    wait_until(lambda: box.metric("log_position") >= n, "all is in the log")
    n_again = box.metric("redelivered_total")
    assert box.terminate() == 0

    found, session = box.logged(), Session(box.settings)
    for logged in found:
        session.process(logged.readings, float(logged.arrival[-1]))
    report(
        kills=n_kills - len(stops_s),
        stops=len(stops_s),
        slowest_stop_s=round(max(stops_s, default=0.0), 1),
        readings=n,
        logged=sum(map(len, found)),
        segments=len(found),
        accepted=session.counts["accepted"],
        known_again_after_last_kill=n_again,
    )
    assert load.n_acknowledged == n
    assert within(max(stops_s, default=0.0), 10.0)
    assert box.times() == expected_times(plan, n), "every reading is in the log, once, in order"
    assert session.counts["accepted"] == n


@pytest.mark.parametrize("is_before", [True, False])
def test_kill_9_around_the_rename_of_a_segment_counts_nothing_twice(
    patient: Any,  # noqa: ANN401 - conftest's class
    bridge_at: Callable[..., BridgeBox],
    is_before: bool,  # noqa: FBT001 - a parameter
) -> None:
    box = bridge_at(patient.port)
    box.patch = _SUICIDE.format(before=is_before)
    box.start()
    wait_until(lambda: is_subscribed(box), "the bridge has subscribed")
    sender = paho.Client(CallbackAPIVersion.VERSION2, client_id="sender")
    sender.connect("127.0.0.1", patient.port)
    sender.loop_start()
    n = 0
    while box.process.poll() is None:  # bare values, all alike: only the packet's identity tells them apart
        n += 1
        sender.publish("plant/d0/s0", b"20.5", qos=1).wait_for_publish(10.0)
        time.sleep(0.002)
    sender.disconnect()
    sender.loop_stop()
    sender._reset_sockets()  # noqa: SLF001 - else the collector warns
    assert box.wait() == -9
    n_before = box.n_logged()
    box.patch = ""
    box.start()
    wait_until(lambda: box.metric("log_position") >= n, "all is in the log")
    n_again = box.metric("redelivered_total")
    assert box.terminate() == 0
    assert box.n_logged() == n
    assert len(box.logged()) > 2
    assert n_again > 0 or is_before, "some came again"
    assert n_before < n


def test_what_the_broker_keeps_while_the_bridge_is_away_is_taken_in_order(
    patient: Any,  # noqa: ANN401 - conftest's class
    bridge_at: Callable[..., BridgeBox],
) -> None:
    plan = Plan(50, 5000.0)
    box = bridge_at(patient.port, in_flight=500)
    box.start()
    wait_until(lambda: is_subscribed(box), "the bridge has subscribed")
    assert box.terminate() == 0
    load = Load(patient.port, plan, 10_000)
    load.start()
    load.join(60.0)
    box.start()
    wait_until(lambda: box.metric("log_position") >= 10_000, "all is in the log")
    assert box.get("/readyz") == (200, "ready\n")
    assert box.metric("log_readings_total") == box.metric('messages_total{outcome="accepted"}') == 10_000
    assert box.metric("log_segments_total") == box.metric("log_commit_duration_seconds_count") >= 10
    lines = "\n".join(status_lines(box.status()))
    assert f"{box.ingest}, next position 10000" in lines
    assert "written   10000 readings in" in lines
    assert box.terminate() == 0
    assert box.times() == expected_times(plan, 10_000)


def test_of_two_bridges_with_one_client_id_the_first_ends_and_says_why(
    patient: Any,  # noqa: ANN401 - conftest's class
    bridge_at: Callable[..., BridgeBox],
) -> None:
    first, second = bridge_at(patient.port), bridge_at(patient.port)
    first.start()
    wait_until(lambda: is_subscribed(first), "the first has subscribed")
    second.start()
    wait_until(lambda: first.process.poll() is not None, "the first ended")
    assert first.wait() == 1
    assert "another client connected as 'foretell-faults-bridge'" in first.log.read_text()
    wait_until(lambda: is_subscribed(second), "the second has subscribed")
    assert second.terminate() == 0
