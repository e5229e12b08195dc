"""``foretell replay --alert ID``: takes a decision of the daemon again, from its own store, bit for bit.

Comes in: a state folder, and the id of an episode. Goes out: the alert as it comes out now, and whether it is the one
that was told. The daemon may go on meanwhile; nothing is written.
"""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import ForetellError, UsageError
from pipeline.core.records import Event
from pipeline.core.settings import Settings
from pipeline.runtime.follow_up import FollowUp, News
from pipeline.runtime.journal_entries import redo, unpack_batch
from pipeline.runtime.restore import take_over
from pipeline.runtime.session import Session
from pipeline.sinks.alerts import alert_digest, alert_json
from pipeline.store.pins import Pin
from pipeline.store.reading import StoreReader

_SHORTEST_ID = 4


@dataclass(frozen=True, slots=True)
class Retaken:
    """A decision that was taken again.

    Attributes:
        alert: The alert as it came out now, one line of JSON.
        is_same: It is the one that was told, to the last bit.
        n_entries: Journal entries that were replayed.
        has_snapshot: They were replayed upon a snapshot; else from the beginning.
    """

    alert: str
    is_same: bool
    n_entries: int
    has_snapshot: bool


def retake(folder: Path, wanted: str) -> Retaken:
    """Take a decision again.

    Args:
        folder: The state folder.
        wanted: Id of the episode, or its beginning.

    Raises:
        UsageError: There is no such store, or no such decision in it.
        ForetellError: What it needs is damaged, or no such alert comes out.
    """
    with closing(StoreReader(folder)) as reader:
        pin = _chosen(reader.pins(), wanted)
        try:
            return _retaken(reader, pin)
        except (ValueError, KeyError, TypeError) as error:
            raise ForetellError(f"alert {pin.name}: what it needs is not there any more: {error}") from error


def _chosen(pins: list[Pin], wanted: str) -> Pin:
    found = [pin for pin in pins if pin.name.startswith(wanted) and len(wanted) >= _SHORTEST_ID]
    if len(found) == 1:
        return found[0]
    known = ", ".join(pin.name for pin in pins[-5:]) or "none"
    problem = "is no decision that can be taken again" if not found else f"{len(found)} begin so"
    raise UsageError(f"--alert {wanted}", problem, f"the newest are: {known}")


def _retaken(reader: StoreReader, pin: Pin) -> Retaken:
    settings = Settings.model_validate_json(pin.settings)
    session, follow_up = Session(settings), FollowUp(settings)
    if pin.state:
        take_over(reader, pin.state, session, follow_up)
    news, n_entries = News(), 0
    for entry in reader.entries(pin.since, pin.until):
        n_entries += 1
        batch = unpack_batch(entry)
        if batch is None:
            redo(session, follow_up, entry)
        elif len(batch[1]):
            _, readings, now = batch
            news = follow_up.gather(readings, session.process(readings, now), now)
    for alert in news.told.alerts:
        if alert.event.event is Event.OPEN and alert.event.episode == pin.name:
            is_same = alert_digest(alert, settings.site) == pin.digest
            return Retaken(alert_json(alert, settings.site), is_same, n_entries, bool(pin.state))
    raise ForetellError(f"alert {pin.name}: {n_entries} entries were replayed, and it did not come out")
