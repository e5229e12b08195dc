"""The inbox: bounded, oldest dropped first, batches by number or time."""

import threading
import time

from pipeline.sources.inbox import Inbox, Message, Receipt

LONG_S = 30.0  # far beyond what any wait here needs


def message(text: str, payload: bytes = b"") -> Message:
    return Message(text, payload, retained=False, arrival_s=0.0)


def topics(messages: list[Message]) -> str:
    return "".join(each.topic for each in messages)


def test_messages_come_out_oldest_first_and_once() -> None:
    inbox = Inbox(10)
    for topic in "abc":
        inbox.put(message(topic))
    assert inbox.depth == 3
    assert topics(inbox.drain(2, 0, 0)) == "ab"
    assert topics(inbox.drain(2, 0, 0)) == "c"
    assert inbox.drain(2, 0, 0) == []


def test_a_full_inbox_drops_the_oldest_and_counts() -> None:
    inbox = Inbox(2)
    for topic in "abcd":
        inbox.put(message(topic))
    assert inbox.n_dropped == 2
    assert topics(inbox.drain(10, 0, 0)) == "cd"


def test_bytes_are_bounded_as_well_as_messages() -> None:
    inbox = Inbox(100, max_bytes=300)
    for topic in "abcd":
        inbox.put(message(topic, b"x" * 99))
    assert inbox.n_dropped == 1
    assert topics(inbox.drain(1, 0, 0)) == "b"
    inbox.put(message("e", b"x" * 99))
    assert inbox.n_dropped == 1, "what was drained no longer counts"


def test_a_full_batch_is_returned_without_waiting_for_more() -> None:
    inbox = Inbox(10)
    for topic in "ab":
        inbox.put(message(topic))
    started_s = time.monotonic()
    assert topics(inbox.drain(2, LONG_S, LONG_S)) == "ab"
    assert time.monotonic() - started_s < LONG_S


def test_a_waiting_worker_is_woken_by_the_first_message_and_gathers_the_rest() -> None:
    inbox = Inbox(10)
    batches: list[str] = []
    worker = threading.Thread(target=lambda: batches.append(topics(inbox.drain(3, LONG_S, LONG_S))))
    worker.start()
    for topic in "abc":
        inbox.put(message(topic))
    worker.join(LONG_S)
    assert batches == ["abc"]


def kept_by_broker(text: str) -> Message:
    return message(text)._replace(receipt=Receipt(1, 0, 1, is_again=False))


def test_what_must_be_acknowledged_is_refused_where_there_is_no_room_and_never_dropped() -> None:
    inbox = Inbox(2, max_bytes=300, max_unacknowledged=3)
    assert all(inbox.put(kept_by_broker(topic)) for topic in "abc"), "their own bound counts"
    assert not inbox.put(kept_by_broker("d"), patience_s=0.0)
    for topic in "xyz":
        assert inbox.put(message(topic))
    assert inbox.n_dropped == 2
    assert topics(inbox.drain(1, 0, 0)) == "a"
    assert inbox.put(kept_by_broker("d"), patience_s=0.0)
    assert topics(inbox.drain(10, 0, 0)) == "bczd"


def test_a_network_thread_that_waits_for_room_goes_on_when_the_worker_took_something() -> None:
    inbox = Inbox(10, max_unacknowledged=1)
    inbox.put(kept_by_broker("a"))
    put: list[bool] = []
    network = threading.Thread(target=lambda: put.append(inbox.put(kept_by_broker("b"), LONG_S)))
    network.start()
    assert topics(inbox.drain(1, 0, 0)) == "a"
    network.join(LONG_S)
    assert put == [True]
    assert topics(inbox.drain(1, 0, 0)) == "b"
