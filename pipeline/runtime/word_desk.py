"""The desk where operators are heard: words from HTTP and from the command topic reach the worker, in order.

Comes in: JSON of strangers, from any thread, and commands among messages. Goes out: what became of each word, once it
is in the journal; news that follow; and counts by outcome. Nothing said here can make the worker fail.
"""

import logging
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from pipeline.core.errors import printable
from pipeline.core.operator_words import REFUSALS, Word, WordError, parse_word
from pipeline.runtime.alert_list import alert_list, word_plain
from pipeline.runtime.follow_up import FollowUp, News
from pipeline.runtime.keeper import Keeper
from pipeline.runtime.rejection_log import PAUSE_S
from pipeline.runtime.teller import Teller
from pipeline.sinks.exposition import SampleMap
from pipeline.sources.inbox import Message

#: Words that may wait for the worker.
MAX_WAITING = 64
#: Pause between two looks whether time changes anything, seconds.
_TICK_S = 1.0

Answer = Future[dict[str, Any]]

_log = logging.getLogger(__name__)


class WordDesk:
    """Hears operators.

    Args:
        follow_up: What words change.
        keeper: Writes words down.
        teller: Tells of what follows.
        topic: Command topic; empty for none.

    Attributes:
        n_words: Words by outcome: ``accepted`` or the reason of the refusal.
        listing: What ``/alerts.json`` shows; replaced, never changed.
    """

    def __init__(self, follow_up: FollowUp, keeper: Keeper, teller: Teller, topic: str) -> None:
        self.n_words = Counter(dict.fromkeys(("accepted", *REFUSALS), 0))
        self.listing = alert_list(follow_up)
        self._follow_up = follow_up
        self._keeper = keeper
        self._teller = teller
        self._topic = topic
        self._listed_version = follow_up.version
        self._waiting: deque[tuple[bytes, str, Answer | None]] = deque()
        self._unwritten: list[tuple[Answer, dict[str, Any]]] = []
        self._ticked_s = float("-inf")
        self._logged_s: dict[str, float] = {}

    def submit(self, payload: bytes) -> Answer:
        """Leave a word that came over HTTP; any thread may. The answer comes once it is written down."""
        answer: Answer = Future()
        if len(self._waiting) >= MAX_WAITING:
            answer.set_exception(WordError("too_many", "too many words are waiting; try again"))
        else:
            self._waiting.append((payload, "http", answer))
        return answer

    def refuse(self, reason: str) -> None:
        """Count a word that was refused before it came here."""
        self.n_words[reason] += 1

    def sift(self, messages: Sequence[Message]) -> list[Message]:
        """Keep the commands among messages, and return the others."""
        if not self._topic:
            return list(messages)
        for message in messages:
            if message.topic != self._topic:
                continue
            if message.retained:  # it would be said again at every start
                self._refused(WordError("retained", "commands must not be retained"), "mqtt", message.payload)
            else:
                self._waiting.append((message.payload, "mqtt", None))
        return [message for message in messages if message.topic != self._topic]

    def listen(self, is_on: bool, now_s: float, *, is_start: bool = False) -> None:  # noqa: FBT001 - as a switch is
        """Take in whether the broker can be heard."""
        if is_start or is_on != self._follow_up.listening.is_on:
            self._keeper.note_listening(is_on, now_s, is_start=is_start)
            self._follow_up.listen(is_on, now_s, is_start=is_start)

    def lose(self, devices: Sequence[str], now_s: float) -> None:
        """Take in that devices are gone, as their publisher says."""
        if devices:
            _log.warning("devices gone", extra={"fields": {"devices": list(devices)}})
            self._keeper.note_gone(devices, now_s)
            self._teller.tell(self._follow_up.lose(devices, now_s))

    def turn(self, now_s: float, *, is_current: bool) -> None:
        """Hear what waits, and let time pass; everything heard is noted for the journal.

        Args:
            now_s: Current time, Unix seconds.
            is_current: What has arrived has been scored, so that who has not been heard is silent.
        """
        while self._waiting:
            payload, via, answer = self._waiting.popleft()
            try:
                word, news = self._follow_up.hear(parse_word(payload, via, now_s))
            except WordError as error:
                self._refused(error, via, payload)
                if answer is not None:
                    answer.set_exception(error)
                continue
            self._accepted(word, news, answer)
        if is_current and abs(now_s - self._ticked_s) >= _TICK_S:
            self._ticked_s = now_s
            if self._follow_up.is_due(now_s) or self._follow_up.is_beat_due(now_s):
                self._keeper.note_tick(now_s)
                self._teller.tell(self._follow_up.tick(now_s))
        self.list_anew()

    def list_anew(self) -> None:
        """Bring the listing up to what there is."""
        if self._follow_up.version != self._listed_version:
            self._listed_version = self._follow_up.version
            self.listing = alert_list(self._follow_up)

    def settle(self) -> None:
        """Answer those whose words are on disk now."""
        if not self._keeper.is_degraded:
            answers, self._unwritten = self._unwritten, []
            for answer, said in answers:
                answer.set_result(said)

    def metrics(self) -> dict[str, SampleMap]:
        """Return metrics by name."""
        alerts, judged = self._follow_up.n_alerts, self._follow_up.book.n_judged()
        records = self._follow_up.book.records.values()
        n_unseen = sum(each.is_open and not each.held and not each.acknowledged_by for each in records)
        return {
            "alerts_total": {(outcome,): float(n) for outcome, n in alerts.items()},
            "alerts_judged": {(word,): float(n) for word, n in judged.items()},
            "streams_silent": {(): float(self._follow_up.n_silent)},
            "alerts_held": {(): float(self._follow_up.n_held)},
            "alerts_unacknowledged": {(): float(n_unseen)},
            "commands_total": {(outcome,): float(n) for outcome, n in self.n_words.items()},
        }

    def _accepted(self, word: Word, news: News, answer: Answer | None) -> None:
        self._keeper.note_word(word)
        self.n_words["accepted"] += 1
        said = word_plain(word)
        _log.warning("operator", extra={"fields": {"said": said}})
        self._teller.tell(news)
        if answer is not None:
            self._unwritten.append((answer, {"said": said, "alerts": [each.episode for each in news.states]}))

    def _refused(self, error: WordError, via: str, payload: bytes) -> None:
        self.n_words[error.reason] += 1
        now_s = time.monotonic()
        if now_s - self._logged_s.get(error.reason, float("-inf")) < PAUSE_S:
            return
        self._logged_s[error.reason] = now_s
        start = printable(payload[:120].decode("utf-8", "backslashreplace"))
        fields = {"reason": error.reason, "why": str(error), "via": via, "payload": start}
        _log.warning("operator not understood", extra={"fields": fields})
