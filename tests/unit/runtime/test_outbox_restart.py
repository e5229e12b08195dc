"""What the broker has not acknowledged is sent again at the next start, under the same id; what it has is not."""

from pathlib import Path

from pipeline.core.alert_records import Alert
from pipeline.core.records import EpisodeEvent, Event, episode_id
from pipeline.core.settings import Settings, parse_settings
from pipeline.runtime.follow_up import FollowUp
from pipeline.runtime.keeper import Keeper
from pipeline.runtime.session import Session
from pipeline.sinks.outbox import Outbox
from pipeline.sinks.outgoing import Announcer
from pipeline.store.store import Store

AT = 1_772_359_200.0
ANNOUNCER = Announcer("foretell", "home")


def alert(stream: str) -> Alert:
    numbers = (6.0, AT, 3.0, 1.0, 0.0, 2.0, 4.5, "next_reading")
    return Alert(EpisodeEvent(Event.OPEN, stream, episode_id(stream, AT), AT, AT, *numbers))


def start(settings: Settings, folder: Path) -> tuple[Store, Keeper, Outbox]:
    store, session, outbox = Store(folder, settings.store), Session(settings), Outbox(100)
    keeper = Keeper(session, FollowUp(settings), outbox, store)
    assert keeper.restore() == []
    return store, keeper, outbox


def test_unacknowledged_alerts_are_sent_again_in_order_with_their_ids(tmp_path: Path) -> None:
    settings = parse_settings("streams: {max_streams: 4}", "test")
    messages = [ANNOUNCER.alert(alert(f"pump/{name}")) for name in "abc"]
    store, keeper, outbox = start(settings, tmp_path)
    outbox.add(messages)
    keeper.commit([])
    assert outbox.take(9) == messages  # handed to the publisher, and then the power fails
    store.close()

    store, keeper, outbox = start(settings, tmp_path)
    assert outbox.take(9) == messages
    outbox.add(messages[:1])  # the journal may lead to the same alert again: it is known
    assert len(outbox) == 3
    outbox.acknowledge([messages[1].key])
    keeper.commit([])
    store.close()

    store, keeper, outbox = start(settings, tmp_path)
    assert outbox.take(9) == [messages[0], messages[2]]
    outbox.acknowledge([message.key for message in messages])
    keeper.commit([])
    store.close()
    store, _, outbox = start(settings, tmp_path)
    assert len(outbox) == 0
    store.close()


def test_what_was_never_committed_is_not_there(tmp_path: Path) -> None:
    settings = parse_settings("streams: {max_streams: 4}", "test")
    store, _, outbox = start(settings, tmp_path)
    outbox.add([ANNOUNCER.alert(alert("pump/a"))])
    store.close()
    store, _, outbox = start(settings, tmp_path)
    assert len(outbox) == 0
    store.close()
