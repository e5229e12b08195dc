"""The bridge's worker, with a broker that is not there: what is put into its inbox, and what its log then holds."""

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fault_box import wait_until

from pipeline.core.errors import ForetellError, UsageError
from pipeline.core.records import Flag
from pipeline.core.settings import Settings, parse_settings
from pipeline.scaleout import bridge as bridging
from pipeline.scaleout.bridge import MAX_FAILURES, Bridge
from pipeline.scaleout.folders import Folders
from pipeline.scaleout.segments import Logged, read_segment, segments, write_segment
from pipeline.sources import mqtt
from pipeline.sources.inbox import Message, Receipt
from pipeline.sources.mqtt import Connection
from pipeline.store.files import StoreFullError

pytest.importorskip("pyarrow")
#: Port 1 refuses every connection on a machine that serves nothing there.
CONFIG = (
    "{mqtt: {port: 1}, metrics: {enabled: false}, scale: {folder: %s}, bridge: {segment_s: 0.1, segment_readings: 50}}"
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that failed are tried again soon, and so end soon."""
    monkeypatch.setattr(mqtt, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(mqtt, "LONGEST_PAUSE_S", 0.1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return parse_settings(CONFIG % tmp_path, "test.yaml")


@pytest.fixture
def acknowledged(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Packet identifiers of what the bridges of a test acknowledge, in order."""
    mids: list[int] = []

    def acknowledge(_connection: Connection, receipts: Iterable[Receipt]) -> None:
        mids.extend(receipt.mid for receipt in receipts)

    monkeypatch.setattr(Connection, "acknowledge", acknowledge)
    return mids


def message(value: float, mid: int, *, is_again: bool = False, session: int = 0, retained: bool = False) -> Message:
    receipt = Receipt(1, session, mid, is_again) if mid else None
    return Message("sensors/pump", str(value).encode(), retained, 1e9 + value, receipt)


@contextmanager
def running(settings: Settings) -> Iterator[tuple[Bridge, list[BaseException]]]:
    """Run a bridge on a thread; gives it, and the errors it ended with, once it ended."""
    bridge, errors = Bridge(settings), list[BaseException]()

    def target() -> None:
        try:
            bridge.run()
        except ForetellError as error:
            errors.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    try:
        yield bridge, errors
    finally:
        bridge.stop()
        thread.join(30)
        assert not thread.is_alive()


def put(settings: Settings, messages: Iterable[Message]) -> None:
    """Give a bridge messages, and stop it."""
    with running(settings) as (bridge, _):
        for each in messages:
            assert bridge.inbox.put(each)


def logged(settings: Settings) -> list[Logged]:
    return [read_segment(segment.path) for segment in segments(Folders.of(settings).log)]


def values(settings: Settings) -> list[float]:
    return [float(value) for each in logged(settings) for value in each.readings.value]


def test_readings_are_in_the_log_with_their_arrival_and_the_next_bridge_goes_on(
    settings: Settings, acknowledged: list[int]
) -> None:
    put(
        settings,
        [
            message(1, 0),
            message(2, 7, retained=True),
            Message("sensors/a", b'{"x": 3, "y": 4}', retained=False, arrival_s=1e9),
        ],
    )
    (first,) = logged(settings)
    assert [first.readings.names[i] for i in first.readings.stream] == ["pump", "pump", "a/x", "a/y"]
    assert first.readings.value.tolist() == [1, 2, 3, 4]
    assert first.arrival.tolist() == [1e9 + 1, 1e9 + 2, 1e9, 1e9]
    assert first.readings.flags.tolist()[1] & Flag.RETAINED
    assert acknowledged == [7]
    put(settings, [message(5, 8)])
    assert [each.seq.tolist() for each in logged(settings)] == [[0, 1, 2, 3], [4]]


def test_a_segment_is_written_when_it_is_large_and_when_it_is_old(settings: Settings) -> None:
    with running(settings) as (bridge, _):
        for i in range(60):
            bridge.inbox.put(message(i, i + 1))
        wait_until(lambda: bridge.figures.n_readings == 60, "all is written without a stop")
        assert bridge.figures.lag_s >= 0
    assert values(settings) == list(range(60))


def test_what_comes_again_after_a_crash_is_acknowledged_and_no_second_reading(
    settings: Settings, acknowledged: list[int]
) -> None:
    put(settings, [message(20.5, 1), message(20.5, 2)])
    put(settings, [message(20.5, 1, is_again=True), message(20.5, 2, is_again=True), message(20.5, 3)])
    assert acknowledged == [1, 2, 1, 2, 3]
    assert len(values(settings)) == 3


def test_in_a_new_session_of_the_broker_an_equal_message_is_another(settings: Settings) -> None:
    put(settings, [message(20.5, 1)])
    put(settings, [message(20.5, 1, is_again=True, session=1)])
    assert len(values(settings)) == 2


def test_what_gives_no_reading_is_acknowledged_without_a_segment(settings: Settings, acknowledged: list[int]) -> None:
    put(settings, [Message("sensors/a", b"{", retained=False, arrival_s=1e9, receipt=Receipt(1, 0, 9, is_again=False))])
    assert acknowledged == [9]
    assert logged(settings) == []


def test_while_the_disk_is_full_nothing_is_acknowledged_and_nothing_lost(
    settings: Settings, acknowledged: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    n_refused = []

    def full(folder: Path, _logged: Logged) -> Path:
        n_refused.append(1)
        raise StoreFullError(f"{folder}: no space")

    monkeypatch.setattr(bridging, "RETRY_S", 0.05)
    with running(settings) as (bridge, _):
        monkeypatch.setattr(bridging, "write_segment", full)
        for i in range(200):
            bridge.inbox.put(message(i, i + 1))
        wait_until(lambda: len(n_refused) > 2, "it was tried again")
        for i in range(200, 300):
            bridge.inbox.put(message(i, i + 1))
        n_before = len(n_refused)
        wait_until(lambda: len(n_refused) > n_before + 2, "it was tried again")
        assert bridge.inbox.depth == 100, "no more than a segment waits for the disk"
        assert acknowledged == []
        monkeypatch.setattr(bridging, "write_segment", write_segment)
        wait_until(lambda: bridge.figures.n_readings == 300, "all is written")
    assert acknowledged == list(range(1, 301))
    assert values(settings) == list(range(300))


def test_an_error_costs_a_batch_and_many_end_the_bridge(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError

    with running(settings) as (bridge, errors):
        monkeypatch.setattr(bridging, "take_in", broken)
        for i in range(MAX_FAILURES):
            bridge.inbox.put(message(i, i + 1))
            wait_until(lambda n=i: bridge.figures.n_failures > n, "the batch failed")  # type: ignore[misc]
        wait_until(lambda: errors, "it gave up")
    assert "5 batches in a row failed, the last with ZeroDivisionError" in str(errors[0])


def test_two_bridges_on_one_log_are_refused(settings: Settings) -> None:
    with running(settings), pytest.raises(UsageError, match="another daemon uses"):
        Bridge(settings)


def test_a_damaged_last_segment_is_named(settings: Settings) -> None:
    put(settings, [message(1, 1)])
    (segment,) = segments(Folders.of(settings).log)
    segment.path.write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="not a sound segment"):
        Bridge(settings).run()


def test_a_log_whose_newest_segments_were_removed_is_not_begun_anew(settings: Settings) -> None:
    put(settings, [message(1, 1)])
    put(settings, [message(2, 2)])
    for segment in segments(Folders.of(settings).log):
        segment.path.unlink()
    with pytest.raises(UsageError, match="the newest segments are gone: there was one at 1; put them back"):
        Bridge(settings).run()
