"""Brokers that end, hang, stay away or forget us, and networks that cut: what each may cost, and no more."""

import signal
import time
from collections.abc import Callable
from typing import Any

import pytest
from fault_box import PATIENT_BROKER, Box, Ear, audit, expected_times, heard_alerts, wait_until
from fault_load import Load, Plan

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
