"""What the driver counts, and shows as Prometheus metrics.

Comes in: what each batch came to, and Spark's own report of it. Goes out: snapshots under the names of the catalogue.
Counts begin with the driver; scores and alerts themselves are in the files.
"""

import json
import math
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from pipeline.core.records import Outcome
from pipeline.runtime.process_figures import process_figures
from pipeline.runtime.status import foretell_version
from pipeline.scaleout.outcome import BatchOutcome
from pipeline.sinks.exposition import SampleMap, Snapshot
from pipeline.sinks.histogram import Histogram

BATCH_BUCKETS_S = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0)


class Figures:
    """Counts of one driver, since it started; for any thread.

    Args:
        site: Name of the plant, as a label.
    """

    def __init__(self, site: str) -> None:
        self._site = site
        self._readings = Counter({outcome.name.lower(): 0 for outcome in Outcome})
        self._episodes: Counter[tuple[str, str]] = Counter()
        self._durations = Histogram(BATCH_BUCKETS_S)
        self._n_batches = 0
        self._position = -1
        self._newest_s = float("nan")
        self._last_run = ""

    @property
    def n_readings(self) -> int:
        """Readings so far."""
        return sum(self._readings.values())

    @property
    def n_alerts(self) -> int:
        """Episodes opened so far."""
        return sum(self._episodes.values())

    @property
    def n_batches(self) -> int:
        """Batches so far."""
        return self._n_batches

    def take(self, outcome: BatchOutcome) -> None:
        """Count what a batch came to."""
        self._readings.update(outcome.counts)
        self._n_batches += 1
        if outcome.position >= 0:
            self._position, self._newest_s = outcome.position, outcome.newest_s
        for text in outcome.alerts:
            told = json.loads(text)
            if told["event"] == "open":
                self._episodes[told["view"], told["severity"]] += 1

    def observe(self, progress: Mapping[str, Any] | None) -> None:
        """Note how long a batch took, from Spark's report of the newest one; a report that is known changes nothing."""
        if progress and progress["timestamp"] != self._last_run and progress["numInputRows"]:
            self._last_run = progress["timestamp"]
            self._durations.observe(progress["durationMs"]["triggerExecution"] / 1000.0)

    def snapshot(self) -> Snapshot:
        """Return every metric as it is now."""
        lag: SampleMap = {} if math.isnan(self._newest_s) else {(): max(0.0, time.time() - self._newest_s)}
        return {
            "readings_total": {(name,): float(n) for name, n in self._readings.items()},
            "streams_refused_total": {(): float(self._readings["stream_limit"])},
            "episodes_total": {labels: float(n) for labels, n in self._episodes.items()},
            "scale_batches_total": {(): float(self._n_batches)},
            "scale_batch_duration_seconds": {(): self._durations.value()},
            "scale_position": {(): float(self._position)},
            "scale_lag_seconds": lag,
            "build_info": {(foretell_version(), self._site): 1.0},
            **{name: {(): value} for name, value in process_figures().items()},
        }
