"""Health verdicts leave the daemon: in its log, and as the series of /metrics."""

import logging

import pytest

from pipeline.core.records import Health
from pipeline.core.settings import parse_settings
from pipeline.runtime.clocks import SystemClock
from pipeline.runtime.daemon import Daemon
from pipeline.runtime.lag import Lag
from pipeline.runtime.session import Session
from pipeline.runtime.telemetry import Telemetry
from pipeline.sinks.exposition import prometheus_text
from pipeline.sources.inbox import Message

#: Port 1 refuses every connection on a machine that serves nothing there.
LIMITED = """
alerts: {publish: false}
training: {in_child: false}
mqtt: {port: 1}
health: {ranges: [{match: pump, low: 0, high: 50}]}
"""


def test_a_reading_outside_given_limits_is_logged_and_is_a_series(caplog: pytest.LogCaptureFixture) -> None:
    settings = parse_settings(LIMITED, "test.yaml")
    session = Session(settings)
    daemon = Daemon(settings, session=session, metrics_port=0)
    for k, value in enumerate([20.0, 99.0]):
        daemon.inbox.put(Message("sensors/pump", str(value).encode(), retained=False, arrival_s=1.77e9 + k))
    daemon.stop()
    with caplog.at_level(logging.INFO):
        daemon.run()
    (line,) = [each for each in caplog.records if each.message == "health"]
    told = vars(line)["fields"]["health"]
    assert (told["event"], told["verdict"], told["stream"]) == ("raise", "out_of_range", "pump")
    assert told["text"] == "reads 99, outside the limits given: 0 to 50"
    assert daemon.latest.health.tolist() == [Health.OUT_OF_RANGE]
    telemetry = Telemetry(settings, Lag(SystemClock(), daemon.inbox))
    text = prometheus_text(telemetry.snapshot(session, daemon.latest, {}, {})).decode()
    assert 'foretell_health{stream="pump",verdict="out_of_range"} 1.0' in text
