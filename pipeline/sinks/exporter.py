"""The metrics that are shown: the last snapshot that was published. Scraping computes no score.

Comes in: snapshots, maps from metric name to label values to value. Goes out: the answer to ``/metrics``, and the
server that gives it. This module refuses to know the engine; what may be shown is in the catalogue.
"""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

import numpy as np

from pipeline.core.addresses import is_loopback
from pipeline.core.edge_settings import MetricsSettings
from pipeline.core.errors import UsageError
from pipeline.core.records import F64, I64, Bool
from pipeline.sinks.catalogue import SPECS
from pipeline.sinks.exposition import OPENMETRICS_TYPE, PROMETHEUS_TYPE, Snapshot, openmetrics_text, prometheus_text
from pipeline.sinks.http_server import Guard, HttpServer, Route
from pipeline.sinks.http_text import Request, Response
from pipeline.sinks.web_config import WebConfig


def worst_streams(score: F64, is_open: Bool, n: int) -> I64:
    """Return the indices of ``n`` streams: those in an episode first, then those with the highest scores.

    Args:
        score: Score of each stream, shape (S,); streams without one (NaN) come last.
        is_open: Which have an open episode, shape (S,).
        n: Streams to choose at most.

    Example:
        >>> worst_streams(np.array([1.0, np.nan, 3.0]), np.array([True, False, False]), 2).tolist()
        [0, 2]
    """
    order = np.lexsort((-np.nan_to_num(score, nan=-np.inf), ~is_open))
    return order[:n].astype(np.int64)


def by_stream(names: Sequence[str], values: F64, index: I64) -> dict[tuple[str, ...], float]:
    """Return the values of the streams at ``index`` as samples; missing ones (NaN) are left out.

    Example:
        >>> by_stream(("a", "b"), np.array([1.5, np.nan]), np.array([0, 1]))
        {('a',): 1.5}
    """
    chosen = zip(index.tolist(), values[index].tolist(), strict=True)
    return {(names[i],): value for i, value in chosen if not math.isnan(value)}


class Exporter:
    """Holds the latest snapshot and serves it.

    Example:
        >>> exporter = Exporter()
        >>> exporter.publish({"streams": {(): 2}})
        >>> exporter.answer(Request("GET", "/metrics")).body.splitlines()[-1]
        b'foretell_streams 2.0'
    """

    def __init__(self) -> None:
        self._snapshot: Snapshot = {}
        self._server: HttpServer | None = None

    def publish(self, snapshot: Snapshot) -> None:
        """Show ``snapshot`` from now on; the caller must not change it afterwards.

        Raises:
            KeyError: A metric is not in the catalogue.
        """
        for name in snapshot:
            SPECS[name]  # raises for a metric that nobody declared
        self._snapshot = snapshot

    def answer(self, request: Request) -> Response:
        """Answer ``/metrics``: OpenMetrics where the client would have it, else Prometheus' text."""
        snapshot = self._snapshot
        if "application/openmetrics-text" in request.headers.get("accept", ""):
            return Response(HTTPStatus.OK, OPENMETRICS_TYPE, openmetrics_text(snapshot))
        return Response(HTTPStatus.OK, PROMETHEUS_TYPE, prometheus_text(snapshot))

    def start(
        self,
        settings: MetricsSettings,
        port: int,
        routes: Mapping[str, Route] | None = None,
        posts: Mapping[str, Route] | None = None,
    ) -> int:
        """Serve ``/metrics`` and further routes.

        Args:
            settings: Address, and the web configuration.
            port: Port; 0 for any free one.
            routes: Other paths with their answers.
            posts: Paths with their answers to a POST.

        Returns:
            The port that was bound.

        Raises:
            UsageError: The port is taken or may not be bound, the web configuration is wrong, or others than this
                machine could ask without TLS and authentication.
        """
        guard = _guard(settings)
        server = HttpServer({"/metrics": self.answer, **(routes or {})}, guard, posts)
        try:
            bound = server.start(settings.host, port)
        except OSError as error:
            place = f"cannot serve on {settings.host}:{port}: {error.strerror}"
            raise UsageError("metrics.port", place, "choose another metrics.host or metrics.port") from None
        self._server = server
        return bound

    def stop(self) -> None:
        """Stop serving and free the port; does nothing when it does not serve."""
        if self._server is not None:
            self._server.stop()
            self._server = None


def _guard(settings: MetricsSettings) -> Guard:
    """Return who gets in; refuses to serve other machines without TLS and authentication."""
    web = WebConfig(Path(settings.web_config_file)) if settings.web_config_file else None
    if not is_loopback(settings.host):
        is_safe = web is not None and web.settings.is_authenticated and web.settings.tls_server_config is not None
        if not is_safe:
            raise UsageError(
                "metrics.host",
                f"{settings.host} is reached from other machines, and needs TLS and passwords or client certificates",
                "name them in metrics.web_config_file, or bind 127.0.0.1",
            )
    return web or Guard()
