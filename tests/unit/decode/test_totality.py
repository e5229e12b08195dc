"""Decode is total: any bytes on any topic become readings, all finite and named within the allow-list, or a reason."""

import base64
import json
import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.core.settings import Settings
from pipeline.decode.memory import Memory
from pipeline.decode.payloads import Decoded, Ignored, Rejection, decode
from pipeline.decode.registry import PROFILES
from pipeline.decode.topics import Route
from pipeline.runtime.routes import checked_routes

ARRIVAL_S = 1_772_359_300.0
NAME = re.compile(r"[A-Za-z0-9_./-]{1,128}")
EVERYTHING = Route.parse("{rest}", "")
MAPPED = checked_routes(
    Settings.model_validate(
        {
            "mqtt": {
                "topics": [
                    {
                        "topic": "{rest}",
                        "profile": "mapping",
                        "timezone": "Europe/Berlin",
                        "mapping": {
                            "items": "a[*]",
                            "device": "id",
                            "key": "n",
                            "values": ["v", "b[0].c"],
                            "time": "t",
                        },
                    }
                ]
            },
            "alerts": {"publish": False},
        }
    )
)[0]
FORCED = [replace(MAPPED, profile=name) for name in PROFILES]
GOLDEN_FOLDER = Path(__file__).resolve().parents[2] / "golden"
GOLDEN = sorted((GOLDEN_FOLDER / "decode").glob("*/*/payload"))
TOPICS = [(each.parent / "topic").read_text("utf-8").strip() for each in GOLDEN]
PAYLOADS = [each.read_bytes() for each in GOLDEN]
#: Keys that profiles look at.
KEYS = [
    "time",
    "ts",
    "values",
    "value",
    "object",
    "data",
    "n",
    "v",
    "bn",
    "bt",
    "t",
    "event",
    "readings",
    "params",
    "a",
    "id",
]

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8) | st.datetimes().map(str),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=10,
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Take a golden payload with some bytes changed, cut off or repeated."""
    payload = draw(st.sampled_from(PAYLOADS))
    at = draw(st.integers(0, len(payload)))
    middle = draw(st.binary(max_size=4))
    return payload[:at] + middle + payload[at + draw(st.integers(0, 4)) :]


@st.composite
def regrown(draw: st.DrawFn) -> bytes:
    """Take a golden JSON payload with one value replaced by something else."""
    content = json.loads(draw(st.sampled_from([each for each in PAYLOADS if each[:1] in b"{["])))
    place = content
    for _ in range(6):
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = draw(st.sampled_from(keys))
        if isinstance(place[key], dict | list) and draw(st.booleans()):
            place = place[key]
        else:
            place[key] = draw(json_values)
            break
    return json.dumps(content).encode()


payloads = st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()) | damaged() | regrown()


@given(
    topic=st.text(max_size=20) | st.sampled_from(TOPICS), payload=payloads, route=st.sampled_from([EVERYTHING, *FORCED])
)
@settings(max_examples=500)
@example(topic="p", payload=b'{"ts": "9999-12-31T23:59:59-23:59", "value": 1}', route=EVERYTHING)
@example(topic="p", payload=b'{"ts": "0001-01-01T00:00:00", "value": 1}', route=MAPPED)
@example(topic="p", payload=b"[" * 60_000, route=EVERYTHING)
@example(topic="p", payload=bytes.fromhex("81a1021b7fffffffffffffff"), route=EVERYTHING)
def test_any_message_becomes_readings_or_a_reason(topic: str, payload: bytes, route: Route) -> None:
    memory = Memory()
    for _ in range(2):  # fresh, and with what it remembers of the first
        check(decode(topic, payload, ARRIVAL_S, [route], memory, [("content-type", "application/senml+cbor")]))


@given(messages=st.lists(st.tuples(st.sampled_from(TOPICS), damaged() | st.sampled_from(PAYLOADS)), max_size=8))
def test_any_order_of_messages_is_survived(messages: list[tuple[str, bytes]]) -> None:
    memory = Memory()
    for topic, payload in messages:
        check(decode(topic, payload, ARRIVAL_S, [EVERYTHING], memory))


@pytest.mark.parametrize("route", FORCED, ids=lambda route: route.profile)
def test_a_forced_profile_survives_topics_that_are_too_short_for_it(route: Route) -> None:
    """``make fuzz`` found one after a million messages: the first level alone of a family's topic."""
    short = {"/".join(topic.split("/")[:n]) for topic in TOPICS for n in (1, 2, 3)}
    payloads = {*PAYLOADS, b'{"value": null}', b'{"state_topic": "a", "value_template": "{{ value_json.b }}"}'}
    for topic in sorted(short):
        memory = Memory()
        for payload in sorted(payloads):
            check(decode(topic, payload, ARRIVAL_S, [route], memory))


def check(decoded: Decoded | Rejection | Ignored) -> None:
    if isinstance(decoded, Decoded):
        for name, time_s, value in decoded.readings:
            assert NAME.fullmatch(name)
            assert not {"", ".", ".."} & set(name.split("/"))
            assert math.isfinite(time_s)
            assert math.isfinite(value)


def poison() -> list[tuple[str, bytes, str]]:
    """Return the table of poison: topics and payloads, and the reason that each must be given."""
    rows = [json.loads(line) for line in (GOLDEN_FOLDER / "poison.jsonl").read_text("utf-8").splitlines()]
    return [
        (
            row["topic"] + "x" * row.get("topic_times", 0),
            base64.b64decode(row["payload_base64"]) * row.get("times", 1),
            row["reason"],
        )
        for row in rows
    ]


@pytest.mark.parametrize(("topic", "payload", "reason"), poison())
def test_poison_has_its_reason_and_the_next_message_is_read(topic: str, payload: bytes, reason: str) -> None:
    memory = Memory()
    rejected = decode(topic, payload, ARRIVAL_S, [EVERYTHING], memory)
    assert isinstance(rejected, Rejection)
    assert rejected.reason.value == reason
    after = decode("plant/p", b"20.5", ARRIVAL_S, [EVERYTHING], memory)
    assert isinstance(after, Decoded)
    assert after.readings == [("plant/p", ARRIVAL_S, 20.5)]
