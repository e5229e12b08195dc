"""The book of alerts: every episode that was told or held back of late, and what operators said of it.

Comes in: alerts, and words of operators. Goes out: records of episodes, and the words that are in force. All of it
follows from alerts, words and their times in order, so that a replay of the journal writes the same book. Bounded.
This module refuses to know what is held back because of a word, and where words come from.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Self

from pipeline.core.alert_records import Alert
from pipeline.core.operator_words import Word, WordError
from pipeline.core.records import Event

#: Episodes remembered, the oldest closed ones go first; and words in force or about remembered episodes.
MAX_RECORDS, MAX_WORDS = 1000, 1000
#: Words that judge an episode; the last one counts.
_JUDGEMENTS = ("false", "true")


@dataclass(slots=True)
class Record:
    """One episode.

    Attributes:
        episode, stream, device, incident: Ids and names.
        opened_s: Event time of the opening, Unix seconds.
        at_s: Event time of the newest event, Unix seconds.
        severity: As far as it has gone.
        margin: Decades by which its largest score exceeds its alert level.
        view: What was surprising.
        summary: What happened, in one line.
        is_open: It has not closed.
        held: Why it was not told; empty once it was.
        acknowledged_by: Who has seen it; empty for nobody.
        judged: ``false``, ``true`` or empty.
        expected_until_s: Until when it is expected, Unix seconds; None for not.
    """

    episode: str
    stream: str
    device: str
    incident: str
    opened_s: float
    at_s: float
    severity: str
    margin: float
    view: str
    summary: str
    is_open: bool
    held: str = ""
    acknowledged_by: str = ""
    judged: str = ""
    expected_until_s: float | None = None


@dataclass(slots=True)
class Said:
    """A word that was taken.

    Attributes:
        word: The word; its target is resolved.
        stream: Stream that it is about; empty for a whole device, and for silences.
        device: Device that it is about; empty for silences.
        margin: Of the episode it is about, as it was when it was said, decades.
        undone: Who took it back, and when; None while it is in force.
    """

    word: Word
    stream: str = ""
    device: str = ""
    margin: float = 0.0
    undone: Word | None = None

    def is_about(self, stream: str, device: str) -> bool:
        """Say whether it is about a stream."""
        return self.stream == stream if self.stream else self.device == device

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return what ``asdict`` was given."""
        undone = Word.from_plain(plain["undone"]) if plain["undone"] else None
        return cls(**plain | {"word": Word.from_plain(plain["word"]), "undone": undone})


class AlertBook:
    """Keeps records and words.

    Attributes:
        records: Episodes by id, oldest first.
        said: Words by their keys, oldest first.
    """

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.said: dict[str, Said] = {}
        self._forgotten: Counter[str] = Counter()

    def note(self, alert: Alert) -> Record:
        """Write down an opening or a closing, and return its record."""
        event = alert.event
        record = self.records.get(event.episode)
        if record is None:
            record = Record(
                event.episode,
                event.stream,
                alert.device,
                alert.incident,
                event.opened_s,
                event.at_s,
                event.severity,
                event.peak_score - event.level,
                event.view,
                alert.summary,
                is_open=True,
            )
            self.records[event.episode] = record
            self._forget_records()
        record.is_open = event.event is Event.OPEN
        record.at_s, record.severity, record.view = event.at_s, event.severity, event.view
        record.margin, record.summary = event.peak_score - event.level, alert.summary
        return record

    def hear(self, word: Word) -> tuple[Word, list[Record]]:
        """Take a word in.

        Args:
            word: Its target may be the beginning of an id.

        Returns:
            The word with its target in full, and the records it changed.

        Raises:
            WordError: There is no such alert or word, more than one, or there are too many words in force.
        """
        if word.kind == "undo":
            return self._undo(word)
        self._forget_words(word.at_s)
        if len(self.said) >= MAX_WORDS:
            raise WordError("too_many", f"{MAX_WORDS} words are in force; undo some")
        if word.kind == "silence":
            self.said.setdefault(word.key, Said(word))
            return word, []
        word = word.of(self._resolved(word.target))
        records = [each for each in self.records.values() if word.target in (each.episode, each.incident)]
        whole = word.target not in self.records
        worst = max(records, key=lambda each: each.margin)
        self.said.setdefault(word.key, Said(word, "" if whole else worst.stream, worst.device, worst.margin))
        for record in records:
            self._judge(record)
        return word, records

    def in_force(self, kind: str) -> Iterator[Said]:
        """Yield the words of a kind that nobody took back, oldest first."""
        return (said for said in self.said.values() if said.word.kind == kind and said.undone is None)

    def words_about(self, record: Record) -> list[Said]:
        """Return what was said of an episode, oldest first, words that were taken back included."""
        return [each for each in self.said.values() if each.word.target in (record.episode, record.incident)]

    def n_judged(self) -> dict[str, int]:
        """Return how many episodes were judged false and true, those that are not remembered any more included."""
        known = Counter(record.judged for record in self.records.values())
        return {kind: known[kind] + self._forgotten[kind] for kind in _JUDGEMENTS}

    def dump(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        records = [asdict(each) for each in self.records.values()]
        return {"records": records, "said": [asdict(each) for each in self.said.values()], "n": dict(self._forgotten)}

    def load(self, kept: dict[str, Any]) -> None:
        """Take over what ``dump`` returned."""
        self.records = {each["episode"]: Record(**each) for each in kept["records"]}
        self.said = {said.word.key: said for said in map(Said.from_plain, kept["said"])}
        self._forgotten = Counter(kept["n"])

    def _undo(self, word: Word) -> tuple[Word, list[Record]]:
        found = [key for key in self.said if key.startswith(word.target)]
        if not found:
            target = self._resolved(word.target)
            about = [key for key, said in self.said.items() if said.word.target == target and said.undone is None]
            if not about:
                raise WordError("already_undone", "nothing is said of this alert that could be undone")
            found = about[-1:]
        if len(found) > 1:
            raise WordError("ambiguous", f"{len(found)} words begin so")
        said = self.said[found[0]]
        if said.undone is not None:
            raise WordError("already_undone", "it has been undone; say it again")
        said.undone = word = word.of(found[0])
        records = [each for each in self.records.values() if said.word.target in (each.episode, each.incident)]
        for record in records:
            self._judge(record)
        return word, records

    def _resolved(self, target: str) -> str:
        """Return the episode or incident that an id, or its beginning, means."""
        ids = {each.episode for each in self.records.values()} | {each.incident for each in self.records.values()}
        found = [target] if target in ids else [each for each in ids if each.startswith(target)]
        if not found:
            raise WordError("no_such_alert", "no alert or incident that is remembered has this id")
        if len(found) > 1:
            raise WordError("ambiguous", f"{len(found)} alerts and incidents have an id that begins so")
        return found[0]

    def _judge(self, record: Record) -> None:
        """Bring a record up to what is said of it."""
        words = [said.word for said in self.words_about(record) if said.undone is None]
        record.acknowledged_by = next((word.by for word in words if word.kind == "ack"), "")
        record.judged = next((word.kind for word in reversed(words) if word.kind in _JUDGEMENTS), "")
        ends = [word.until_s for word in words if word.until_s is not None]
        record.expected_until_s = max(ends, default=None)

    def _forget_records(self) -> None:
        """Make room: the oldest that is closed goes first."""
        while len(self.records) > MAX_RECORDS:
            gone = next((each for each in self.records.values() if not each.is_open), None)
            gone = gone or next(iter(self.records.values()))
            self._forgotten[gone.judged] += 1
            del self.records[gone.episode]

    def _forget_words(self, now_s: float) -> None:
        """Drop words that no record needs and that are not in force any more."""
        ids = {each.episode for each in self.records.values()} | {each.incident for each in self.records.values()}
        for key, said in list(self.said.items()):
            is_over = said.undone is not None or (said.word.until_s or 0.0) <= now_s
            if is_over and said.word.target not in ids and len(self.said) > MAX_WORDS // 2:
                del self.said[key]
