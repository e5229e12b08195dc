"""The book of alerts as it is shown: the newest episodes with what was said of them, and what is silenced.

Goes out: plain values for ``/alerts.json``, ``foretell alerts list`` and the status page; bounded.
"""

from collections.abc import Iterator
from typing import Any

from pipeline.core.operator_words import Word
from pipeline.runtime.alert_book import Record, Said
from pipeline.runtime.follow_up import FollowUp
from pipeline.sinks.alerts import iso_time

#: Version of the keys; raised when one changes its meaning or goes away.
LIST_VERSION = 1
#: Episodes, and words about each, that are listed at most.
MAX_LISTED, MAX_SAID = 200, 20


def alert_list(follow_up: FollowUp) -> dict[str, Any]:
    """Return the document of ``/alerts.json``.

    Returns:
        ``alerts``, newest first (``episode``, ``incident``, ``stream``, ``device``, ``state``, ``opened_at``, ``at``,
        ``severity``, ``view``, ``summary``, ``held``, ``acknowledged_by``, ``judged``, ``expected_until``, ``said``);
        ``silences`` in force; ``n_alerts`` by what became of them, ``n_judged``; ``version``.
    """
    book = follow_up.book
    newest = list(reversed(book.records.values()))[:MAX_LISTED]
    return {
        "alerts": [_record(each, book.words_about(each)) for each in newest],
        "silences": [word_plain(said.word) for said in book.in_force("silence")],
        "n_alerts": dict(follow_up.n_alerts),
        "n_judged": book.n_judged(),
        "version": LIST_VERSION,
    }


def word_plain(word: Word) -> dict[str, Any]:
    """Return a word as it is shown.

    Returns:
        ``key`` (what undo takes), ``word``, ``target``, ``by``, ``via``, ``at``, ``until`` (null for none), ``note``.
    """
    return {
        "key": word.key,
        "word": word.kind,
        "target": word.target,
        "by": word.by,
        "via": word.via,
        "at": iso_time(word.at_s),
        "until": iso_time(word.until_s) if word.until_s is not None else None,
        "note": word.note,
    }


def _record(record: Record, said: list[Said]) -> dict[str, Any]:
    return {
        "episode": record.episode,
        "incident": record.incident,
        "stream": record.stream,
        "device": record.device,
        "state": "open" if record.is_open else "closed",
        "opened_at": iso_time(record.opened_s),
        "at": iso_time(record.at_s),
        "severity": record.severity,
        "view": record.view,
        "summary": record.summary,
        "held": record.held or None,
        "acknowledged_by": record.acknowledged_by or None,
        "judged": record.judged or None,
        "expected_until": iso_time(record.expected_until_s) if record.expected_until_s is not None else None,
        "said": list(_said(said[-MAX_SAID:])),
    }


def _said(words: list[Said]) -> Iterator[dict[str, Any]]:
    for said in words:
        undone = {"by": said.undone.by, "at": iso_time(said.undone.at_s)} if said.undone else None
        yield word_plain(said.word) | {"undone": undone}
