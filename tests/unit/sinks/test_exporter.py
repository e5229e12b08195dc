"""The exporter: everything in the catalogue, nothing else, worst first, and a port that is freed."""

import urllib.request

import numpy as np
import pytest

from pipeline.core.edge_settings import MetricsSettings
from pipeline.core.errors import UsageError
from pipeline.sinks.catalogue import CATALOGUE, SPECS
from pipeline.sinks.exporter import Exporter, by_stream, worst_streams
from pipeline.sinks.http_text import Request


def test_names_in_the_catalogue_are_unique_and_counters_end_in_total() -> None:
    assert len(SPECS) == len(CATALOGUE)
    assert all((spec.kind == "counter") == spec.name.endswith("_total") for spec in CATALOGUE)


def test_a_metric_that_nobody_declared_is_refused() -> None:
    with pytest.raises(KeyError):
        Exporter().publish({"surprise": {(): 1.0}})


def test_openmetrics_is_given_to_who_asks_for_it() -> None:
    exporter = Exporter()
    plain = exporter.answer(Request("GET", "/metrics"))
    asked = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
    openly = exporter.answer(Request("GET", "/metrics", asked))
    assert plain.content_type.startswith("text/plain; version=0.0.4")
    assert openly.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert openly.body.endswith(b"# EOF\n")


def test_streams_in_an_episode_come_first_then_the_worst_and_those_without_a_score_last() -> None:
    score, nobody = np.array([1.0, np.nan, 3.0, 2.0]), np.zeros(4, np.bool_)
    assert worst_streams(score, nobody, 10).tolist() == [2, 3, 0, 1]
    assert worst_streams(score, nobody, 2).tolist() == [2, 3]
    assert worst_streams(score, nobody, 0).tolist() == []
    assert worst_streams(score, np.array([True, True, False, False]), 3).tolist() == [0, 1, 2]


def test_missing_values_have_no_sample() -> None:
    values = np.array([1.0, np.nan, 3.0])
    assert by_stream(("a", "b", "c"), values, np.array([2, 1])) == {("c",): 3.0}


def test_metrics_are_served_on_loopback_until_stopped() -> None:
    exporter = Exporter()
    exporter.publish({"streams": {(): 2.0}})
    port = exporter.start(MetricsSettings(), 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:  # our own loopback port
        assert "foretell_streams 2.0" in answer.read().decode()
    other = Exporter()
    with pytest.raises(UsageError, match=r"metrics\.port: cannot serve on 127\.0\.0\.1"):
        other.start(MetricsSettings(), port)
    exporter.stop()
    exporter.stop()  # once more changes nothing
    assert other.start(MetricsSettings(), port) == port
    other.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "box.example"])  # noqa: S104 - refused
def test_other_machines_are_not_served_without_tls_and_authentication(host: str) -> None:
    with pytest.raises(UsageError, match=r"metrics\.host: .* needs TLS and passwords or client certificates"):
        Exporter().start(MetricsSettings(host=host), 0)
