"""Positions over partitions: one for each reading, the same when a batch is run again, ascending within a partition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.settings import Settings, parse_settings
from pipeline.scaleout.messages import decoded
from pipeline.scaleout.partitions import READINGS_OF_MESSAGE, Marks, Span, advance, spans
from pipeline.scaleout.weights import Version
from pipeline.sources.inbox import Message

COUNTS = st.lists(st.integers(0, 50), min_size=1, max_size=5)


@given(totals=COUNTS, n_most=st.integers(1, 40))
def test_every_message_has_one_position_and_they_ascend_within_a_partition(totals: list[int], n_most: int) -> None:
    ends = [1 + total for total in totals]
    marks, seen = Marks((1,) * len(ends)), dict[tuple[int, int], int]()
    while True:
        reached = advance(marks, ends, n_most, [])
        if reached == marks:
            break
        for span in spans(marks, reached, []):
            for number in range(span.start, span.end):
                assert (span.partition, number) not in seen
                seen[span.partition, number] = span.first + (number - span.start) * READINGS_OF_MESSAGE
        marks = reached
    assert marks.next == tuple(ends)
    assert len(seen) == len(set(seen.values())) == sum(totals)
    for partition in range(len(ends)):
        positions = [position for (own, _), position in sorted(seen.items()) if own == partition]
        assert positions == sorted(positions)


def test_a_batch_is_bounded_and_a_share_is_one_message_at_least() -> None:
    assert advance(Marks((1, 1)), [100, 3], 10, []).next == (6, 3)
    assert advance(Marks((1, 1)), [100, 3], 1, []).next == (2, 2)
    assert advance(Marks((1, 1)), [100, 3], None, []).next == (100, 3)


def test_what_the_server_has_lost_behind_us_takes_nobody_back() -> None:
    assert advance(Marks((10, 1)), [5, 1], None, []) == Marks((10, 1))


def test_a_batch_that_is_run_again_has_the_networks_it_had() -> None:
    known = [Version(0, "0-a"), Version(5, "5-b")]
    end = advance(Marks((1,)), [3], None, known)
    assert end.weights == "5-b"
    again = spans(Marks((1,)), Marks.from_dict(end.as_dict()), [*known, Version(6, "6-c")])
    assert [span.model for span in again] == ["5-b"]


def test_offsets_that_are_none_are_refused() -> None:
    with pytest.raises(TypeError):
        Marks.from_dict({"next": 3, "weights": ""})


def test_readings_of_a_message_follow_each_other_and_gaps_stay() -> None:
    messages = [
        (7, Message("sensors/a", b'{"x": 1, "y": 2}', retained=False, arrival_s=5.0)),
        (8, Message("sensors/a", b"{", retained=False, arrival_s=6.0)),
        (10, Message("sensors/b", b"3", retained=False, arrival_s=7.0)),
    ]
    logged = decoded(messages, Span(0, 7, 11, 1000, ""), Settings())
    assert logged.readings.value.tolist() == [1, 2, 3]
    assert logged.seq.tolist() == [1000, 1001, 1000 + 3 * READINGS_OF_MESSAGE]
    assert logged.arrival.tolist() == [5, 5, 7]


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("nats://10.0.0.1:4222", "not encrypted"),
        ("http://127.0.0.1", "nats://host:port"),
        ("nats://user:secret@127.0.0.1", "settings of their own"),
    ],
)
def test_an_address_that_would_not_do_is_refused(url: str, word: str) -> None:
    with pytest.raises(Exception, match=word):
        parse_settings(f"{{scale: {{nats: {{url: '{url}'}}}}}}", "f")
    parse_settings("{scale: {nats: {url: 'tls://nats.example:4222'}}}", "f")
