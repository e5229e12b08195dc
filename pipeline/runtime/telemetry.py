"""What the daemon counts, and the snapshot of it that the exporter shows.

Comes in: batches, events and durations, from the worker alone. Goes out: a snapshot under the names
of the catalogue. This module refuses to know how metrics are rendered or served.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pipeline.core.alert_records import SEVERITIES
from pipeline.core.records import F64, I64, EpisodeEvent, Event, Health, Outcome
from pipeline.core.settings import Settings
from pipeline.decode.reasons import Reason, Skip
from pipeline.detect.views import View
from pipeline.runtime.intake import Intake, Sample
from pipeline.runtime.lag import Lag
from pipeline.runtime.process_figures import process_figures
from pipeline.runtime.session import FleetView, Session
from pipeline.runtime.status import foretell_version, rejection_samples
from pipeline.sinks.alerts import iso_time
from pipeline.sinks.exporter import by_stream, worst_streams
from pipeline.sinks.exposition import Exemplified, Lazy, SampleMap, Samples, Snapshot
from pipeline.sinks.histogram import Histogram, HistogramValue

STEP_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
FINETUNE_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Telemetry:
    """Counts and durations of one daemon, since it started.

    Args:
        settings: All settings.
        lag: How long messages wait to be scored.

    Attributes:
        n_batch_failures: Batches given up because of an error.
        series_share: Of the streams that may have series of their own, those that do.
    """

    def __init__(self, settings: Settings, lag: Lag) -> None:
        self.n_batch_failures = 0
        self.series_share = 1.0
        self._lag = lag
        self._site = settings.site
        self._max_streams = settings.metrics.max_streams
        forecast = settings.forecast
        numbers = (str(number) for number in (forecast.hidden, forecast.layers, forecast.ensemble))
        self._model = (forecast.cell, *numbers, forecast.sharing)
        # Every outcome starts at 0, so that a first rejection is an increase.
        self._messages = Counter({"accepted": 0, "ignored": 0, "metadata": 0} | {reason.value: 0 for reason in Reason})
        self._skipped = Counter({skip.value: 0 for skip in Skip})
        self._n_lost = 0
        kinds = (view.name.lower() for view in View)
        pairs = ((kind, severity) for kind in kinds for severity in SEVERITIES)
        self._episodes: dict[tuple[str, ...], Exemplified] = dict.fromkeys(pairs, Exemplified(0.0))
        self._last_rejected: dict[str, Sample] = {}
        self._began_s = time.time()
        self._steps = Histogram(STEP_BUCKETS_S)
        self._finetunes = Histogram(FINETUNE_BUCKETS_S)

    def take_settings(self, settings: Settings) -> None:
        """Show another number of streams."""
        self._max_streams = settings.metrics.max_streams

    def status(self, session: Session) -> dict[str, Any]:
        """Return counts for ``/status.json``; any thread may ask, copies of dictionaries are taken at once."""
        figures = process_figures()
        return {
            "foretell": foretell_version(),
            "site": self._site,
            "started_at": iso_time(self._began_s),
            "lag_s": self._lag.now_s(),
            "messages": dict(self._messages),
            "readings": dict(session.counts),
            "rejections": rejection_samples(dict(self._messages), dict(self._last_rejected)),
            "fine_tunes": dict(session.fine_tunes),
            "n_batch_failures": self.n_batch_failures,
            "max_streams": session.settings.streams.max_streams,
            "memory_bytes": figures.get("process_resident_memory_bytes"),
        }

    def count_intake(self, intake: Intake) -> None:
        """Count what a batch of messages gave."""
        self._messages.update(intake.outcomes)
        self._last_rejected.update(intake.samples)
        self._skipped.update(intake.skipped)
        self._n_lost += intake.n_lost

    def count_events(self, events: list[EpisodeEvent]) -> None:
        """Count the episodes that opened, and keep the newest of each kind as an example."""
        for event in events:
            if event.event is Event.OPEN:
                labels = (event.view, event.severity)
                n = self._episodes[labels].value if labels in self._episodes else 0.0
                self._episodes[labels] = Exemplified(n + 1.0, {"episode": event.episode}, event.at_s)

    @contextmanager
    def timed_step(self, tell: Callable[[float], None]) -> Iterator[None]:
        """Time the scoring of one batch, and tell how long it took, seconds."""
        started_s = time.perf_counter()
        yield
        seconds = time.perf_counter() - started_s
        self._steps.observe(seconds)
        tell(seconds)

    def observe_finetune(self, duration_s: float) -> None:
        """Note how long one lesson took, seconds."""
        self._finetunes.observe(duration_s)

    def snapshot(
        self, session: Session, view: FleetView, lost: Mapping[str, int], edge: Mapping[str, float | HistogramValue]
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
            "messages_lost_total": {(): self._n_lost},
            "readings_total": _by_label(readings),
            "streams_refused_total": {(): readings["stream_limit"]},
            "episodes_total": {**self._episodes},
            "false_alarms_expected_total": {(): session.n_promised},
            "finetune_runs_total": _by_label({**session.fine_tunes, **lost}),
            "finetune_lag_rounds": {(): session.training_lag()},
            "drifts_total": {(): session.n_drifts},
            "networks": {(): session.n_networks()},
            "finetune_duration_seconds": {(): self._finetunes.value()},
            "step_duration_seconds": {(): self._steps.value()},
            "batch_failures_total": {(): self.n_batch_failures},
            "ingest_lag_seconds": Lazy(lambda: {(): self._lag.now_s()}),
            "streams": {(): len(view.names)},
            "streams_max": {(): session.settings.streams.max_streams},
            "last_message_timestamp_seconds": {(): self._lag.last_arrival_s} if self._lag.last_arrival_s else {},
            "model_info": {self._model: 1.0},
            "build_info": {(foretell_version(), self._site): 1.0},
            **{name: {(): value} for name, value in process_figures().items()},
        }

    def _stream_samples(self, view: FleetView) -> dict[str, Samples]:
        """Return what has a series per stream, made when it is scraped: the view does not change any more."""
        worst = worst_streams(view.score, view.is_open, int(self.series_share * self._max_streams))
        columns = {
            "reading_value": view.value,
            "forecast_value": view.forecast,
            "forecast_lower": view.lower,
            "forecast_upper": view.upper,
            "residual_value": view.value - view.forecast,
            "score": view.score,
            "alert_level": view.level,
        }
        return {
            **{name: _column(view, values, worst) for name, values in columns.items()},
            "skill_ratio": Lazy(lambda: _skill_samples(view, worst)),
            "health": Lazy(lambda: _health_samples(view, worst)),
            "episode_open": Lazy(lambda: _episode_samples(view, worst)),
            "episodes_open": _by_label(dict.fromkeys(SEVERITIES, 0) | Counter(each.severity for each in view.episodes)),
            "metric_series": {(): float(len(worst))},
        }


def _column(view: FleetView, values: F64, index: I64) -> Lazy:
    return Lazy(lambda: by_stream(view.names, values, index))


def _by_label(counts: Mapping[str, int]) -> SampleMap:
    return {(label,): float(count) for label, count in counts.items()}


def _skill_samples(view: FleetView, index: I64) -> SampleMap:
    """Return the skill of every forecaster that has foretold something."""
    return {
        (*labels, forecaster): value
        for column, forecaster in enumerate(view.forecasters)
        for labels, value in by_stream(view.names, view.skill_ratio[:, column], index).items()
    }


def _episode_samples(view: FleetView, index: I64) -> SampleMap:
    """Return a 1 for each open episode of the streams that are shown."""
    shown = {view.names[i] for i in index.tolist()}
    return {(each.stream, each.kind, each.severity): 1.0 for each in view.episodes if each.stream in shown}


def _health_samples(view: FleetView, index: I64) -> SampleMap:
    """Return a 1 for each finding; a stream without findings has no sample."""
    found = ((int(i), Health(int(view.health[i]))) for i in index if view.health[i])
    return {(view.names[i], str(verdict.name).lower()): 1.0 for i, health in found for verdict in health}
