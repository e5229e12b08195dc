"""Clocks that jump under a running daemon: timers go on, nothing alerts, impossible times are refused and counted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fault_box import audit, wait_until
from fault_load import Load, Plan

pytestmark = pytest.mark.broker


def faketime() -> Path:
    """Return the library that fakes the clock."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not found:
        pytest.skip("libfaketime is not installed; on Debian: apt-get install faketime")
    return found[0]


def test_a_clock_that_jumps_costs_no_reading_and_raises_no_alert(
    mosquitto: Any,  # noqa: ANN401 - conftest's class
    box_at: Callable[..., Any],
    report: Callable[..., None],
) -> None:
    clock = Path(mosquitto.log).with_name("clock")
    clock.write_text("+0")
    box = box_at(mosquitto.port, checkpoint_s=1.0)
    box.environment |= {
        "LD_PRELOAD": str(faketime()),
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_CACHE_DURATION": "1",
        "FAKETIME_TIMESTAMP_FILE": str(clock),
    }
    box.start()
    wait_until(lambda: box.status().get("mqtt", {}).get("subscribed"), "the daemon has subscribed")
    load = Load(mosquitto.port, Plan(20, 200.0, n_quiet=10**9))
    load.start()

    def is_scored(n: int) -> bool:
        return bool(box.metric('readings_total{outcome="accepted"}') >= n)

    for jump in ("-3600", "+86400", "+0"):
        n = load.n_acknowledged
        clock.write_text(jump)
        wait_until(lambda n=n: is_scored(n + 100), f"it goes on after {jump}")  # type: ignore[misc]
        assert box.get("/readyz")[0] == 200, jump
        assert box.metric("ingest_lag_seconds") >= 0
    clock.write_text("-1000000000")  # some thirty years back: what sensors say now is far ahead
    wait_until(lambda: box.metric('readings_total{outcome="future"}') > 0, "readings from the future are refused")
    assert box.get("/readyz")[0] == 200
    clock.write_text("+0")
    n = int(box.metric('readings_total{outcome="accepted"}'))
    wait_until(lambda: is_scored(n + 100), "it goes on")
    n_sent = load.finish()
    wait_until(lambda: box.metric("readings_total") >= n_sent, "all is dealt with")
    n_future = box.metric('readings_total{outcome="future"}')
    assert is_scored(int(n_sent - n_future))
    assert box.metric("episodes_total") == 0
    assert box.metric("checkpoint_age_seconds") < 60
    assert box.terminate() == 0
    found = audit(box.state, box.settings)
    assert found.n_accepted == n_sent - n_future
    assert found.kept == found.through
    report(readings=n_sent, from_the_future=n_future, lost=0)
