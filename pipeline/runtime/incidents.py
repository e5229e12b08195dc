"""From episodes of streams to what is told: alerts with neighbours and words, and one incident per device.

Comes in: readings and their steps, batch after batch. Goes out: an ``Alert`` for each episode that opened or closed,
and an ``Incident`` for each device of which there is something new to say. It follows event time alone, so replay,
which asks once at its end, tells what the daemon tells batch after batch. Refuses to know where alerts go.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np

from pipeline.core.alert_records import SEVERITIES, Alert, Incident, Member, incident_id
from pipeline.core.records import F64, I64, EpisodeEvent, Event, Outcome, Readings, Steps
from pipeline.core.settings import Settings
from pipeline.detect.devices import N_TOGETHER, Surprises, is_surprising
from pipeline.detect.explain import Spans, explanation, summary

#: Event time that passes at least before streams that joined an incident are told, seconds.
UPDATE_S = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """What there is to tell after a batch.

    Attributes:
        alerts: Episodes that opened or closed, in order of time.
        incidents: The devices of which there is something new, one each.
    """

    alerts: Sequence[Alert]
    incidents: Sequence[Incident]


class Incidents:
    """Keeps devices' incidents and what was surprising lately.

    Args:
        settings: Which streams make a device, and how close in time is together.
    """

    def __init__(self, settings: Settings) -> None:
        self._together_s = settings.devices.together_s
        self._join_s = settings.devices.join_s
        self._spans = Spans(settings.forecast.horizon_short, settings.forecast.horizon_long)
        self._surprises = Surprises(settings.devices)
        self._device_of: dict[str, str] = {}
        self._current: dict[str, _Running] = {}
        self._changed: dict[str, None] = {}

    def gather(self, readings: Readings, steps: Steps) -> Told:
        """Take in a batch, and say what there is to tell.

        Args:
            readings: Named readings.
            steps: Their steps, in the same order.

        Returns:
            Alerts, and at most one incident per device: at once when it opened, closed or became more severe, and
            otherwise when ``UPDATE_S`` of event time have passed since it was last told.
        """
        self._admit(readings, steps)
        surprising = np.flatnonzero(is_surprising(steps.score, steps.level))
        surprising = surprising[np.argsort(readings.time[surprising], kind="stable")]
        arrived = _Arrived(readings, steps)
        alerts: list[Alert] = []
        noted = 0
        for event in sorted(steps.events, key=lambda event: event.at_s):
            until = noted + int(np.searchsorted(readings.time[surprising[noted:]], event.at_s, side="right"))
            self._note(readings, steps, surprising[noted:until])
            noted = until
            alerts.append(self._alert(event, arrived))
        self._note(readings, steps, surprising[noted:])
        for running in self._current.values():
            running.hear(arrived, math.inf)
        newest_s = float(readings.time[steps.outcome == Outcome.ACCEPTED].max(initial=-math.inf))
        return Told(alerts, self._due(newest_s))

    def dump(self) -> str:
        """Return what it remembers as JSON."""
        running = [asdict(each) for each in self._current.values()]
        return json.dumps({"surprises": self._surprises.dump(), "running": running, "changed": list(self._changed)})

    def load(self, text: str) -> None:
        """Take over what ``dump`` returned; nothing may be remembered yet."""
        kept = json.loads(text)
        self._surprises.load(kept["surprises"])
        self._device_of = {row[0]: self._surprises.admit(row[0]) for row in kept["surprises"]}
        self._current = {each["device"]: _Running.from_plain(each) for each in kept["running"]}
        self._changed = dict.fromkeys(kept["changed"])

    def _admit(self, readings: Readings, steps: Steps) -> None:
        """Make streams known that have their first accepted reading, or an event."""
        names = {readings.names[i] for i in np.unique(readings.stream[steps.outcome == Outcome.ACCEPTED]).tolist()}
        names.update(event.stream for event in steps.events)
        for name in sorted(names - self._device_of.keys()):
            self._device_of[name] = self._surprises.admit(name)

    def _note(self, readings: Readings, steps: Steps, rows: I64) -> None:
        """Remember surprising readings."""
        columns = (readings.stream, readings.time, steps.score, steps.level)
        for stream, time_s, score, level in zip(*(column[rows].tolist() for column in columns), strict=True):
            self._surprises.note(readings.names[stream], time_s, score, level)

    def _alert(self, event: EpisodeEvent, arrived: "_Arrived") -> Alert:
        """Put an episode into its device's incident, and words to it."""
        device = self._device_of[event.stream]
        span_s = self._span_s(event)
        begin_s = _onset_s(event) - span_s
        n_readings = N_TOGETHER * (event.at_s - begin_s) / span_s if span_s else N_TOGETHER
        neighbours = self._surprises.neighbours(event.stream, begin_s, event.at_s, n_readings)
        running = self._join(device, event, arrived)
        return Alert(
            event,
            device,
            running.incident,
            neighbours,
            summary(event, self._spans),
            explanation(event, self._spans, neighbours),
        )

    def _span_s(self, event: EpisodeEvent) -> float:
        """Return how close in time another stream must be to be together with this one, seconds."""
        step_s = event.evidence.step_s if event.evidence is not None else 0.0
        return max(self._together_s, N_TOGETHER * step_s if math.isfinite(step_s) else 0.0)

    def _join(self, device: str, event: EpisodeEvent, arrived: "_Arrived") -> "_Running":
        """Return the incident that an episode is part of, brought up to it."""
        running = self._current.get(device)
        if running is not None:
            running.hear(arrived, event.at_s)
        if running is None or not (running.holds(event) or running.reaches(event, self._join_s)):
            running = _Running(device, event.opened_s)
            self._current[device] = running
        running.take(event, self._span_s(event))
        self._changed[device] = None
        return running

    def _due(self, newest_s: float) -> list[Incident]:
        """Return the incidents to tell now, and mark them told."""
        told: list[Incident] = []
        for device in list(self._changed):
            running = self._current[device]
            incident = running.incident_now(self._surprises.n_sensors(device))
            if running.is_urgent(incident) or newest_s - running.told_s >= UPDATE_S:
                running.told_s, running.told = max(newest_s, incident.at_s), incident
                del self._changed[device]
                told.append(incident)
        return told


class _Arrived:
    """When the readings of a batch were taken, stream by stream; sorted once, when first asked for."""

    def __init__(self, readings: Readings, steps: Steps) -> None:
        self._readings = readings
        self._outcome = steps.outcome
        self._time: F64 | None = None
        self._place: dict[str, slice] = {}

    def newest_s(self, stream: str, until_s: float) -> float:
        """Return the newest event time of a stream's accepted readings, not after ``until_s``; -inf for none."""
        if self._time is None:
            rows = np.flatnonzero(self._outcome == Outcome.ACCEPTED)
            rows = rows[np.lexsort((self._readings.time[rows], self._readings.stream[rows]))]
            streams, starts = np.unique(self._readings.stream[rows], return_index=True)
            self._time = self._readings.time[rows]
            names = [self._readings.names[i] for i in streams.tolist()]
            self._place = dict(zip(names, map(slice, starts.tolist(), [*starts[1:].tolist(), len(rows)]), strict=True))
        own = self._time[self._place.get(stream, slice(0))]
        n = int(np.searchsorted(own, until_s, side="right"))
        return float(own[n - 1]) if n else -math.inf


def _onset_s(event: EpisodeEvent) -> float:
    """Return when a change began: its opening where that is not known, Unix seconds."""
    return min(event.onset_s, event.opened_s) if math.isfinite(event.onset_s) else event.opened_s


@dataclass(slots=True)
class _Running:
    """The newest incident of one device.

    Attributes:
        device: Device.
        opened_s: Event time of the first opening, Unix seconds.
        members: Streams with their newest episodes.
        alive_s: Event time of the newest reading of each member, Unix seconds.
        span_s: Silence after which a member's open episode no longer counts, seconds.
        at_s: Event time of the newest event, Unix seconds.
        told_s: Event time at which it was last told, Unix seconds.
        told: What was told then; None for nothing yet.
    """

    device: str
    opened_s: float
    members: dict[str, Member] = field(default_factory=dict)
    alive_s: dict[str, float] = field(default_factory=dict)
    span_s: dict[str, float] = field(default_factory=dict)
    at_s: float = -math.inf
    told_s: float = -math.inf
    told: Incident | None = None

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Self:
        """Return what ``asdict`` was given."""
        told = Incident.from_plain(plain["told"]) if plain["told"] is not None else None
        members_now = {stream: Member(**member) for stream, member in plain["members"].items()}
        return cls(**plain | {"members": members_now, "told": told})

    @property
    def incident(self) -> str:
        """Stable id."""
        return incident_id(self.device, self.opened_s)

    def open_streams(self) -> set[str]:
        """Return the streams with an open episode."""
        return {stream for stream, member in self.members.items() if member.is_open}

    def holds(self, event: EpisodeEvent) -> bool:
        """Say whether the episode is part of it already."""
        member = self.members.get(event.stream)
        return member is not None and member.episode == event.episode

    def hear(self, arrived: _Arrived, until_s: float) -> None:
        """Note that streams with open episodes still send: a silent one does not keep it open for ever."""
        for stream in self.open_streams():
            self.alive_s[stream] = max(self.alive_s[stream], arrived.newest_s(stream, until_s))

    def reaches(self, event: EpisodeEvent, join_s: float) -> bool:
        """Say whether an episode that opens now overlaps with it, or follows within ``join_s``."""
        alive = [self.alive_s[stream] + self.span_s[stream] for stream in self.open_streams()]
        return event.opened_s <= max([self.at_s, *alive]) + join_s

    def take(self, event: EpisodeEvent, span_s: float) -> None:
        """Bring it up to an episode that opened or closed."""
        is_open = event.event is Event.OPEN
        self.members[event.stream] = Member(
            event.stream,
            event.episode,
            _onset_s(event),
            event.opened_s,
            event.peak_score - event.level,
            is_open,
            event.severity,
        )
        self.alive_s[event.stream] = event.at_s
        self.span_s[event.stream] = span_s
        self.at_s = max(self.at_s, event.at_s)

    def incident_now(self, n_sensors: int) -> Incident:
        """Return it as it is told."""
        members = sorted(self.members.values(), key=lambda each: (-each.margin, each.stream))
        margin = members[0].margin - math.log10(max(n_sensors, 1))
        is_open = any(member.is_open for member in members)
        return Incident(
            self.incident, self.device, is_open, self.opened_s, self.at_s, tuple(members), n_sensors, margin
        )

    def is_urgent(self, incident: Incident) -> bool:
        """Say whether an incident has something to tell that does not wait."""
        if self.told is None or incident.is_open != self.told.is_open:
            return True
        return SEVERITIES.index(incident.severity) > SEVERITIES.index(self.told.severity)
