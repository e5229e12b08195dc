"""What follows from readings that were scored: alerts, incidents and states, told or held back; operators' words.

Comes in: batches with their steps, words, and the time. Goes out: ``News``, what there is to tell now. All of it
follows from batches, words and their times in order, so that a replay of the journal leaves the same behind. This
module refuses to know where news go and words come from.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from pipeline.core.alert_records import HELD, Alert, Incident, StreamState
from pipeline.core.operator_words import Word
from pipeline.core.records import Event, Health, HealthEvent, Outcome, Readings, Steps
from pipeline.core.settings import Settings
from pipeline.runtime.alert_book import AlertBook, Record
from pipeline.runtime.holds import Holds
from pipeline.runtime.incidents import Incidents, Told
from pipeline.runtime.lifecycle import Lifecycle
from pipeline.runtime.session import FleetView
from pipeline.streams.listening import Listening
from pipeline.streams.silence import Heard, Silence

#: While nothing arrives time passes in steps of so much, seconds: each is an entry of the journal.
BEAT_S = 10.0


@dataclass(slots=True)
class News:
    """What there is to tell.

    Attributes:
        alerts: Episodes that opened or closed, in order of time; what was held back until now first.
        held: Those that are held back, with the reason.
        incidents: Devices of which there is something new, one each.
        states: What streams' alerts are now, the newest last.
        verdicts: Streams that fell silent or spoke again, repeat themselves, or are known from old messages only.
    """

    alerts: list[Alert] = field(default_factory=list)
    held: list[tuple[Alert, str]] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    states: list[StreamState] = field(default_factory=list)
    verdicts: list[HealthEvent] = field(default_factory=list)

    @property
    def told(self) -> Told:
        """All of it, whether it is held back or not: what a page shows that people look at."""
        return Told([*self.alerts, *(alert for alert, _ in self.held)], self.incidents)


class FollowUp:
    """Keeps incidents, the book of alerts, and what is held back.

    Args:
        settings: All settings.

    Attributes:
        book: Episodes and what was said of them.
        n_alerts: Openings by what became of them: ``told``, or the reason why they were held back.
        version: Number of changes so far that others may see.
    """

    def __init__(self, settings: Settings) -> None:
        self.book = AlertBook()
        self.version = 0
        self.n_alerts = Counter({"told": 0, **dict.fromkeys(HELD, 0)})
        self.listening = Listening()
        self._silence = Silence(settings.health, settings.streams.max_streams)
        self._is_judging = settings.health.enabled
        self._incidents = Incidents(settings)
        self._lifecycle = Lifecycle(settings.detection)
        self._told_s: dict[str, float] = {}
        self._holds = Holds(settings.alerts, self.book, self._told_s)
        self._kept: dict[str, Alert] = {}  # by episode: open, and held back
        self._kept_incidents: dict[str, Incident] = {}  # by device

    @property
    def n_held(self) -> int:
        """Alerts that are open and held back."""
        return len(self._kept)

    def take_settings(self, settings: Settings) -> None:
        """Go on with other settings of what is held back."""
        self._holds.take_settings(settings.alerts)
        self._lifecycle.take_settings(settings.detection)

    def gather(self, readings: Readings, steps: Steps, now_s: float) -> News:
        """Take in a batch.

        Args:
            readings: Named readings.
            steps: Their steps, in the same order.
            now_s: Current time, Unix seconds.
        """
        told, news = self._incidents.gather(readings, steps), News()
        listened_s = self.listening.advance(now_s)
        if self._is_judging:
            news.verdicts = self._silence.hear(_heard(readings, steps), listened_s, now_s)
        courses = self._lifecycle.follow(readings, steps)
        self._follow_kept(readings, steps)
        self._release(now_s, news)
        for alert in told.alerts:
            self._take(alert, now_s, news)
        for stream, state, at_s in courses:
            record = self._newest(stream) if state in ("open", "closing") else None
            news.states.append(self._state(record, at_s) if record else StreamState(stream, state, at_s=at_s))
        for incident in told.incidents:
            self._take_incident(incident, news)
        self.version += bool(news.states)
        return news

    def hear(self, word: Word) -> tuple[Word, News]:
        """Take in what an operator said; return it with its target in full.

        Raises:
            WordError: There is nothing that it could be about.
        """
        news = News()
        word, records = self.book.hear(word)
        self.version += 1
        self._release(word.at_s, news)
        for record in records:
            if record is self._newest(record.stream):
                news.states.append(self._state(record, word.at_s))
        return word, news

    def lose(self, devices: Sequence[str], now_s: float) -> News:
        """Take in that devices are gone, as their publisher says: beginnings of stream names."""
        return News(verdicts=self._silence.lose(devices, now_s) if self._is_judging else [])

    def listen(self, is_on: bool, now_s: float, *, is_start: bool = False) -> None:  # noqa: FBT001 - as a switch is
        """Take in that the broker can be heard from now on, or not; ``is_start`` where we have just started."""
        self.listening.switch(is_on, now_s, is_start=is_start)

    def is_due(self, now_s: float) -> bool:
        """Say whether ``tick`` would change more than the time."""
        return self._silence.is_due(self.listening.at(now_s)) or any(
            record is None or self._holds.reason(record, now_s) != record.held
            for record in map(self.book.records.get, self._kept)
        )

    def is_beat_due(self, now_s: float) -> bool:
        """Say whether ``tick`` must be called so that time passes."""
        return len(self._silence) > 0 and self.listening.since_s(now_s) >= BEAT_S

    def tick(self, now_s: float) -> News:
        """Let time pass."""
        news = News()
        self._release(now_s, news)
        self.version += bool(news.states)
        listened_s = self.listening.advance(now_s)
        news.verdicts = self._silence.tick(listened_s, now_s)
        return news

    def overlaid(self, view: FleetView) -> FleetView:
        """Return a view with the verdicts that hold beside those of the engine."""
        mine = np.uint16(Health.SILENT | Health.DUPLICATE | Health.RETAINED)
        return replace(view, health=(view.health & ~mine) | self._silence.bits(view.names))

    @property
    def n_silent(self) -> int:
        """Streams that are silent."""
        return self._silence.n_silent

    def dump(self) -> str:
        """Return what it remembers as JSON."""
        return json.dumps(
            {
                "incidents": self._incidents.dump(),
                "book": self.book.dump(),
                "lifecycle": self._lifecycle.dump(),
                "listening": self.listening.dump(),
                "silence": self._silence.dump(),
                "n_alerts": self.n_alerts,
                "told_s": self._told_s,
                "kept": [asdict(alert) for alert in self._kept.values()],
                "kept_incidents": [asdict(incident) for incident in self._kept_incidents.values()],
            }
        )

    def load(self, text: str) -> None:
        """Take over what ``dump`` returned; nothing may be remembered yet."""
        kept: dict[str, Any] = json.loads(text)
        self._incidents.load(kept["incidents"])
        self.book.load(kept["book"])
        self._lifecycle.load(kept["lifecycle"])
        self.listening.load(kept["listening"])
        self._silence.load(kept["silence"])
        self.n_alerts.update(kept["n_alerts"])
        self._told_s.update(kept["told_s"])
        self._kept = {each["event"]["episode"]: Alert.from_plain(each) for each in kept["kept"]}
        self._kept_incidents = {each["device"]: Incident.from_plain(each) for each in kept["kept_incidents"]}
        self.version += 1

    def _take(self, alert: Alert, now_s: float, news: News) -> None:
        """Tell an opening or hold it back; a closing follows its opening."""
        episode = alert.event.episode
        record = self.book.note(alert)
        if alert.event.event is Event.OPEN:
            record.held = self._holds.reason(record, now_s)
            self.n_alerts[record.held or "told"] += 1
            if record.held:
                self._kept[episode] = replace(alert, event=replace(alert.event, evidence=None))
            else:
                self._note_told(record, now_s)
        else:
            self._kept.pop(episode, None)
        if record.held:
            news.held.append((alert, record.held))
        else:
            news.alerts.append(alert)
        news.states.append(self._state(record, record.at_s))

    def _take_incident(self, incident: Incident, news: News) -> None:
        """Tell an incident, unless all that it consists of is held back."""
        records = [self.book.records.get(member.episode) for member in incident.members]
        if all(record is not None and record.held for record in records):
            self._kept_incidents[incident.device] = incident
        else:
            self._kept_incidents.pop(incident.device, None)
            news.incidents.append(incident)

    def _follow_kept(self, readings: Readings, steps: Steps) -> None:
        """Note how surprising the open episodes have become that are held back."""
        if not self._kept:
            return
        names = {alert.event.stream: episode for episode, alert in self._kept.items()}
        wanted = [i for i, name in enumerate(readings.names) if name in names]
        for row in np.flatnonzero(np.isin(readings.stream, wanted) & np.isfinite(steps.score)).tolist():
            record = self.book.records.get(names[readings.names[readings.stream[row]]])
            if record is not None:
                record.margin = max(record.margin, float(steps.score[row] - steps.level[row]))

    def _release(self, now_s: float, news: News) -> None:
        """Tell what need not be held back any more and is still open."""
        for episode, alert in list(self._kept.items()):
            record = self.book.records.get(episode)
            if record is None:
                del self._kept[episode]
                continue
            record.held = self._holds.reason(record, now_s)
            if record.held:
                continue
            del self._kept[episode]
            self.n_alerts["told"] += 1
            self._note_told(record, now_s)
            news.alerts.append(alert)
            news.states.append(self._state(record, now_s))
            incident = self._kept_incidents.pop(record.device, None)
            if incident is not None:
                news.incidents.append(incident)

    def _note_told(self, record: Record, now_s: float) -> None:
        cooldown_s = self._holds.settings.cooldown_s
        self._told_s.pop(record.stream, None)
        self._told_s[record.stream] = now_s  # the newest last
        for stream, told_s in list(self._told_s.items()):
            if told_s + cooldown_s > now_s:
                break
            del self._told_s[stream]

    def _newest(self, stream: str) -> Record | None:
        """Return the newest episode of a stream."""
        return next((each for each in reversed(self.book.records.values()) if each.stream == stream), None)

    def _state(self, record: Record, at_s: float) -> StreamState:
        """Return what a stream's alert is now."""
        state = "open" if record.is_open else "closed"
        return StreamState(
            record.stream,
            "closing" if record.is_open and self._lifecycle.of(record.stream) == "closing" else state,
            record.episode,
            record.severity,
            at_s,
            record.held,
            record.acknowledged_by,
            record.judged,
            record.expected_until_s,
        )


def _heard(readings: Readings, steps: Steps) -> Heard:
    """Count what came of each stream; what is late or out of range shows the sensor to be alive too."""
    is_retained, is_again = steps.outcome == Outcome.RETAINED, steps.outcome == Outcome.DUPLICATE
    is_live = ~is_retained & (steps.outcome != Outcome.STREAM_LIMIT)
    masks = (is_live, is_again, is_retained)
    counts = (np.bincount(readings.stream[mask], minlength=len(readings.names)) for mask in masks)
    return Heard(readings.names, *(each.astype(np.float64) for each in counts))
