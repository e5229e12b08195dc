"""Alerts, incidents and verdicts as JSON: stable keys, no NaN, bounded."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pipeline.core.alert_records import Alert, Incident, Member, Neighbour, StreamState
from pipeline.core.evidence import Evidence
from pipeline.core.records import EpisodeEvent, Event, Health, HealthEvent
from pipeline.sinks import alerts as module
from pipeline.sinks.alerts import alert, alert_json, incident, incident_json, iso_time, state_json, verdict

AT = 1772359200.0
EVENT = EpisodeEvent(
    event=Event.OPEN,
    stream="pump-1/temperature",
    episode="d801d35eeae09374",
    opened_s=AT,
    at_s=AT + 0.5,
    peak_score=6.25,
    peak_s=AT + 0.5,
    value=31.0,
    forecast=20.5,
    lower=19.0,
    upper=22.0,
    level=4.5,
    view="next_long",
    onset_s=AT - 60.0,
    severity="major",
    odds=41_000.0,
    views=(("next_long", 6.25), ("level", 2.0)),
    evidence=Evidence(
        np.array([AT - 60.0001, AT + 0.5]),
        np.array([1e9 + 1, 31.0]),
        np.array([np.nan, 20.5]),
        np.array([np.nan, 19.0]),
        np.array([np.nan, 22.0]),
    ),
)
NEIGHBOUR = Neighbour("pump-1/flow", 5.0, 4.5, AT, is_of_device=True)
OPENED = Alert(EVENT, "pump-1", "e7b1c50e5f1fdba6", (NEIGHBOUR,), "what happened", "In full.\n\nAll of it.")


def test_an_alert_has_these_keys_and_values() -> None:
    assert alert(OPENED, "home") == {
        "event": "open",
        "episode": "d801d35eeae09374",
        "incident": "e7b1c50e5f1fdba6",
        "stream": "pump-1/temperature",
        "device": "pump-1",
        "site": "home",
        "opened_at": "2026-03-01T10:00:00.000Z",
        "onset_at": "2026-03-01T09:59:00.000Z",
        "at": "2026-03-01T10:00:00.500Z",
        "peak_at": "2026-03-01T10:00:00.500Z",
        "severity": "major",
        "peak_score": 6.25,
        "level": 4.5,
        "odds": 41_000.0,
        "value": 31.0,
        "forecast": 20.5,
        "lower": 19.0,
        "upper": 22.0,
        "residual": 10.5,
        "unit": None,
        "view": "next_long",
        "views": [{"view": "next_long", "decades": 6.25}, {"view": "level", "decades": 2.0}],
        "summary": "what happened",
        "text": "In full.\n\nAll of it.",
        "reason": None,
        "neighbours": [
            {
                "stream": "pump-1/flow",
                "is_of_device": True,
                "at": "2026-03-01T10:00:00.000Z",
                "score": 5.0,
                "level": 4.5,
            }
        ],
        "evidence": {
            "time": [AT - 60, AT + 0.5],
            "value": [1e9 + 1, 31.0],
            "forecast": [None, 20.5],
            "lower": [None, 19.0],
            "upper": [None, 22.0],
        },
        "version": 2,
    }


def test_the_log_line_is_spared_the_readings() -> None:
    assert "evidence" not in alert(OPENED, "home", has_evidence=False)


def test_a_missing_number_is_null() -> None:
    nan = float("nan")
    event = replace(EVENT, forecast=nan, lower=nan, upper=float("inf"), odds=nan, onset_s=nan, evidence=None)
    shown = json.loads(alert_json(replace(OPENED, event=event), "home"))
    missing = ("forecast", "residual", "lower", "upper", "odds", "onset_at", "evidence")
    assert [shown[key] for key in missing] == [None] * len(missing)


def test_the_unit_is_what_the_publisher_says() -> None:
    assert json.loads(alert_json(OPENED, "home", "°C"))["unit"] == "°C"


def test_what_has_no_device_yet_has_null() -> None:
    bare = alert(Alert(EVENT), "home")
    assert (bare["device"], bare["incident"], bare["neighbours"]) == (None, None, [])


def test_a_hostile_name_stays_one_line_of_ascii() -> None:
    name = 'a"}\n\x1b[31m\u2028{'
    text = alert_json(replace(OPENED, event=replace(EVENT, stream=name), device=name), "home")
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text)["stream"] == name


def test_a_message_is_bounded() -> None:
    many = np.full(5000, -1.23456789012345e-105)
    event = replace(EVENT, stream="s" * 128, evidence=Evidence(many, many, many, many, many))
    neighbours = (replace(NEIGHBOUR, stream="n" * 128),) * 8
    text = alert_json(
        replace(OPENED, event=event, neighbours=neighbours, text="x" * 10**6, summary="y" * 10**6), "home"
    )
    assert len(text) < 20_000


def test_a_closing_says_why() -> None:
    closed = replace(OPENED, event=replace(EVENT, event=Event.CLOSE, reason="drift"))
    assert alert(closed, "home")["event"] == "close"
    assert alert(closed, "home")["reason"] == "drift"


def test_a_state_says_whether_it_need_be_minded() -> None:
    now = StreamState("pump", "open", "d801d35eeae09374", "major", AT)
    assert json.loads(state_json(now)) == {
        "state": "open",
        "is_alert": True,
        "stream": "pump",
        "episode": "d801d35eeae09374",
        "severity": "major",
        "at": "2026-03-01T10:00:00.000Z",
        "held": None,
        "acknowledged_by": None,
        "judged": None,
        "expected_until": None,
        "version": 2,
    }
    quiet = ({"state": "closed"}, {"held": "silence"}, {"judged": "false"}, {"expected_until_s": AT})
    assert [json.loads(state_json(replace(now, **each)))["is_alert"] for each in quiet] == [False] * 4
    minded = ({"state": "closing"}, {"judged": "true"}, {"acknowledged_by": "ann"})
    assert [json.loads(state_json(replace(now, **each)))["is_alert"] for each in minded] == [True] * 3  # type: ignore[arg-type]


MEMBERS = (
    Member("pump-1/flow", "aa", AT - 30, AT, 3.0, is_open=True, severity="critical"),
    Member("pump-1/power", "bb", AT - 60, AT + 5, 1.0, is_open=False, severity="major"),
)
INCIDENT = Incident(
    "e7b1c50e5f1fdba6",
    "pump-1",
    is_open=True,
    opened_s=AT,
    at_s=AT + 9,
    members=MEMBERS,
    n_sensors=10,
    device_margin=2.0,
)


def test_an_incident_has_these_keys_and_values() -> None:
    shown = incident(INCIDENT, "home")
    streams = shown.pop("streams")
    assert shown == {
        "state": "open",
        "incident": "e7b1c50e5f1fdba6",
        "device": "pump-1",
        "site": "home",
        "opened_at": "2026-03-01T10:00:00.000Z",
        "onset_at": "2026-03-01T09:59:00.000Z",
        "at": "2026-03-01T10:00:09.000Z",
        "severity": "critical",
        "margin": 2.0,
        "n_streams": 2,
        "n_open": 1,
        "n_sensors": 10,
        "first": "pump-1/power",
        "text": "2 of 10 sensors of pump-1 alerted since 2026-03-01 10:00:00 UTC; pump-1/power began first, about "
        "2026-03-01 09:59:00 UTC. The incident is open: 1 still in alert.",
        "version": 1,
    }
    assert isinstance(streams, list)
    assert streams[0] == {
        "stream": "pump-1/flow",
        "episode": "aa",
        "onset_at": "2026-03-01T09:59:30.000Z",
        "opened_at": "2026-03-01T10:00:00.000Z",
        "margin": 3.0,
        "severity": "critical",
        "is_open": True,
    }


def test_an_incident_of_many_streams_is_bounded_and_its_end_is_told() -> None:
    members = tuple(replace(MEMBERS[0], stream=f"hall/{i}" + "s" * 100) for i in range(500))
    closed = replace(INCIDENT, is_open=False, members=members, device_margin=float("nan"))
    text = incident_json(closed, "home")
    assert len(text) < 8000
    shown = json.loads(text)
    assert (shown["state"], shown["n_streams"], len(shown["streams"]), shown["margin"]) == ("closed", 500, 16, None)
    assert shown["text"].endswith("The incident is over.")


def test_a_verdict_has_these_keys_and_values() -> None:
    event = HealthEvent("pump-1/flow", Health.STUCK, raised=True, at_s=AT + 60, since_s=AT, text="It does not move.")
    assert verdict(event, "home") == {
        "event": "raise",
        "verdict": "stuck",
        "stream": "pump-1/flow",
        "site": "home",
        "since": "2026-03-01T10:00:00.000Z",
        "at": "2026-03-01T10:01:00.000Z",
        "text": "It does not move.",
        "version": 1,
    }


def test_a_time_that_no_calendar_has_is_null() -> None:
    assert iso_time(1e18) is None
    assert iso_time(float("nan")) is None
    assert iso_time(float("-inf")) is None


def test_the_bound_of_the_evidence_is_the_ring_that_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EVIDENCE", 1)
    shown = alert(OPENED, "home")["evidence"]
    assert isinstance(shown, dict)
    assert shown["value"] == [31.0]
