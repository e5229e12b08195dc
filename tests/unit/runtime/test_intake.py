"""A batch of messages becomes columns; templates are checked before anything starts."""

from typing import ClassVar

import pytest

from pipeline.core.errors import UsageError
from pipeline.core.records import Flag, Readings, Steps
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.daemon import Daemon
from pipeline.runtime.intake import checked_routes, take_in
from pipeline.runtime.session import Session
from pipeline.sources.inbox import Message

ROUTES = checked_routes(Settings())  # sensors/{rest} -> {rest}


def message(topic: str, payload: bytes, *, retained: bool = False) -> Message:
    return Message(topic, payload, retained, arrival_s=7.0)


def test_readings_keep_the_order_of_the_messages_and_share_names() -> None:
    batch = [
        message("sensors/a", b"1"),
        message("sensors/b", b'{"x": 2, "y": 3}'),
        message("sensors/a", b"4", retained=True),
    ]
    intake = take_in(batch, ROUTES)
    readings = intake.readings
    assert [readings.names[i] for i in readings.stream] == ["a", "b/x", "b/y", "a"]
    assert readings.value.tolist() == [1, 2, 3, 4]
    assert readings.time.tolist() == [7.0] * 4
    assert readings.flags.tolist() == [0, 0, 0, Flag.RETAINED]
    assert intake.outcomes == {"accepted": 3}


def test_rejections_are_counted_by_reason_with_the_last_example_of_each() -> None:
    batch = [
        message("sensors/a", b"{x"),
        message("other", b"1"),
        message("sensors/b", b"{y\x1b[31m"),
        message("sensors/c", b"1"),
    ]
    intake = take_in(batch, ROUTES)
    assert intake.outcomes == {"malformed": 2, "bad_topic": 1, "accepted": 1}
    assert {reason: sample.topic for reason, sample in intake.samples.items()} == {
        "malformed": "sensors/b",  # the last
        "bad_topic": "other",
    }
    assert intake.samples["malformed"].payload == "{y\\x1b[31m"
    assert len(intake.readings) == 1


def test_numbers_skipped_inside_accepted_messages_are_counted() -> None:
    intake = take_in([message("sensors/a", b'{"x": 1, "y": NaN, "no\\nname": 2}')], ROUTES)
    assert intake.skipped == {"not_finite": 1, "bad_key": 1}


def test_no_messages_give_no_readings() -> None:
    assert len(take_in([], ROUTES).readings) == 0


@pytest.mark.parametrize("topic", ["{rest}", "foretell/{rest}", "foretell/home/alert/{stream}", "{a}/{b}/state/{c}"])
def test_a_topic_that_matches_our_own_alerts_is_refused(topic: str) -> None:
    text = f'mqtt: {{topics: [{{topic: "{topic}", stream: s}}]}}'
    with pytest.raises(UsageError, match="matches our own alerts"):
        checked_routes(parse_settings(text, "test.yaml"))
    assert checked_routes(parse_settings(f"{text}\nalerts: {{publish: false}}", "test.yaml"))


def test_a_wrong_template_names_its_place_and_the_remedy() -> None:
    text = 'mqtt: {topics: [{topic: "a/{x}", stream: "{x}"}, {topic: "a/#", stream: s}]}'
    with pytest.raises(UsageError, match=r"mqtt\.topics\[1\] 'a/#' -> 's': holds a wildcard; write"):
        checked_routes(parse_settings(text, "test.yaml"))


SENML = (
    b'[{"bn": "tank/", "bt": 1772359200, "n": "top", "v": 23.1}, '
    b'{"n": "top", "v": 23.4, "t": 60}, {"n": "low", "v": 9}]'
)
GATEWAY = (
    b'{"Pump A": [{"ts": 1772359200000, "values": {"rpm": 1480}}, {"ts": 1772359260000, "values": {"rpm": 1483}}]}'
)
CHIRPSTACK = (
    b'{"deviceInfo": {"devEui": "d896"}, "time": "2026-03-01T10:00:00Z", "object": {"data": '
    b'[{"time": "2026-03-01T09:59:00Z", "air": 21.2}, {"time": "2026-03-01T09:58:00Z", "air": 21.6}]}}'
)


def test_payloads_of_many_values_reach_the_engine_as_one_batch() -> None:
    class Counting(Session):
        """Counts the batches that it is given."""

        batches: ClassVar[list[int]] = []

        def process(self, readings: Readings, now: float) -> Steps:
            self.batches.append(len(readings))
            return super().process(readings, now)

    settings = Settings.model_validate({"mqtt": {"topics": [{"topic": "{rest}"}]}, "alerts": {"publish": False}})
    session = Counting(settings)
    daemon = Daemon(settings, session=session)
    for topic, payload in (
        ("senml/tank", SENML),
        ("v1/gateway/telemetry", GATEWAY),
        ("application/66/device/d896/event/up", CHIRPSTACK),
    ):
        daemon.inbox.put(Message(topic, payload, retained=False, arrival_s=1_772_359_300.0))
    daemon._turn()  # noqa: SLF001 - one round of the worker's loop
    assert session.batches == [7]
    assert session.counts["accepted"] == 7
    view = session.view()
    assert dict(zip(view.names, view.n_readings.tolist(), strict=True)) == {
        "tank/top": 2,
        "tank/low": 1,
        "Pump_A/rpm": 2,
        "d896/air": 2,
    }
