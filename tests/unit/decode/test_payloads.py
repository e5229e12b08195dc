"""Payloads: what becomes a reading, and which reason is given for everything else."""

import json

import pytest

from pipeline.decode.payloads import MAX_PAYLOAD_BYTES, Decoded, Reason, Rejection, Skip, decode
from pipeline.decode.profiles.common import MAX_ITEMS
from pipeline.decode.topics import Route

ROUTES = [Route.parse("plant/{rest}", "{rest}")]
ARRIVAL_S = 1_700_000_000.5
T = 1_772_359_200.0  # 2026-03-01T10:00:00Z


def readings(payload: bytes) -> list[tuple[str, float, float]]:
    decoded = decode("plant/p", payload, ARRIVAL_S, ROUTES)
    assert isinstance(decoded, Decoded), decoded
    return decoded.readings


def reason(payload: bytes) -> Reason:
    decoded = decode("plant/p", payload, ARRIVAL_S, ROUTES)
    assert isinstance(decoded, Rejection), decoded
    return decoded.reason


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"20.50", 20.5),
        (b" 20.50\r\n", 20.5),
        (b"-3", -3.0),
        (b"+3.", 3.0),
        (b".5e1", 5.0),
        (b"007", 7.0),
        (b"1E-3", 0.001),
        (b"0", 0.0),
        (b"20,5", 20.5),
    ],
)
def test_a_bare_number_is_a_reading_at_its_arrival(payload: bytes, expected: float) -> None:
    assert readings(payload) == [("p", ARRIVAL_S, expected)]


def test_each_number_of_a_flat_object_is_a_stream_and_value_keeps_the_plain_name() -> None:
    payload = b'{"value": 1, "humidity": 40.5, "unit": "C", "ok": true, "note": null}'
    assert readings(payload) == [("p", ARRIVAL_S, 1.0), ("p/humidity", ARRIVAL_S, 40.5)]


def test_the_key_goes_where_the_stream_template_says() -> None:
    routes = [Route.parse("plant/{device}", "{key}.{device}")]
    decoded = decode("plant/p", b'{"t": 1}', ARRIVAL_S, routes)
    assert isinstance(decoded, Decoded)
    assert decoded.readings == [("t.p", ARRIVAL_S, 1.0)]


def test_the_first_route_that_matches_names_the_stream() -> None:
    routes = [Route.parse("plant/p", "first"), *ROUTES]
    for topic, name in (("plant/p", "first"), ("plant/q", "q")):
        decoded = decode(topic, b"1", ARRIVAL_S, routes)
        assert isinstance(decoded, Decoded)
        assert decoded.readings == [(name, ARRIVAL_S, 1.0)]


@pytest.mark.parametrize(
    ("given_time", "expected"),
    [
        (T, T),
        (T * 1e3 + 250, T + 0.25),
        (T * 1e6, T),
        (T * 1e9, T),
        ("1772359200", T),
        ("1772359200123", T + 0.123),
        ("2026-03-01T10:00:00Z", T),
        ("2026-03-01T12:00:00.5+02:00", T + 0.5),
        (None, ARRIVAL_S),
    ],
)
@pytest.mark.parametrize("key", ["time", "timestamp", "ts", "Time"])
def test_event_time_is_read_in_any_usual_notation(key: str, given_time: float | str | None, expected: float) -> None:
    assert readings(json.dumps({key: given_time, "value": 1}).encode()) == [("p", expected, 1.0)]


@pytest.mark.parametrize(
    "given_time",
    [
        0,
        -1,
        12.5,
        1e30,
        "yesterday",
        "",
        "20260301",
        "1970-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "x" * 65,
        "\ud800",
        True,
        [1],
        {},
    ],
)
def test_a_time_that_is_no_date_rejects_the_message(given_time: object) -> None:
    assert reason(json.dumps({"ts": given_time, "value": 1}).encode()) is Reason.BAD_TIME


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (b"NaN", Reason.NOT_FINITE),
        (b"nan", Reason.NOT_FINITE),
        (b"Infinity", Reason.NOT_FINITE),
        (b"-Infinity", Reason.NOT_FINITE),
        (b"+inf", Reason.NOT_FINITE),
        (b'{"value": NaN}', Reason.NOT_FINITE),
        (b'{"value": -Infinity}', Reason.NOT_FINITE),
        (b"1e999", Reason.NOT_FINITE),
        (b'{"value": 1e999}', Reason.NOT_FINITE),
        (b"9" * 4_000, Reason.NOT_FINITE),
        (b'{"value": ' + b"9" * 5_000 + b"}", Reason.NOT_FINITE),
        (b"[" * 60_000, Reason.NESTED),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, Reason.NESTED),
        (b"[" * 100_000, Reason.TOO_LARGE),
        (b"1" * (MAX_PAYLOAD_BYTES + 1), Reason.TOO_LARGE),
        (b"1" * (MAX_PAYLOAD_BYTES - 1) + b"x", Reason.MALFORMED),
        (b'{"value": 1, "value": 2}', Reason.DUPLICATE_KEY),
        (b"true", Reason.NO_NUMBER),
        (b"null", Reason.NO_NUMBER),
        (b'"20.5"', Reason.NO_NUMBER),
        (b'{"value": true}', Reason.NO_NUMBER),
        (b'{"value": "1_0"}', Reason.NO_NUMBER),
        (b'{"ts": 1772359200}', Reason.NO_NUMBER),
        (b"{}", Reason.NO_NUMBER),
        (b"1_0", Reason.MALFORMED),
        (b"1,234", Reason.MALFORMED),  # a thousand, or one and a bit?
        (b"\xd9\xa1", Reason.MALFORMED),  # an Arabic-Indic digit, which float() would take
        (b"{'value': 1}", Reason.MALFORMED),
        (b'{"value": 1', Reason.MALFORMED),
        (b"2\x000\x00", Reason.MALFORMED),  # UTF-16 without a mark
        ("20.5".encode("utf-16"), Reason.NOT_TEXT),
        (b"\x00\xff\xfe\x80", Reason.NOT_TEXT),
        (b'{"a": "\xed\xa0\x80"}', Reason.NOT_TEXT),  # a surrogate in UTF-8
        (b"", Reason.EMPTY),
        (b" \r\n", Reason.EMPTY),
        (b'{"\\ud800": 1}', Reason.BAD_KEY),
        (b'{"": 1}', Reason.BAD_KEY),
        (b'{"a\\nb": 1}', Reason.BAD_KEY),
        (b'{"' + b"k" * 128 + b'": 1}', Reason.BAD_KEY),
        (b"[1, 2]", Reason.NESTED),
        (b'{"a":' * 12 + b"1" + b"}" * 12, Reason.NESTED),
        (b'{"a": [1], "unit": "C"}', Reason.NESTED),
        (json.dumps({f"k{i}": i for i in range(MAX_ITEMS + 1)}).encode(), Reason.TOO_MANY_KEYS),
    ],
)
def test_poison_is_rejected_with_its_own_reason(payload: bytes, expected: Reason) -> None:
    assert reason(payload) is expected


@pytest.mark.parametrize(
    "topic", ["", "other/p", "plant", "plant/a'b", "plant//x", "plant/../x", "plant/\ud800", "plant/" + "x" * 60_000]
)
def test_a_topic_that_names_no_stream_is_a_reason_too(topic: str) -> None:
    decoded = decode(topic, b"1", ARRIVAL_S, ROUTES)
    assert isinstance(decoded, Rejection)
    assert decoded.reason is Reason.BAD_TOPIC


def test_what_is_wrong_beside_a_reading_is_skipped_and_told() -> None:
    decoded = decode("plant/p", b'{"a": 1, "b": NaN, "c\\nd": 2, "e": [3]}', ARRIVAL_S, ROUTES)
    assert isinstance(decoded, Decoded)
    assert decoded.readings == [("p/a", ARRIVAL_S, 1.0)]
    assert decoded.skipped == [Skip.NOT_FINITE, Skip.BAD_KEY]


def test_objects_inside_objects_are_walked_and_names_are_brought_into_the_allow_list() -> None:
    assert readings(b'{"room temperature": 1, "a": {"b": {"c": 2}}}') == [
        ("p/room_temperature", ARRIVAL_S, 1.0),
        ("p/a/b/c", ARRIVAL_S, 2.0),
    ]


def test_as_many_keys_as_are_allowed_are_read() -> None:
    assert len(readings(json.dumps({f"k{i}": i for i in range(MAX_ITEMS)}).encode())) == MAX_ITEMS


def test_there_are_at_most_twelve_reasons() -> None:
    assert len(Reason) <= 12
