"""Mars rover telemetry (MSL): found anomalous sequences, of channels whose training part is streamed before the test.

Comes in: channels, settings, seeds. Goes out: what became of every channel with every seed. Causal throughout: a
session reads the training part, then the test part, and learns as it does in service; nothing is trained beforehand
and no label is seen. The commands sent to the rover are context of the forecaster, not judged themselves. Channels
share a session for speed: streams with networks of their own do not touch each other.

Scored as Telemanom is (Hundman et al., KDD 2018): episodes are widened by its error buffer, those that then overlap
are one predicted sequence. Refuses to know files and terminals.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import fmean

import numpy as np

from pipeline.core.forecast_settings import ContextSettings
from pipeline.core.records import F64, U8, Readings
from pipeline.core.settings import Settings
from pipeline.evaluate.blind import blind_alerts
from pipeline.evaluate.events import EventCounts, Span, count_events, delays, per_day, widened
from pipeline.evaluate.forecast import with_seed
from pipeline.evaluate.msl_files import Channel
from pipeline.evaluate.processes import each
from pipeline.evaluate.volume import vus_pr
from pipeline.runtime.replay import ReplayResult, replay
from pipeline.sources.recording import Recording

#: Readings by which episodes are widened on both sides, as Telemanom widens what it finds.
BUFFER = 100
#: Commands that a channel's forecaster sees: those that changed most often in the training part.
N_COMMANDS = 8
#: Seconds between readings; the published data are one-minute values without a time.
STEP_S = 60.0
_TELEMETRY = "telemetry"  # a channel's own stream; commands are named beside it
_TOGETHER = 14  # channels of a session: half of them, so that one seed keeps two processors busy
#: What Telemanom reached on these channels, trained offline (Hundman et al. 2018, table 2).
TELEMANOM = EventCounts(n_labels=36, n_found=25, n_false=2)

#: Told how many readings are done.
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Watch:
    """Channels to be watched in one session: the job of a process."""

    channels: tuple[Channel, ...]
    settings: Settings
    n_commands: int


@dataclass(frozen=True, slots=True)
class Watched:
    """A channel after the engine went over it.

    Attributes:
        episodes: First and last position in the test part; an episode that opened in training is not among them.
        score: Of every reading of the test part, NaN where there was none, shape (M,).
    """

    episodes: tuple[Span, ...]
    score: F64


@dataclass(frozen=True, slots=True)
class ChannelResult:
    """What became of a channel with one seed.

    Attributes:
        name: The channel.
        n_readings: Of the test part.
        counts: Of sequences widened by the buffer: the figure that is comparable to others'.
        exact: Of episodes as they are.
        delays: Readings from the begin of each label to the episode that met it, NaN for none, a tuple over labels.
        n_settling: Episodes not judged: in the first readings of the test part, which does not follow on the training
            part in time.
        vus_pr: Rank metric of the scores, label buffer as wide as the episodes' buffer.
        episodes: Those that count, first and last position.
    """

    name: str
    n_readings: int
    counts: EventCounts
    exact: EventCounts
    delays: tuple[float, ...]
    n_settling: int
    vus_pr: float
    episodes: tuple[Span, ...]

    @property
    def n_alerts(self) -> int:
        """Episodes that count."""
        return len(self.episodes)

    @property
    def alerts_per_day(self) -> float:
        """Episodes per day of the test part."""
        return per_day(self.n_alerts, (self.n_readings - BUFFER) * STEP_S)


@dataclass(frozen=True, slots=True)
class MslRun:
    """All channels with one seed, and blind alerts beside them.

    Attributes:
        seed: Of weights and window sampling.
        results: By channel, in input order.
        blind_f1: F1 of as many evenly spaced alerts, widened alike: mean over where they start.
    """

    seed: int
    results: tuple[ChannelResult, ...]
    blind_f1: float

    @property
    def counts(self) -> EventCounts:
        """Widened sequences of all channels."""
        return _sum(result.counts for result in self.results)

    @property
    def exact(self) -> EventCounts:
        """Episodes as they are, of all channels."""
        return _sum(result.exact for result in self.results)


def evaluate_msl(
    channels: Sequence[Channel],
    settings: Settings,
    seeds: Sequence[int],
    n_commands: int = N_COMMANDS,
    progress: Progress = lambda _: None,
    n_processes: int | None = None,
) -> list[MslRun]:
    """Watch all channels with every seed.

    Args:
        channels: In the order in which results are wanted.
        settings: Those of the engine, but for seed and context.
        seeds: Seeds of initial weights and window sampling.
        n_commands: Commands that the forecaster sees at most; 0 for telemetry alone.
        progress: Told after each channel how many readings it held.
        n_processes: See ``each``; results do not depend on it.

    Returns:
        A run per seed.
    """
    groups = [tuple(channels[k : k + _TOGETHER]) for k in range(0, len(channels), _TOGETHER)]
    jobs = [
        Watch(group, msl_settings(with_seed(settings, seed), n_commands), n_commands)
        for seed in seeds
        for group in groups
    ]
    done: dict[int, list[Watched]] = {}
    for i, watched in each(watch, jobs, n_processes):
        done[i] = watched
        progress(sum(map(len, jobs[i].channels)))
    parts = [
        list(chain.from_iterable(done[k + i] for i in range(len(groups)))) for k in range(0, len(jobs), len(groups))
    ]
    return [_run(seed, channels, watched) for seed, watched in zip(seeds, parts, strict=True)]


def msl_settings(settings: Settings, n_commands: int) -> Settings:
    """Return settings under which a channel's commands are context of its telemetry."""
    if not n_commands:
        return settings
    inputs = tuple("{device}/" + _command(rank) for rank in range(n_commands))
    context = (ContextSettings(stream=f"*/{_TELEMETRY}", inputs=inputs), *settings.forecast.context)
    return settings.model_copy(update={"forecast": settings.forecast.model_copy(update={"context": context})})


def _command(rank: int) -> str:
    return f"command-{rank + 1}"


def busiest(commands: U8, n_most: int) -> list[int]:
    """Return the columns that changed most often, busiest first; those that never changed are left out.

    Example:
        >>> busiest(np.array([[0, 0, 1], [1, 0, 1], [0, 0, 0], [1, 0, 0]], np.uint8), 2)
        [0, 2]
    """
    n_changes = np.count_nonzero(np.diff(commands.astype(np.int8), axis=0), axis=0)
    order = np.argsort(-n_changes, kind="stable")[:n_most]
    return [int(column) for column in order if n_changes[column]]


def recording(channel: Channel, n_commands: int) -> Recording:
    """Return a channel as a recording: its telemetry, and its busiest commands where they change.

    Which commands are busiest is learnt from the training part alone. The test part follows on it after one step.

    Args:
        channel: Telemetry and commands.
        n_commands: Commands at most.

    Returns:
        Streams ``NAME/telemetry`` and ``NAME/command-1``, ...; reading k is at ``k * STEP_S``.
    """
    columns = busiest(channel.train_commands, n_commands)
    commands = np.concatenate((channel.train_commands, channel.test_commands))[:, columns].astype(np.float64)
    value = np.concatenate((channel.train, channel.test))
    rows, parts = [np.arange(len(value))], [value]
    for sent in commands.T:
        changes = np.flatnonzero(np.diff(sent, prepend=np.nan) != 0)  # the first value too
        rows.append(changes)
        parts.append(sent[changes])
    stream = np.repeat(np.arange(len(rows), dtype=np.int32), [len(own) for own in rows])
    names = [f"{channel.name}/{last}" for last in (_TELEMETRY, *map(_command, range(len(columns))))]
    time: F64 = np.concatenate(rows).astype(np.float64) * STEP_S
    readings = Readings(names, stream, time, np.concatenate(parts), np.zeros(len(time), np.uint8))
    return Recording(channel.name, readings, {})


def watch(job: Watch) -> list[Watched]:
    """Replay channels, training part first, and return what was said of the test part of each."""
    result = replay([recording(channel, job.n_commands) for channel in job.channels], job.settings)
    return [_watched(channel, result) for channel in job.channels]


def _watched(channel: Channel, result: ReplayResult) -> Watched:
    """Pick out what was said of a channel's test part."""
    n_train = len(channel.train)
    telemetry = f"{channel.name}/{_TELEMETRY}"
    spans = [
        (_position(episode.last.opened_s), _position(episode.end_s) if episode.end_s is not None else len(channel) - 1)
        for episode in result.episodes
        if episode.last.stream == telemetry
    ]
    episodes = tuple((first - n_train, last - n_train) for first, last in spans if first >= n_train)
    rows = np.flatnonzero(result.readings.stream == list(result.readings.names).index(telemetry))
    return Watched(episodes, result.steps.score[rows[n_train:]])


def _position(at_s: float) -> int:
    """Return which reading of a channel is at an event time."""
    return round(at_s / STEP_S)


def judge(channel: Channel, watched: Watched) -> ChannelResult:
    """Hold what was said of a channel against its labels."""
    n = len(channel.test)
    counted = tuple(span for span in watched.episodes if span[0] >= BUFFER)
    is_labelled = np.zeros(n, np.bool_)
    for first, last in channel.labels:
        is_labelled[int(first) : int(last) + 1] = True
    return ChannelResult(
        name=channel.name,
        n_readings=n,
        counts=count_events(sequences(counted, n), channel.labels),
        exact=count_events(widened(counted, 0, 0, n - 1, touching=1), channel.labels),
        delays=tuple(delays(counted, channel.labels).tolist()),
        n_settling=len(watched.episodes) - len(counted),
        vus_pr=vus_pr(watched.score, is_labelled, BUFFER),
        episodes=counted,
    )


def sequences(episodes: Sequence[Span], n_readings: int) -> list[Span]:
    """Return predicted sequences: episodes widened by the buffer, as one where they then meet."""
    return widened(episodes, BUFFER, 0, n_readings - 1, touching=1)


def _run(seed: int, channels: Sequence[Channel], watched: Sequence[Watched]) -> MslRun:
    """Judge all channels of a seed, and blind alerts beside them."""
    results = tuple(judge(channel, own) for channel, own in zip(channels, watched, strict=True))
    return MslRun(seed, results, blind_f1(channels, sum(result.n_alerts for result in results)))


def blind_f1(channels: Sequence[Channel], n_alerts: int) -> float:
    """Return the F1 of so many evenly spaced alerts, widened as episodes are: mean over where they start."""
    lengths = [max(len(channel.test) - BUFFER, 0) for channel in channels]
    found = []
    for alerts in blind_alerts(n_alerts, lengths):
        spans = [[(float(at + BUFFER), float(at + BUFFER)) for at in own] for own in alerts]
        pairs = zip(channels, spans, strict=True)
        found.append(_sum(count_events(sequences(own, len(c.test)), c.labels) for c, own in pairs).f1)
    return fmean(found)


def _sum(counts: Iterator[EventCounts]) -> EventCounts:
    return sum(counts, EventCounts(0, 0, 0))
