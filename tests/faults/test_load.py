"""How much goes through, and whether anything grows: 5,000 messages a second, fine-tunes beside it, and a soak.

Figures of a quiet machine; the short form sends less, and holds to what is lost, not to times.
"""

import os
import re
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fault_box import PATIENT_BROKER, Box, Ear, audit, expected_times, wait_until
from fault_load import Load, Plan

pytestmark = pytest.mark.broker
COMMIT_P99_S, ALERT_P99_S = 0.05, 0.4


def quantile(box: Box, name: str, share: float) -> float:
    """Return the upper bound of a histogram's bucket that holds a quantile."""
    text = box.get("/metrics")[1]
    rows = re.findall(rf'^foretell_{name}_bucket{{le="([^"]+)"}} (\S+)', text, re.MULTILINE)
    bounds = [(float(bound), float(n)) for bound, n in rows]
    return next(bound for bound, n in bounds if n >= share * bounds[-1][1])


def delays_s(ear: Ear, load: Load) -> list[float]:
    """Return how long after a fault's first reading its alert was heard, for those told at once."""
    found = []
    for heard_s, alert in ear.alerts():
        if alert["event"] != "open":
            continue
        for k in range(3):  # the reading that told may be any of the fault's three
            at_s = round(alert_at_s(alert) - k * load.plan.step_s, 3)
            sent_s = load.onsets.get((alert["stream"], at_s))
            if sent_s is not None:
                found.append(heard_s - sent_s - k * load.plan.step_s)
                break
    return found


def alert_at_s(alert: dict[str, Any]) -> float:
    """Return the event time of the reading that opened an episode, Unix seconds."""
    return round(datetime.fromisoformat(alert["opened_at"]).timestamp(), 3)


def test_5000_messages_a_second(
    broker_with: Callable[[str], Any],
    box_at: Callable[..., Box],
    report: Callable[..., None],
    is_long: bool,  # noqa: FBT001 - a fixture
) -> None:
    rate, seconds = (5000.0, 60.0) if is_long else (1500.0, 6.0)
    broker = broker_with(PATIENT_BROKER)
    ear, load = Ear(broker.port), Load(broker.port, Plan(500 if is_long else 30, rate, n_quiet=220, every=150))
    box = box_at(broker.port, checkpoint_s=30.0, every=96)
    box.start()
    wait_until(lambda: box.status().get("mqtt", {}).get("subscribed"), "the daemon has subscribed")
    load.start()
    time.sleep(seconds)
    n = load.finish()
    behind_s = wait_until(lambda: box.metric('readings_total{outcome="accepted"}') >= n, "all is scored")
    wait_until(lambda: box.metric("outbox_depth") == 0, "all is published")
    commit_s = quantile(box, "journal_commit_duration_seconds", 0.99)
    wait_until(lambda: box.metric('finetune_runs_total{outcome="accepted"}') > 0, "networks are fine-tuned beside it")
    fine_tunes = box.metric('finetune_runs_total{outcome="accepted"}')
    assert box.terminate() == 0
    ear.close()
    found = audit(box.state, box.settings)
    alert_s = np.quantile(delays_s(ear, load), [0.5, 0.99]) if len(delays_s(ear, load)) else np.zeros(2)
    report(
        rate=rate,
        sent=n,
        lost=n - found.n_accepted,
        behind_s=round(behind_s, 1),
        commit_p99_s=commit_s,
        alerts=len(delays_s(ear, load)),
        alert_p50_s=round(float(alert_s[0]), 3),
        alert_p99_s=round(float(alert_s[1]), 3),
        fine_tunes=fine_tunes,
        load_average=os.getloadavg()[0],
    )
    assert found.times == expected_times(load.plan, n)
    if is_long:
        assert n >= 0.98 * rate * seconds
        assert commit_s <= COMMIT_P99_S
        assert alert_s[1] <= ALERT_P99_S


def test_soak(
    broker_with: Callable[[str], Any],
    box_at: Callable[..., Box],
    report: Callable[..., None],
) -> None:
    """``make soak``: ten minutes, or ``FORETELL_SOAK_S`` seconds, at 1,000 messages a second with fine-tunes."""
    seconds = float(os.environ.get("FORETELL_SOAK_S", "0"))
    if not seconds:
        pytest.skip("make soak runs it")
    broker = broker_with(PATIENT_BROKER)
    load = Load(broker.port, Plan(100, 1000.0))
    box = box_at(broker.port, checkpoint_s=30.0, every=96)
    box.start()
    wait_until(lambda: box.status().get("mqtt", {}).get("subscribed"), "the daemon has subscribed")
    load.start()
    rows = []  # seconds, memory, threads, file descriptors
    began_s = time.monotonic()
    while (now_s := time.monotonic() - began_s) < seconds:
        folder = Path(f"/proc/{box.process.pid}")
        n_threads = int(re.findall(r"Threads:\s+(\d+)", (folder / "status").read_text())[0])
        rows.append((now_s, box.memory_bytes(), n_threads, len(list((folder / "fd").iterdir()))))
        time.sleep(1.0)
    n = load.finish()
    wait_until(lambda: box.metric('readings_total{outcome="accepted"}') >= n, "all is scored")
    fine_tunes = box.metric('finetune_runs_total{outcome="accepted"}')
    assert box.terminate() == 0
    steady = np.array([row for row in rows if row[0] > seconds / 3])  # windows and histories are full by then
    slope = np.polyfit(steady[:, 0], steady[:, 1] / 1e6, 1)[0] * 3600
    report(
        seconds=seconds,
        readings=n,
        fine_tunes=fine_tunes,
        memory_mb=round(steady[:, 1].mean() / 1e6),
        slope_mb_per_hour=round(float(slope), 1),
        threads=f"{steady[:, 2].min():.0f} to {steady[:, 2].max():.0f}",
        descriptors=f"{steady[:, 3].min():.0f} to {steady[:, 3].max():.0f}",
        load_average=os.getloadavg()[0],
    )
    n_half = len(steady) // 2
    for column in (2, 3):
        assert np.median(steady[n_half:, column]) <= np.median(steady[:n_half, column])
    assert fine_tunes > 0
