"""What a bridge counts: its metrics, and the document of ``/status.json``.

Comes in: batches, segments and durations, from the worker alone. Goes out: a snapshot under the names of the
catalogue, and plain values for JSON. This module refuses to know how they are served.
"""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pipeline.core.clock import Clock
from pipeline.decode.reasons import Reason, Skip
from pipeline.runtime.intake import Intake, Sample
from pipeline.runtime.life import Life
from pipeline.runtime.process_figures import process_figures
from pipeline.runtime.status import STATUS_VERSION, foretell_version, rejection_samples
from pipeline.sinks.alerts import iso_time
from pipeline.sinks.exposition import Lazy, Snapshot
from pipeline.sinks.histogram import Histogram, HistogramValue

COMMIT_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class BridgeFigures:
    """Counts and durations of one bridge, since it started.

    Args:
        site: Name of the plant.
        clock: Gives the current time; the one that arrivals are stamped with.

    Attributes:
        n_failures: Batches given up because of an error.
        n_readings: Readings written.
        n_segments: Segments written.
        n_bytes: Bytes of these.
        position: Position that the next reading of the log gets.
        waits_since_s: When the oldest reading arrived that is in no segment, Unix seconds; None for none.
    """

    def __init__(self, site: str, clock: Clock) -> None:
        self.n_failures = 0
        self.n_readings = self.n_segments = self.n_bytes = self.position = 0
        self.waits_since_s: float | None = None
        self._last_lag_s = 0.0
        self._last_arrival_s = 0.0
        self._site = site
        self._clock = clock
        # Every outcome starts at 0, so that a first rejection is an increase.
        self._messages = Counter({"accepted": 0, "ignored": 0, "metadata": 0} | {reason.value: 0 for reason in Reason})
        self._skipped = Counter({skip.value: 0 for skip in Skip})
        self._n_lost = 0
        self._last_rejected: dict[str, Sample] = {}
        self._began_s = time.time()
        self._commits = Histogram(COMMIT_BUCKETS_S)

    @property
    def lag_s(self) -> float:
        """How long the oldest reading that is in no segment has waited, or those of the last one did; seconds."""
        since_s = self.waits_since_s
        return self._last_lag_s if since_s is None else max(0.0, self._clock.now() - since_s)

    def count_intake(self, intake: Intake, arrival_s: float) -> None:
        """Count what a batch of messages gave, the newest of which arrived at ``arrival_s``."""
        self._messages.update(intake.outcomes)
        self._last_rejected.update(intake.samples)
        self._skipped.update(intake.skipped)
        self._n_lost += intake.n_lost
        self._last_arrival_s = arrival_s

    def count_segment(self, n_readings: int, n_bytes: int, seconds: float) -> None:
        """Count a segment that is on disk, and how long it took to write."""
        self._last_lag_s, self.waits_since_s = self.lag_s, None
        self.n_readings += n_readings
        self.n_segments += 1
        self.n_bytes += n_bytes
        self._commits.observe(seconds)

    def snapshot(self, edge: Mapping[str, float]) -> Snapshot:
        """Return every metric as it is now.

        Args:
            edge: Metrics without labels that the bridge reads off inbox, connection and disk.
        """
        plain: dict[str, float | HistogramValue] = {
            **edge,
            "log_readings_total": self.n_readings,
            "log_segments_total": self.n_segments,
            "log_bytes_total": self.n_bytes,
            "log_position": self.position,
            "log_commit_duration_seconds": self._commits.value(),
            "messages_lost_total": self._n_lost,
            "batch_failures_total": self.n_failures,
            **process_figures(),
        }
        return {
            **{name: {(): value} for name, value in plain.items()},
            "messages_total": {(label,): float(n) for label, n in self._messages.items()},
            "fields_skipped_total": {(label,): float(n) for label, n in self._skipped.items()},
            "ingest_lag_seconds": Lazy(lambda: {(): self.lag_s}),
            "last_message_timestamp_seconds": {(): self._last_arrival_s} if self._last_arrival_s else {},
            "build_info": {(foretell_version(), self._site): 1.0},
        }

    def document(self, life: Life, log: str, edge: Mapping[str, Any]) -> dict[str, Any]:
        """Return what ``/status.json`` shows; called on a thread of the endpoint.

        Args:
            life: Whether the bridge lives and is ready.
            log: Folder of the log.
            edge: What there is to say of connection and inbox.
        """
        return {
            "ready": life.is_ready,
            "live": life.is_live,
            "why": life.why,
            "foretell": foretell_version(),
            "site": self._site,
            "started_at": iso_time(self._began_s),
            "lag_s": self.lag_s,
            "log": {"path": log, **self.log_figures()},
            "messages": dict(self._messages),
            "rejections": rejection_samples(dict(self._messages), dict(self._last_rejected)),
            "n_batch_failures": self.n_failures,
            "memory_bytes": process_figures().get("process_resident_memory_bytes"),
            **edge,
            "version": STATUS_VERSION,
        }

    def log_figures(self) -> dict[str, int]:
        """Return what was written."""
        return {
            "position": self.position,
            "n_readings": self.n_readings,
            "n_segments": self.n_segments,
            "n_bytes": self.n_bytes,
        }
