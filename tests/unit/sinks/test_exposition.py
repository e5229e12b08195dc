"""Metrics as text: as Prometheus' own library reads it, as promtool would have it, and quick."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from pipeline.sinks.catalogue import CATALOGUE
from pipeline.sinks.exposition import Exemplified, Lazy, Snapshot, openmetrics_text, prometheus_text
from pipeline.sinks.histogram import Histogram


def openmetrics_families(text: str) -> list[Metric]:
    return list(openmetrics.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]  # the library's gap


def full_snapshot() -> Snapshot:
    """One sample of each metric in the catalogue."""
    seconds = Histogram((0.1, 1.0))
    seconds.observe(0.5)
    return {
        spec.name: {tuple(f"{label}-1" for label in spec.labels): seconds.value() if spec.kind == "histogram" else 3.0}
        for spec in CATALOGUE
    }


def test_every_metric_of_the_catalogue_is_rendered_with_its_kind_labels_and_help() -> None:
    text = prometheus_text(full_snapshot()).decode()
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families.keys() == {spec.full_name.removesuffix("_total") for spec in CATALOGUE}
    for spec in CATALOGUE:
        family = families[spec.full_name.removesuffix("_total")]
        assert (family.type, family.documentation) == (spec.kind, spec.help)
        expected = {label: f"{label}-1" for label in spec.labels}
        assert expected.items() <= family.samples[0].labels.items()


def test_openmetrics_holds_the_same_samples() -> None:
    plain = text_string_to_metric_families(prometheus_text(full_snapshot()).decode())
    openly = openmetrics_families(openmetrics_text(full_snapshot()).decode())
    samples = [
        {(each.name, tuple(each.labels.items()), each.value) for family in families for each in family.samples}
        for families in (plain, openly)
    ]
    assert samples[0] == samples[1]
    assert len(samples[0]) > len(CATALOGUE)


def test_the_text_is_that_of_the_golden_file(repository: Path) -> None:
    golden = repository / "tests" / "unit" / "sinks" / "metrics.prom"
    text = prometheus_text(full_snapshot()).decode()
    if os.environ.get("FORETELL_GOLDEN") == "write":
        golden.write_text(text, "utf-8")
    assert text == golden.read_text("utf-8"), "the catalogue changed: make golden, and look at the difference"


def test_promtool_finds_nothing_to_criticise() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; on Debian: apt-get install prometheus")
    text = prometheus_text(full_snapshot())
    checked = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_an_exemplar_names_the_episode_in_openmetrics_alone() -> None:
    count = Exemplified(2.0, {"episode": "d801d35eeae09374"}, 1772359200.25)
    snapshot: Snapshot = {"episodes_total": {("level", "major"): count, ("level", "minor"): Exemplified(0.0)}}
    (family,) = openmetrics_families(openmetrics_text(snapshot).decode())
    example = family.samples[0].exemplar
    assert example is not None
    assert (example.labels, float(example.timestamp or 0)) == ({"episode": "d801d35eeae09374"}, 1772359200.25)
    assert family.samples[1].exemplar is None
    assert b"d801d35eeae09374" not in prometheus_text(snapshot)


def test_a_histogram_is_cumulative_and_has_a_sum() -> None:
    steps = Histogram((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 7.0):
        steps.observe(seconds)
    text = prometheus_text({"step_duration_seconds": {(): steps.value()}}).decode().splitlines()
    name = "foretell_step_duration_seconds"
    buckets = [f'{name}_bucket{{le="{le}"}} {n}' for le, n in (("0.1", "2.0"), ("1.0", "3.0"), ("+Inf", "4.0"))]
    assert text[2:] == [*buckets, f"{name}_count 4.0", f"{name}_sum 7.65"]


def test_labels_are_escaped_and_a_lone_surrogate_takes_nothing_else_away() -> None:
    label = 'a"b\\c\nd'
    text = prometheus_text({"score": {(label,): 1.0, ("\ud800",): 2.0, ("ü",): float("inf")}}).decode()
    (family,) = text_string_to_metric_families(text)
    assert [each.labels["stream"] for each in family.samples] == [label, "?", "ü"]
    assert family.samples[2].value == float("inf")


def test_lazy_samples_are_made_when_somebody_scrapes() -> None:
    n_made: list[int] = []

    def make() -> dict[tuple[str, ...], float]:
        n_made.append(1)
        return {("a",): 1.0}

    snapshot: Snapshot = {"score": Lazy(make)}
    assert n_made == []
    assert b'foretell_score{stream="a"} 1.0' in prometheus_text(snapshot)
    assert n_made == [1]


def test_a_hundred_thousand_series_are_rendered_in_less_than_a_second() -> None:
    names = [(f"plant/device-{i}/temperature",) for i in range(100_000)]
    started_s = time.thread_time()  # our own processor time: others on the machine do not count
    assert len(prometheus_text({"score": dict.fromkeys(names, 1.25)})) > 5_000_000
    assert time.thread_time() - started_s < 1.0
