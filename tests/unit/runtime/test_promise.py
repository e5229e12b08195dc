"""What the budget allows is counted, so that what is raised can be held against it."""

import numpy as np
import pytest

from pipeline.core.records import Readings
from pipeline.core.settings import parse_settings
from pipeline.runtime.session import Session

STEP_S = 300.0
SETTINGS = """
streams: {window_len: 128}
forecast: {hidden: 4, ensemble: 1}
training: {window: 32, enabled: false}
detection: {n_warmup: 100, n_settled: 200, false_alarms_per_stream: 1 per day}
"""


def steady(n: int, n_streams: int) -> Readings:
    """Return ``n`` readings of each stream, one every five minutes."""
    stream = np.tile(np.arange(n_streams, dtype=np.int32), n)
    time = np.repeat(np.arange(n) * STEP_S, n_streams)
    value = np.random.default_rng(1).normal(20, 1, n * n_streams)
    return Readings([f"s{i}" for i in range(n_streams)], stream, time, value, np.zeros(n * n_streams, np.uint8))


def test_the_promise_counts_the_time_in_which_streams_may_alert() -> None:
    session = Session(parse_settings(SETTINGS, "test"))
    n_day = 288
    for rows in np.array_split(np.arange((200 + n_day) * 2), 50):
        session.process(steady(200 + n_day, 2).rows(rows), now=np.inf)
    assert session.n_promised == pytest.approx(2.0, rel=0.1)  # one per day, of two streams, for a day


def test_young_streams_promise_nothing() -> None:
    session = Session(parse_settings(SETTINGS, "test"))
    session.process(steady(150, 1), now=np.inf)
    assert session.n_promised == 0
