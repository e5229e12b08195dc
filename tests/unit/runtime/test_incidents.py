"""Incidents: one per device, whatever the number of its streams that alert; the same live and in replay."""

from collections.abc import Sequence

import numpy as np
import pytest

from pipeline.core.alert_records import Alert, Incident
from pipeline.core.records import EpisodeEvent, Event, Outcome, Readings, Steps, episode_id
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.incidents import UPDATE_S, Incidents, Told

LEVEL = 5.0
SETTINGS = parse_settings("devices: {join_s: 600, together_s: 300}", "test")


def event(
    stream: str, opened_s: float, closed_s: float | None = None, score: float = 6.0, **more: object
) -> EpisodeEvent:
    """Return an opening, or the closing when ``closed_s`` is given."""
    return EpisodeEvent(
        Event.OPEN if closed_s is None else Event.CLOSE,
        stream,
        episode_id(stream, opened_s),
        opened_s,
        opened_s if closed_s is None else closed_s,
        score,
        opened_s,
        3.0,
        1.0,
        0.0,
        2.0,
        LEVEL,
        "next_reading",
        **more,  # type: ignore[arg-type]
    )


def batch(rows: Sequence[tuple[str, float, float]], events: Sequence[EpisodeEvent] = ()) -> tuple[Readings, Steps]:
    """Return readings (stream, time, score) and their steps."""
    names = sorted({name for name, _, _ in rows})
    stream = np.array([names.index(name) for name, _, _ in rows], np.int32)
    time = np.array([time_s for _, time_s, _ in rows])
    readings = Readings(names, stream, time, np.ones(len(rows)), np.zeros(len(rows), np.uint8))
    steps = Steps.blank(len(rows))
    steps.score[:] = [score for _, _, score in rows]
    steps.level[:] = LEVEL
    steps.events = list(events)
    return readings, steps


def gather(incidents: Incidents, rows: Sequence[tuple[str, float, float]], *events: EpisodeEvent) -> Told:
    return incidents.gather(*batch(rows, events))


def only(told: Told) -> Incident:
    (incident,) = told.incidents
    return incident


def test_500_streams_of_one_device_make_one_incident() -> None:
    incidents = Incidents(SETTINGS)
    streams = [f"hall/s{i}" for i in range(500)]
    told = gather(incidents, [(s, 1000.0, 6.0) for s in streams], *(event(s, 1000.0) for s in streams))
    assert len(told.alerts) == 500
    assert len({alert.incident for alert in told.alerts}) == 1
    assert only(told).n_sensors == len(only(told).members) == 500


def test_500_streams_of_one_site_make_one_incident_per_device() -> None:
    incidents = Incidents(SETTINGS)
    streams = [f"d{i % 20}/s{i}" for i in range(500)]
    told = gather(incidents, [(s, 1000.0, 6.0) for s in streams], *(event(s, 1000.0) for s in streams))
    assert sorted(each.device for each in told.incidents) == sorted({s.partition("/")[0] for s in streams})
    assert {alert.incident for alert in told.alerts} == {each.incident for each in told.incidents}


def test_streams_that_alert_one_after_the_other_are_told_once_a_minute() -> None:
    incidents = Incidents(SETTINGS)
    n_told = 0
    for i in range(500):  # one second apart
        told = gather(incidents, [(f"hall/s{i}", 1000.0 + i, 6.0)], event(f"hall/s{i}", 1000.0 + i))
        n_told += len(told.incidents)
    assert n_told == 1 + int(499 / UPDATE_S)


def test_what_joined_is_told_later_even_when_nothing_else_happens() -> None:
    incidents = Incidents(SETTINGS)
    gather(incidents, [("hall/a", 1000.0, 6.0)], event("hall/a", 1000.0))
    assert gather(incidents, [("hall/b", 1001.0, 6.0)], event("hall/b", 1001.0)).incidents == []
    later = only(gather(incidents, [("hall/c", 1000.0 + UPDATE_S, 0.0)]))
    assert {member.stream for member in later.members} == {"hall/a", "hall/b"}
    assert gather(incidents, [("hall/c", 9000.0, 0.0)]).incidents == []


def test_it_opens_with_the_first_and_closes_with_the_last() -> None:
    incidents = Incidents(SETTINGS)
    first = only(gather(incidents, [("p/a", 1000.0, 6.0)], event("p/a", 1000.0)))
    gather(incidents, [("p/b", 1200.0, 6.0)], event("p/b", 1200.0))
    still = gather(incidents, [("p/a", 1300.0, 0.0), ("p/b", 1300.0, 0.0)], event("p/a", 1000.0, 1300.0))
    assert all(each.is_open for each in still.incidents)
    last = only(gather(incidents, [("p/b", 1400.0, 0.0)], event("p/b", 1200.0, 1400.0)))
    assert (first.is_open, last.is_open) == (True, False)
    assert first.incident == last.incident
    assert (last.opened_s, last.at_s) == (1000.0, 1400.0)


def test_what_follows_shortly_belongs_to_it_and_what_comes_late_does_not() -> None:
    incidents = Incidents(SETTINGS)
    first = only(gather(incidents, [("p/a", 1000.0, 6.0)], event("p/a", 1000.0)))
    gather(incidents, [("p/a", 1100.0, 0.0)], event("p/a", 1000.0, 1100.0))
    again = only(gather(incidents, [("p/b", 1700.0, 6.0)], event("p/b", 1700.0)))
    gather(incidents, [("p/b", 1800.0, 0.0)], event("p/b", 1700.0, 1800.0))
    other = only(gather(incidents, [("p/b", 2500.0, 6.0)], event("p/b", 2500.0)))
    assert again.incident == first.incident
    assert other.incident != first.incident
    assert [member.stream for member in other.members] == ["p/b"]


def test_a_sensor_that_fell_silent_in_an_episode_does_not_keep_its_incident_open_for_ever() -> None:
    incidents = Incidents(SETTINGS)
    silent = only(gather(incidents, [("p/a", 1000.0, 6.0)], event("p/a", 1000.0)))
    other = only(gather(incidents, [("p/b", 90_000.0, 6.0)], event("p/b", 90_000.0)))
    assert other.incident != silent.incident


def test_a_long_episode_whose_sensor_still_sends_keeps_its_incident_open() -> None:
    incidents = Incidents(SETTINGS)
    first = only(gather(incidents, [("p/a", 1000.0, 6.0)], event("p/a", 1000.0)))
    gather(incidents, [("p/a", 89_950.0, 0.0)])
    told = gather(incidents, [("p/b", 90_000.0, 6.0)], event("p/b", 90_000.0))
    assert told.alerts[0].incident == first.incident


def test_many_sensors_need_more_margin() -> None:
    incidents = Incidents(SETTINGS)
    gather(incidents, [(f"p/{i}", 900.0, 0.0) for i in range(100)])
    one = only(gather(incidents, [("p/7", 1000.0, 6.5)], event("p/7", 1000.0, score=6.5)))
    assert one.device_margin == pytest.approx(6.5 - LEVEL - 2.0)
    alone = only(gather(incidents, [("q", 1000.0, 6.5)], event("q", 1000.0, score=6.5)))
    assert alone.device_margin == pytest.approx(1.5)


def test_it_is_as_severe_as_its_worst_and_getting_worse_is_told_at_once() -> None:
    incidents = Incidents(SETTINGS)
    mild = only(gather(incidents, [("p/a", 1000.0, 6.0)], event("p/a", 1000.0, severity="minor")))
    bad = only(gather(incidents, [("p/b", 1001.0, 9.0)], event("p/b", 1001.0, severity="critical")))
    assert (mild.severity, bad.severity) == ("minor", "critical")


def test_an_alert_names_its_neighbours_in_words_too() -> None:
    incidents = Incidents(SETTINGS)
    rows = [("p/a", 1000.0, 6.0), ("p/b", 990.0, 4.0), ("p/c", 990.0, 1.0), ("p/d", 100.0, 6.0), ("p/e", 1001.0, 6.0)]
    (alert,) = gather(incidents, rows, event("p/a", 1000.0, onset_s=980.0)).alerts
    assert [each.stream for each in alert.neighbours] == ["p/b"]
    assert alert.device == "p"
    assert "Surprising at the same time on this device: p/b." in alert.text
    assert alert.summary.startswith("the reading was not as foretold")


def test_what_was_surprising_in_an_earlier_batch_is_remembered() -> None:
    incidents = Incidents(SETTINGS)
    gather(incidents, [("p/b", 990.0, 6.0)])
    (alert,) = gather(incidents, [("p/a", 1000.0, 6.0)], event("p/a", 1000.0)).alerts
    assert [each.stream for each in alert.neighbours] == ["p/b"]


def test_refused_readings_are_no_sensors_and_no_sign_of_life() -> None:
    incidents = Incidents(SETTINGS)
    readings, steps = batch([("p/a", 1000.0, 6.0), ("p/refused", 1000.0, np.nan)], [event("p/a", 1000.0)])
    steps.outcome[1] = Outcome.STREAM_LIMIT
    assert only(incidents.gather(readings, steps)).n_sensors == 1


def test_one_gathering_at_the_end_tells_the_alerts_that_many_told() -> None:
    """What replay does against what the daemon does, on random readings and episodes."""
    rng = np.random.default_rng(3)
    rows, events = [], []
    for stream in ("p/a", "p/b", "p/c", "q/a", "q/b"):
        opened_s = 0.0
        for time_s in np.cumsum(rng.uniform(20, 200, 400)).tolist():
            score = float(rng.exponential(1.5))
            rows.append((stream, time_s, score))
            if score > LEVEL and not opened_s:
                opened_s = time_s
                events.append(event(stream, opened_s, score=score))
            elif opened_s and time_s > opened_s + 700:
                events.append(event(stream, opened_s, time_s))
                opened_s = 0.0
    events.sort(key=lambda each: each.at_s)
    assert len(events) > 20
    at_once = gather(Incidents(SETTINGS), rows, *events).alerts
    incidents = Incidents(SETTINGS)
    told: list[Alert] = []
    for begin in range(0, 90_000, 100):
        inside = [row for row in rows if begin <= row[1] < begin + 100]
        if inside:
            told += gather(incidents, inside, *(e for e in events if begin <= e.at_s < begin + 100)).alerts
    assert told == list(at_once)
    assert 1 < len({alert.incident for alert in told}) < len({alert.event.episode for alert in told})


def test_devices_follow_the_settings() -> None:
    settings = Settings.model_validate({"devices": {"patterns": [{"match": "p*/*", "device": "line"}]}})
    told = gather(Incidents(settings), [("p1/a", 1.0, 6.0), ("p2/b", 1.0, 6.0)], event("p1/a", 1.0), event("p2/b", 1.0))
    assert only(told).device == "line"


def test_500_streams_of_a_site_that_move_together_are_one_notification_where_the_site_is_one_device() -> None:
    incidents = Incidents(parse_settings("{devices: {levels: 1}, alerts: {streams: false}}", "test"))
    streams = [f"plant/d{i % 20}/s{i}" for i in range(500)]
    told = [
        gather(incidents, [(s, at_s, 6.0) for s in streams], *(event(s, at_s) for s in streams[i::10]))
        for i in range(10)
        for at_s in [1000.0 + i]
    ]
    opened = [incident for each in told for incident in each.incidents]
    assert [(incident.device, incident.is_open) for incident in opened] == [("plant", True)]
    assert sum(len(each.alerts) for each in told) == 500
    assert {alert.incident for each in told for alert in each.alerts} == {opened[0].incident}
