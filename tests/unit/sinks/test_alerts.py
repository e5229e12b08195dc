"""Alerts as JSON: stable keys, no NaN."""

import json
from dataclasses import replace

from pipeline.core.records import EpisodeEvent, Event
from pipeline.sinks.alerts import alert, alert_json, iso_time, state_json

OPENED = EpisodeEvent(
    event=Event.OPEN,
    stream="pump-1/temperature",
    episode="d801d35eeae09374",
    opened_s=1772359200.0,
    at_s=1772359200.5,
    peak_score=6.25,
    peak_s=1772359200.5,
    value=31.0,
    forecast=20.5,
    lower=19.0,
    upper=22.0,
    level=4.5,
    view="next reading",
)


def test_an_alert_has_these_keys_and_values() -> None:
    assert alert(OPENED, "home") == {
        "event": "open",
        "episode": "d801d35eeae09374",
        "stream": "pump-1/temperature",
        "site": "home",
        "opened_at": "2026-03-01T10:00:00.000Z",
        "at": "2026-03-01T10:00:00.500Z",
        "peak_score": 6.25,
        "value": 31.0,
        "forecast": 20.5,
        "lower": 19.0,
        "upper": 22.0,
        "residual": 10.5,
        "level": 4.5,
        "view": "next reading",
        "reason": None,
        "version": 1,
    }


def test_a_missing_number_is_null() -> None:
    event = replace(OPENED, forecast=float("nan"), lower=float("nan"), upper=float("inf"))
    shown = json.loads(alert_json(event, "home"))
    assert [shown[key] for key in ("forecast", "residual", "lower", "upper")] == [None] * 4


def test_a_closing_says_why_and_leaves_the_stream_ok() -> None:
    closed = replace(OPENED, event=Event.CLOSE, reason="drift")
    assert alert(closed, "home")["event"] == "close"
    assert alert(closed, "home")["reason"] == "drift"
    assert json.loads(state_json(closed))["state"] == "ok"
    assert json.loads(state_json(OPENED)) == {
        "state": "alert",
        "episode": "d801d35eeae09374",
        "at": "2026-03-01T10:00:00.500Z",
    }


def test_a_time_that_no_calendar_has_is_null() -> None:
    assert iso_time(1e18) is None
    assert iso_time(float("nan")) is None
    assert iso_time(float("-inf")) is None
