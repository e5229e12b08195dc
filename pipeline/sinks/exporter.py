"""The Prometheus endpoint: shows the last snapshot that was published. Scraping computes nothing.

Comes in: snapshots, maps from metric name to label values to value. Goes out: ``/metrics`` on a
loopback port. This module refuses to know the engine; what may be shown is in the catalogue.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from threading import Thread
from wsgiref.simple_server import WSGIServer

import numpy as np
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from pipeline.core.errors import UsageError
from pipeline.core.records import F64, I64
from pipeline.sinks.catalogue import CATALOGUE, SPECS, MetricSpec
from pipeline.sinks.histogram import HistogramValue

#: Value of each label combination, in the order of the metric's labels; () for a metric without labels.
Samples = Mapping[tuple[str, ...], float | HistogramValue]
#: Samples of each metric by its name in the catalogue, without the prefix.
Snapshot = Mapping[str, Samples]


def worst_streams(score: F64, n: int) -> I64:
    """Return the indices of the ``n`` streams with the highest scores, highest first.

    Args:
        score: Score of each stream, shape (S,); streams without one (NaN) come last.
        n: Streams to choose at most.

    Example:
        >>> worst_streams(np.array([1.0, np.nan, 3.0]), 2).tolist()
        [2, 0]
    """
    order = np.argsort(-np.nan_to_num(score, nan=-np.inf), kind="stable")
    return order[:n].astype(np.int64)


def by_stream(names: Sequence[str], values: F64, index: I64) -> dict[tuple[str, ...], float]:
    """Return the values of the streams at ``index`` as samples; missing ones (NaN) are left out.

    Example:
        >>> by_stream(("a", "b"), np.array([1.5, np.nan]), np.array([0, 1]))
        {('a',): 1.5}
    """
    chosen = zip(index.tolist(), values[index].tolist(), strict=True)
    return {(names[i],): value for i, value in chosen if not math.isnan(value)}


class Exporter(Collector):
    """Serves the latest snapshot as ``/metrics``.

    Args:
        registry: Registry to render, one of its own by default; the exporter adds itself.

    Example:
        >>> from prometheus_client import generate_latest
        >>> registry = CollectorRegistry()
        >>> Exporter(registry).publish({"streams": {(): 2}})
        >>> "foretell_streams 2.0" in generate_latest(registry).decode()
        True
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self._registry = registry or CollectorRegistry()
        self._snapshot: Snapshot = {}
        self._serving: tuple[WSGIServer, Thread] | None = None
        self._registry.register(self)

    def publish(self, snapshot: Snapshot) -> None:
        """Show ``snapshot`` from now on; the caller must not change it afterwards.

        Raises:
            KeyError: A metric is not in the catalogue.
        """
        for name in snapshot:
            SPECS[name]  # raises for a metric that nobody declared
        self._snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of the latest snapshot; called by the registry on each scrape."""
        snapshot = self._snapshot
        for spec in CATALOGUE:
            if spec.name in snapshot:
                yield _render(spec, snapshot[spec.name])

    def start(self, host: str, port: int) -> int:
        """Serve on a loopback address.

        Args:
            host: Address to bind.
            port: Port; 0 for any free one.

        Returns:
            The port that was bound.

        Raises:
            UsageError: The port is taken or may not be bound.
        """
        try:
            self._serving = start_http_server(port, addr=host, registry=self._registry)
        except OSError as error:
            raise UsageError(
                "metrics.port", f"cannot serve on {host}:{port}: {error.strerror}", "choose another metrics.port"
            ) from None
        return self._serving[0].server_port

    def stop(self) -> None:
        """Stop serving and free the port; does nothing when it does not serve."""
        if self._serving is None:
            return
        server, thread = self._serving
        self._serving = None
        server.shutdown()
        server.server_close()
        thread.join()


def _render(spec: MetricSpec, samples: Samples) -> Metric:
    if spec.kind == "histogram":
        return _histogram(spec, samples)
    family = CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily
    metric = family(spec.full_name, spec.help, labels=spec.labels)
    for labels, value in samples.items():
        if not isinstance(value, HistogramValue):
            metric.add_metric(labels, value)
    return metric


def _histogram(spec: MetricSpec, samples: Samples) -> Metric:
    metric = HistogramMetricFamily(spec.full_name, spec.help, labels=spec.labels)
    for labels, value in samples.items():
        if isinstance(value, HistogramValue):
            bounds = [*map(str, value.bounds), "+Inf"]
            metric.add_metric(labels, list(zip(bounds, value.counts, strict=True)), value.total)
    return metric
