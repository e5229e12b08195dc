"""SIGTERM at random moments, fine-tunes included: ends within ten seconds, leaves no child, loses nothing."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_box import Box, audit, expected_times, wait_until
from fault_load import Load, Plan

pytestmark = pytest.mark.broker
STOP_S = 10.0


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that still live."""
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in lists for child in file.read_text().split()]


def lives(pid: int) -> bool:
    """Say whether a process is there."""
    return Path(f"/proc/{pid}").exists()


def test_sigterm_at_random_moments(
    patient: Any,  # noqa: ANN401 - conftest's class
    box_at: Callable[..., Box],
    report: Callable[..., None],
    is_long: bool,  # noqa: FBT001 - a fixture
    within: Callable[[float, float], bool],
) -> None:
    n_stops, longest_s = (50, 9.0) if is_long else (2, 6.0)
    plan = Plan(60, 1000.0)
    draw = random.Random(11)  # noqa: S311 - moments, not secrets
    box, load = box_at(patient.port, every=48), Load(patient.port, plan)
    took_s, n_trained, n_begun = [], 0, 0
    for i in range(n_stops):
        box.start()
        if i == 0:  # from here on the broker keeps what is sent
            wait_until(lambda: box.status().get("mqtt", {}).get("subscribed"), "the daemon has subscribed")
            load.start()
        time.sleep(draw.uniform(0.5, longest_s))
        trainers = children(box.process.pid)
        n_trained += len(trainers)
        has_begun = box.log.exists() and len(box.events("started")) > n_begun
        n_begun += has_begun
        began_s = time.monotonic()
        assert box.terminate() in ({0} if has_begun else {0, -signal.SIGTERM})
        took_s.append(time.monotonic() - began_s)
        assert not any(map(lives, trainers)), "the trainer is gone"
    n = load.finish()
    box.start()
    wait_until(lambda: box.metric('readings_total{outcome="accepted"}') >= n, "all is scored")
    assert box.terminate() == 0
    found = audit(box.state, box.settings)
    report(
        stops=n_stops,
        begun=n_begun,
        readings=n,
        lost=n - found.n_accepted,
        slowest_s=round(max(took_s), 1),
        trainers=n_trained,
    )
    assert found.times == expected_times(plan, n)
    assert found.kept == found.through
    assert n_trained > 0, "some were stopped while they had a trainer"
    assert within(max(took_s), STOP_S), os.getloadavg()
