"""kill -9 of the daemon at random moments under load: nothing is lost, nothing counts twice, the state is the same."""

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from fault_box import Box, Ear, audit, expected_times, first_commits, heard_alerts, wait_until
from fault_load import Load, Plan

pytestmark = pytest.mark.broker
RATE = 2000


def test_kill_9_at_random_moments(
    patient: Any,  # noqa: ANN401 - conftest's class
    ear: Ear,
    box_at: Callable[..., Box],
    report: Callable[..., None],
    is_long: bool,  # noqa: FBT001 - a fixture
    within: Callable[[float, float], bool],
) -> None:
    n_kills, longest_s, n_streams = (50, 14.0, 200) if is_long else (2, 5.0, 60)
    plan = Plan(n_streams, RATE, n_quiet=220, every=200)
    draw = random.Random(5)  # noqa: S311 - moments, not secrets
    box, load = box_at(patient.port), Load(patient.port, plan)
    starts_s, lived_s = [], []
    for i in range(n_kills):
        starts_s.append(time.time())
        box.start()
        if i == 0:  # from here on the broker keeps what is sent
            wait_until(lambda: box.metric("mqtt_connected") == 1, "the daemon has subscribed")
            load.start()
        lived_s.append(draw.uniform(0.5, longest_s))
        time.sleep(lived_s[-1])
        box.kill()
    starts_s.append(time.time())
    box.start()
    if not is_long:
        wait_until(lambda: load.n_acknowledged > 320 * n_streams, "there were faults")
    n = load.finish()
    wait_until(lambda: box.metric('readings_total{outcome="accepted"}') >= n, "all is scored", 900)
    wait_until(lambda: box.metric("outbox_depth") == 0, "all is published")
    assert box.terminate() == 0

    found = audit(box.state, box.settings)
    heard = heard_alerts(ear)
    firsts = list(first_commits(box.state, starts_s))
    report(
        kills=n_kills,
        readings=n,
        accepted=found.n_accepted,
        redelivered=found.n_refused,
        alerts=len(found.alerted),
        alerts_heard=len(heard),
        slowest_first_commit_s=round(max(each for each in firsts if each < 1e9), 2),
        same_state=found.kept == found.through,
    )
    assert found.times == expected_times(plan, n), "every reading changed the state, once, in order"
    assert found.n_accepted == n
    assert set(heard) == found.alerted
    assert len(found.alerted) > (100 if is_long else 10)
    assert found.kept == found.through
    assert len(list(box.state.glob("*.corrupt-*"))) == 0
    for first_s, life_s in zip(firsts, [*lived_s, 60.0], strict=True):
        assert within(first_s, 10.0) or life_s <= 10.0
