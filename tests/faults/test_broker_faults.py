"""Brokers that end, hang, stay away or forget us, and networks that cut: what each may cost, and no more."""

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fault_box import PATIENT_BROKER, Box, Ear, audit, expected_times, heard_alerts, wait_until
from fault_load import Load, Plan
from fault_proxy import Proxy

pytestmark = pytest.mark.broker
#: The longest pause between two attempts to connect is 10 s; the rest is for a loaded machine.
RECONNECT_S = 12.0
KEEPALIVE_S = 5
#: Saves what it has after each change; a kill costs what the last save had not.
SAVING_BROKER = PATIENT_BROKER + "autosave_on_changes true\nautosave_interval 1\n"


def is_up(box: Box) -> bool:
    """Say whether it has subscribed."""
    return bool(box.status().get("mqtt", {}).get("subscribed"))


def started(box: Box, load: Load | None = None) -> Box:
    """Start a daemon, and then the load."""
    box.start()
    wait_until(lambda: is_up(box), "the daemon has subscribed")
    if load is not None:
        load.start()
    return box


def back_after(box: Box, n_connects: int) -> float:
    """Wait until it has connected once more, and subscribed; return how long that took, seconds."""
    return wait_until(lambda: box.connects() > n_connects and is_up(box), "it is back")


def settled(box: Box, load: Load, *, n_lost: int = 0) -> int:
    """End the load; return its readings once the daemon has scored all but ``n_lost``, and published what follows."""
    n = load.finish()
    wait_until(lambda: box.metric('readings_total{outcome="accepted"}') >= n - n_lost, "all is scored")
    wait_until(lambda: box.metric("outbox_depth") == 0, "all is published")
    return n


def test_a_broker_that_ends_is_met_again_and_nothing_is_lost(
    broker_with: Callable[[str], Any],
    box_at: Callable[..., Box],
    report: Callable[..., None],
    is_long: bool,  # noqa: FBT001 - a fixture
    within: Callable[[float, float], bool],
) -> None:
    broker = broker_with(PATIENT_BROKER)
    ear, load = Ear(broker.port), Load(broker.port, Plan(40, 400.0, n_quiet=210, every=100))
    box = started(box_at(broker.port), load)
    back_s = []
    for away_s in (0.0, 2.0, 45.0, 5.0) if is_long else (0.0, 2.0):
        time.sleep(3.0)
        n_before = box.connects()
        broker.stop()
        time.sleep(away_s)
        broker.start()
        back_s.append(back_after(box, n_before))
    time.sleep(12.0 if is_long else 3.0)
    n = settled(box, load)
    assert box.terminate() == 0
    ear.close()
    found = audit(box.state, box.settings)
    report(readings=n, accepted=found.n_accepted, again=found.n_refused, slowest_back_s=round(max(back_s), 1))
    assert found.times == expected_times(load.plan, n)
    assert found.kept == found.through
    assert set(heard_alerts(ear)) == found.alerted
    assert within(max(back_s), RECONNECT_S)


def test_a_broker_that_is_killed_costs_only_what_it_had_not_saved(
    broker_with: Callable[[str], Any],
    box_at: Callable[..., Box],
    report: Callable[..., None],
    within: Callable[[float, float], bool],
) -> None:
    broker = broker_with(SAVING_BROKER)
    load = Load(broker.port, Plan(40, 400.0))
    box = started(box_at(broker.port), load)
    time.sleep(3.0)
    n_before, n_sent = box.connects(), load.n_acknowledged
    broker.send_signal(signal.SIGKILL)
    broker.start()
    back_s = back_after(box, n_before)
    n_back = load.n_acknowledged
    time.sleep(2.0)
    n = settled(box, load, n_lost=400)
    assert box.terminate() == 0
    found = audit(box.state, box.settings)
    expected = expected_times(load.plan, n)
    lost = [time_s for stream, times in expected.items() for time_s in set(times) - set(found.times[stream])]
    report(readings=n, lost_in_the_broker=len(lost), back_s=round(back_s, 1))
    window = load.plan.at_s(max(0, n_sent - 400)), load.plan.at_s(n_back + 400)
    assert all(window[0] <= time_s <= window[1] for time_s in lost), "nothing before the kill, nothing once it is back"
    assert found.kept == found.through
    assert within(back_s, RECONNECT_S)


def test_a_broker_that_hangs_is_noticed_and_nothing_is_lost(
    broker_with: Callable[[str], Any],
    box_at: Callable[..., Box],
    report: Callable[..., None],
    within: Callable[[float, float], bool],
) -> None:
    broker = broker_with(PATIENT_BROKER)
    load = Load(broker.port, Plan(40, 400.0))
    box = started(box_at(broker.port, keepalive_s=KEEPALIVE_S), load)
    time.sleep(2.0)
    broker.send_signal(signal.SIGSTOP)
    try:
        noticed_s = wait_until(lambda: not box.status()["mqtt"]["connected"], "it noticed")
        wait_until(lambda: box.get("/readyz")[0] == 503, "it says so")
        assert box.get("/livez")[0] == 200
    finally:
        broker.send_signal(signal.SIGCONT)
    back_s = wait_until(lambda: is_up(box), "it is back")
    n = settled(box, load)
    assert box.terminate() == 0
    found = audit(box.state, box.settings)
    report(noticed_s=round(noticed_s, 1), back_s=round(back_s, 1), readings=n, accepted=found.n_accepted)
    assert found.times == expected_times(load.plan, n)
    assert within(noticed_s, 2 * KEEPALIVE_S + 1)
    assert within(back_s, RECONNECT_S)


#: The worker waits in front of its n-th batch of readings while a file stall-n is in the folder.
STALLING = """
import itertools, pathlib, time
from pipeline.runtime.session import Session
folder, count, process = pathlib.Path({folder!r}), itertools.count(1), Session.process
def stalling(self, readings, now):
    flag = folder / f"stall-{{next(count)}}"
    while flag.exists():
        time.sleep(0.02)
    return process(self, readings, now)
Session.process = stalling
"""


def test_acknowledgements_do_not_reach_a_session_that_has_begun_anew(
    broker_with: Callable[[str], Any], box_at: Callable[..., Box], report: Callable[..., None]
) -> None:
    broker = broker_with(PATIENT_BROKER.replace("persistence true", "persistence false"))
    box = box_at(broker.port)
    box.patch = STALLING.format(folder=str(box.folder))
    for n in (1, 2):
        (box.folder / f"stall-{n}").touch()
    started(box)
    first = Load(broker.port, Plan(10, 1e4), n=10)
    first.start()
    first.join(30.0)
    time.sleep(0.5)  # the worker has them, and waits
    broker.stop()
    broker.start()
    wait_until(lambda: box.connects() == 2 and is_up(box), "it is back")
    second = Load(broker.port, Plan(10, 1e4, base_s=first.plan.base_s + 100), n=10)
    second.start()
    second.join(30.0)
    (box.folder / "stall-1").unlink()  # ten late acknowledgements, whose identifiers are those of the new ten
    wait_until(lambda: box.metric("stale_acks_total") == 10, "they are not sent")
    box.kill()  # while the new ten are unacknowledged
    box.patch = ""
    box.start()
    wait_until(lambda: box.metric('readings_total{outcome="accepted"}') == 20, "the new ten came again")
    assert box.terminate() == 0
    assert audit(box.state, box.settings).n_refused == 0
    report(stale_acknowledgements=10, came_again=10, lost=0)


def test_a_worker_that_stalls_costs_nothing(
    broker_with: Callable[[str], Any],
    box_at: Callable[..., Box],
    report: Callable[..., None],
    is_long: bool,  # noqa: FBT001 - a fixture
) -> None:
    stall_s = 40.0 if is_long else 8.0
    broker = broker_with(PATIENT_BROKER)
    box = box_at(broker.port, keepalive_s=KEEPALIVE_S)
    box.patch = STALLING.format(folder=str(box.folder))
    load = Load(broker.port, Plan(50, 1000.0))
    (box.folder / "stall-9").touch()
    started(box, load)
    wait_until(lambda: box.status()["inbox"]["depth"] > 100, "it stalls")
    before = box.memory_bytes()
    time.sleep(stall_s)
    grown_mb = (box.memory_bytes() - before) / 1e6
    n_connects = box.connects()
    assert box.metric("ingest_lag_seconds") > stall_s / 2, "it is told while it stalls"
    (box.folder / "stall-9").unlink()
    n = settled(box, load)
    assert box.terminate() == 0
    found = audit(box.state, box.settings)
    report(stalled_s=stall_s, readings=n, accepted=found.n_accepted, connects=n_connects, grown_mb=round(grown_mb, 1))
    assert found.times == expected_times(load.plan, n)
    assert n_connects == 1, "pings went on"
    assert grown_mb <= 20


@pytest.fixture
def proxy(patient: Any) -> Iterator[Proxy]:  # noqa: ANN401 - conftest's class
    proxy = Proxy(patient.port)
    yield proxy
    proxy.close()


def test_networks_that_reset_refuse_delay_and_swallow_cost_nothing(
    patient: Any,  # noqa: ANN401 - conftest's class
    ear: Ear,
    proxy: Proxy,
    box_at: Callable[..., Box],
    report: Callable[..., None],
    is_long: bool,  # noqa: FBT001 - a fixture
    within: Callable[[float, float], bool],
) -> None:
    load = Load(patient.port, Plan(50, 1000.0, n_quiet=210, every=100))
    box = started(box_at(proxy.port, keepalive_s=KEEPALIVE_S), load)
    for _ in range(5 if is_long else 2):
        time.sleep(2.0)
        n_before = box.connects()
        proxy.reset()
        back_after(box, n_before)
    proxy.refuse()
    time.sleep(3.0)
    proxy.listen()
    wait_until(lambda: is_up(box), "it is back after refusals")
    proxy.delay_s = 0.2
    time.sleep(5.0 if is_long else 2.0)
    proxy.delay_s = 0.0
    proxy.is_black = True
    noticed_s = wait_until(lambda: not box.status()["mqtt"]["connected"], "it noticed the silence")
    time.sleep(2.0)
    proxy.is_black = False
    wait_until(lambda: is_up(box), "it is back after the silence")
    time.sleep(1.0)
    n = settled(box, load)
    again = box.metric("redelivered_total")
    assert box.terminate() == 0
    found = audit(box.state, box.settings)
    report(readings=n, accepted=found.n_accepted, came_again=again + found.n_refused, noticed_s=round(noticed_s, 1))
    assert found.times == expected_times(load.plan, n)
    assert found.kept == found.through
    assert found.n_refused == 0, "what came again was recognised before it was scored"
    assert again > 0
    assert set(heard_alerts(ear)) == found.alerted
    assert within(noticed_s, 2 * KEEPALIVE_S + 1)
