"""What the daemon counts, and the snapshot of it that the exporter shows.

Comes in: batches, events and durations, from the worker alone. Goes out: a snapshot under the names
of the catalogue. This module refuses to know how metrics are rendered or served.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from pipeline.core.records import I64, EpisodeEvent, Event, Health, Outcome
from pipeline.decode.payloads import Reason
from pipeline.runtime.intake import Intake
from pipeline.runtime.session import FleetView, Session
from pipeline.sinks.exporter import Samples, Snapshot, by_stream, worst_streams
from pipeline.sinks.histogram import Histogram

STEP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
FINETUNE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Telemetry:
    """Counts and durations of one daemon, since it started.

    Args:
        site: Name of the plant or house.
        max_streams: Streams that get series of their own, worst score first.

    Attributes:
        n_batch_failures: Batches given up because of an error.
        lag_s: Time the oldest message of the last batch waited to be scored, seconds.
    """

    def __init__(self, site: str, max_streams: int) -> None:
        self.n_batch_failures = 0
        self.lag_s = 0.0
        self._site = site
        self._max_streams = max_streams
        # Every outcome starts at 0, so that a first rejection is an increase.
        self._messages = Counter({"accepted": 0} | {reason.value: 0 for reason in Reason})
        self._skipped = Counter({Reason.BAD_KEY.value: 0, Reason.NOT_FINITE.value: 0})
        self._n_episodes = 0
        self._steps = Histogram(STEP_BUCKETS_S)
        self._finetunes = Histogram(FINETUNE_BUCKETS_S)

    def count_intake(self, intake: Intake) -> None:
        """Count what a batch of messages gave."""
        self._messages.update(intake.outcomes)
        self._skipped.update(intake.skipped)

    def count_events(self, events: list[EpisodeEvent]) -> None:
        """Count the episodes that opened."""
        self._n_episodes += sum(event.event is Event.OPEN for event in events)

    @contextmanager
    def timed_step(self) -> Iterator[None]:
        """Time the scoring of one batch."""
        started_s = time.perf_counter()
        yield
        self._steps.observe(time.perf_counter() - started_s)

    def observe_finetune(self, duration_s: float) -> None:
        """Note how long one lesson took, seconds."""
        self._finetunes.observe(duration_s)

    def snapshot(
        self, session: Session, view: FleetView, lost: Mapping[str, int], edge: Mapping[str, float]
    ) -> Snapshot:
        """Return every metric as it is now.

        Args:
            session: Gives readings and fine-tunes by outcome.
            view: The last step of every stream.
            lost: Fine-tunes that came to nothing, by reason.
            edge: Metrics without labels that the daemon reads off inbox and connections.
        """
        readings = {outcome.name.lower(): 0 for outcome in Outcome} | dict(session.counts)
        return {
            **{name: {(): value} for name, value in edge.items()},
            **self._stream_samples(view),
            "messages_total": _by_label(self._messages),
            "fields_skipped_total": _by_label(self._skipped),
            "readings_total": _by_label(readings),
            "streams_refused_total": {(): readings["stream_limit"]},
            "episodes_total": {(): self._n_episodes},
            "false_alarms_expected_total": {(): session.n_promised},
            "finetune_runs_total": _by_label({**session.fine_tunes, **lost}),
            "finetune_lag_rounds": {(): session.training_lag()},
            "drifts_total": {(): session.n_drifts},
            "networks": {(): session.n_networks()},
            "finetune_duration_seconds": {(): self._finetunes.value()},
            "step_duration_seconds": {(): self._steps.value()},
            "batch_failures_total": {(): self.n_batch_failures},
            "ingest_lag_seconds": {(): self.lag_s},
            "streams": {(): len(view.names)},
            "build_info": {(foretell_version(), self._site): 1},
        }

    def _stream_samples(self, view: FleetView) -> dict[str, Samples]:
        worst = worst_streams(view.score, self._max_streams)
        columns = {
            "reading_value": view.value,
            "forecast_value": view.forecast,
            "forecast_lower": view.lower,
            "forecast_upper": view.upper,
            "residual_value": view.value - view.forecast,
            "score": view.score,
            "alert_level": view.level,
            "episode_open": view.is_open.astype(np.float64),
        }
        return {
            **{name: by_stream(view.names, values, worst) for name, values in columns.items()},
            "skill_ratio": _skill_samples(view, worst),
            "health": _health_samples(view, worst),
        }


def foretell_version() -> str:
    """Return the version of the installed distribution; ``unknown`` when run from a bare checkout."""
    try:
        return version("foretell")
    except PackageNotFoundError:
        return "unknown"


def _by_label(counts: Mapping[str, int]) -> Samples:
    return {(label,): float(count) for label, count in counts.items()}


def _skill_samples(view: FleetView, index: I64) -> dict[tuple[str, ...], float]:
    """Return the skill of every forecaster that has foretold something."""
    return {
        (*labels, forecaster): value
        for column, forecaster in enumerate(view.forecasters)
        for labels, value in by_stream(view.names, view.skill_ratio[:, column], index).items()
    }


def _health_samples(view: FleetView, index: I64) -> Samples:
    """Return a 1 for each finding; a stream without findings has no sample."""
    found = ((int(i), Health(int(view.health[i]))) for i in index if view.health[i])
    return {(view.names[i], str(verdict.name).lower()): 1.0 for i, health in found for verdict in health}
