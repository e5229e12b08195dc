"""What operators may say is read as meant; whatever else comes is refused with one of few reasons."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.operator_words import MAX_BYTES, REFUSALS, WORDS, Word, WordError, parse_word

NOW = 1_772_359_200.0
HOUR = 3600.0


def parse(**said: object) -> Word:
    return parse_word(json.dumps(said).encode(), "http", NOW)


@pytest.mark.parametrize("kind", ["ack", "false", "true", "undo"])
def test_a_word_about_an_alert(kind: str) -> None:
    word = parse(word=kind, id="61b0f2c4", by="ann", note="on my way")
    assert word == Word(kind, "61b0f2c4", "ann", "http", NOW, None, "on my way")
    assert Word.from_plain(json.loads(json.dumps(word.plain()))) == word


def test_nobody_in_particular_is_the_way_it_came() -> None:
    assert parse(word="ack", id="61b0").by == "http"


@pytest.mark.parametrize("until", ["2h", "2026-03-01T12:00:00Z", "2026-03-01T14:00:00+02:00"])
def test_until_is_a_duration_or_a_time_with_its_zone(until: str) -> None:
    assert parse(word="expected", id="61b0f2c4", until=until).until_s == NOW + 2 * HOUR
    assert parse(word="silence", match="plant/press-*/*", until=until).target == "plant/press-*/*"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"word": "reboot", "id": "61b0f2c4"}, "unknown_word"),
        ({"word": ["ack"], "id": "61b0f2c4"}, "unknown_word"),
        ({"id": "61b0f2c4"}, "unknown_word"),
        ({"word": "ack"}, "bad_id"),
        ({"word": "ack", "id": "61b"}, "bad_id"),
        ({"word": "ack", "id": "../../etc"}, "bad_id"),
        ({"word": "ack", "id": "'; DROP TABLE journal"}, "bad_id"),
        ({"word": "ack", "id": 61}, "bad_id"),
        ({"word": "ack", "id": "61b0f2c4", "match": "*"}, "bad_id"),
        ({"word": "ack", "id": "61b0f2c4", "shout": True}, "malformed"),
        ({"word": "ack", "id": "61b0f2c4", "by": "a\nb"}, "bad_text"),
        ({"word": "ack", "id": "61b0f2c4", "by": "\ud800"}, "bad_text"),
        ({"word": "ack", "id": "61b0f2c4", "note": "\u202eevil"}, "bad_text"),
        ({"word": "ack", "id": "61b0f2c4", "note": "x" * 201}, "bad_text"),
        ({"word": "ack", "id": "61b0f2c4", "note": 7}, "bad_text"),
        ({"word": "ack", "id": "61b0f2c4", "until": "2h"}, "bad_until"),
        ({"word": "expected", "id": "61b0f2c4"}, "bad_until"),
        ({"word": "expected", "id": "61b0f2c4", "until": "2026-03-01T12:00:00"}, "bad_until"),
        ({"word": "expected", "id": "61b0f2c4", "until": "2020-03-01T12:00:00Z"}, "bad_until"),
        ({"word": "expected", "id": "61b0f2c4", "until": "400d"}, "bad_until"),
        ({"word": "expected", "id": "61b0f2c4", "until": 1e300}, "bad_until"),
        ({"word": "silence", "match": "*", "until": "32d"}, "bad_until"),
        ({"word": "silence", "match": "a b", "until": "1h"}, "bad_match"),
        ({"word": "silence", "match": "[a-z]*", "until": "1h"}, "bad_match"),
        ({"word": "silence", "match": "*" * 300, "until": "1h"}, "bad_match"),
        ({"word": "silence", "id": "61b0f2c4", "until": "1h"}, "bad_match"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_reason(said: dict[str, object], reason: str) -> None:
    with pytest.raises(WordError) as refused:
        parse(**said)
    assert refused.value.reason == reason


@pytest.mark.parametrize("payload", [b"", b"null", b"[]", b"1", b"\xff", b"{", b"[" * 4000, b'{"word": NaN}'])
def test_what_is_no_object_is_refused(payload: bytes) -> None:
    with pytest.raises(WordError) as refused:
        parse_word(payload, "mqtt", NOW)
    assert refused.value.reason in ("malformed", "unknown_word")


def test_a_payload_that_is_too_large_is_not_looked_at() -> None:
    with pytest.raises(WordError) as refused:
        parse_word(b" " * (MAX_BYTES + 1), "mqtt", NOW)
    assert refused.value.reason == "too_large"


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20) | st.sampled_from(WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(["word", "id", "match", "by", "note", "until"]) | st.text(max_size=5)


@given(st.dictionaries(keys, json_values, max_size=6).map(json.dumps).map(str.encode) | st.binary(max_size=200))
def test_anything_is_a_word_or_one_of_the_refusals(payload: bytes) -> None:
    reason, kind = "", ""
    try:
        kind = parse_word(payload, "mqtt", NOW).kind
    except WordError as error:
        reason = error.reason
    assert kind in WORDS or reason in REFUSALS
