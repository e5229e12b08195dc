"""Health verdicts as messages: stable keys, a topic of their own beside the alerts."""

import json

from pipeline.core.records import Health, HealthEvent
from pipeline.sinks.alerts import verdict, verdict_json
from pipeline.sinks.outgoing import Announcer

STUCK = HealthEvent(
    "pump-1/temperature", Health.STUCK, raised=True, at_s=1772359260.5, since_s=1772359200.0, text="has not moved"
)


def test_a_verdict_has_these_keys_and_values() -> None:
    assert verdict(STUCK, "home") == {
        "event": "raise",
        "verdict": "stuck",
        "stream": "pump-1/temperature",
        "site": "home",
        "since": "2026-03-01T10:00:00.000Z",
        "at": "2026-03-01T10:01:00.500Z",
        "text": "has not moved",
        "version": 1,
    }


def test_a_verdict_that_ends_says_so() -> None:
    ended = HealthEvent("t", Health.OUT_OF_RANGE, raised=False, at_s=2.0, since_s=float("nan"), text="inside again")
    shown = json.loads(verdict_json(ended, "home"))
    assert (shown["event"], shown["verdict"], shown["since"]) == ("clear", "out_of_range", None)


def test_a_verdict_goes_to_the_health_topic_of_its_stream_and_is_not_retained() -> None:
    message = Announcer("foretell", "home").verdict(STUCK)
    assert (message.topic, message.payload) == ("foretell/home/health/pump-1/temperature", verdict_json(STUCK, "home"))
    assert not message.retain
