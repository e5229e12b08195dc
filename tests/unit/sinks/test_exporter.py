"""The exporter: everything in the catalogue, nothing else, and a port that is freed."""

import urllib.request

import numpy as np
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.core.errors import UsageError
from pipeline.sinks.catalogue import CATALOGUE, SPECS
from pipeline.sinks.exporter import Exporter, Snapshot, by_stream, worst_streams
from pipeline.sinks.histogram import Histogram


def full_snapshot() -> Snapshot:
    """One sample of each metric in the catalogue."""
    seconds = Histogram((0.1, 1.0))
    seconds.observe(0.5)
    return {
        spec.name: {tuple(f"{label}-1" for label in spec.labels): seconds.value() if spec.kind == "histogram" else 3.0}
        for spec in CATALOGUE
    }


def test_every_metric_of_the_catalogue_is_rendered_with_its_kind_labels_and_help(registry: CollectorRegistry) -> None:
    Exporter(registry).publish(full_snapshot())
    families = {family.name: family for family in text_string_to_metric_families(generate_latest(registry).decode())}
    assert families.keys() == {spec.full_name.removesuffix("_total") for spec in CATALOGUE}
    for spec in CATALOGUE:
        family = families[spec.full_name.removesuffix("_total")]
        assert (family.type, family.documentation) == (spec.kind, spec.help)
        expected = {label: f"{label}-1" for label in spec.labels}
        assert expected.items() <= family.samples[0].labels.items()


def test_names_in_the_catalogue_are_unique_and_counters_end_in_total() -> None:
    assert len(SPECS) == len(CATALOGUE)
    assert all((spec.kind == "counter") == spec.name.endswith("_total") for spec in CATALOGUE)


def test_a_histogram_is_cumulative_and_has_a_sum(registry: CollectorRegistry) -> None:
    steps = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        steps.observe(seconds)
    Exporter(registry).publish({"step_duration_seconds": {(): steps.value()}})
    name = "foretell_step_duration_seconds"
    buckets = [registry.get_sample_value(f"{name}_bucket", {"le": bound}) for bound in ("0.1", "1.0", "+Inf")]
    assert buckets == [2, 3, 4]
    assert registry.get_sample_value(f"{name}_count") == 4
    assert registry.get_sample_value(f"{name}_sum") == pytest.approx(7.65)


def test_a_metric_that_nobody_declared_is_refused(registry: CollectorRegistry) -> None:
    with pytest.raises(KeyError):
        Exporter(registry).publish({"surprise": {(): 1.0}})


def test_labels_are_escaped(registry: CollectorRegistry) -> None:
    label = 'a"b\\c\nd'
    Exporter(registry).publish({"score": {(label,): 1.0}})
    (family,) = text_string_to_metric_families(generate_latest(registry).decode())
    assert family.samples[0].labels == {"stream": label}


def test_the_worst_streams_come_first_and_those_without_a_score_last() -> None:
    score = np.array([1.0, np.nan, 3.0, 2.0])
    assert worst_streams(score, 10).tolist() == [2, 3, 0, 1]
    assert worst_streams(score, 2).tolist() == [2, 3]
    assert worst_streams(score, 0).tolist() == []


def test_missing_values_have_no_sample() -> None:
    values = np.array([1.0, np.nan, 3.0])
    assert by_stream(("a", "b", "c"), values, np.array([2, 1])) == {("c",): 3.0}


def test_metrics_are_served_on_loopback_until_stopped(registry: CollectorRegistry) -> None:
    exporter = Exporter(registry)
    exporter.publish({"streams": {(): 2.0}})
    port = exporter.start("127.0.0.1", 0)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:  # our own loopback port
        assert "foretell_streams 2.0" in answer.read().decode()
    other = Exporter(CollectorRegistry())
    with pytest.raises(UsageError, match=r"metrics\.port: cannot serve on 127\.0\.0\.1"):
        other.start("127.0.0.1", port)
    exporter.stop()
    exporter.stop()  # once more changes nothing
    assert other.start("127.0.0.1", port) == port
    other.stop()
