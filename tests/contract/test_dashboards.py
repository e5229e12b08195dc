"""Dashboards name only metrics that exist, and stand on no installation's own ids."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}


def dashboards(repository: Path) -> dict[str, dict[str, Any]]:
    files = sorted((repository / "dashboards").glob("*.json"))
    assert len(files) == 3
    return {file.name: json.loads(file.read_text("utf-8")) for file in files}


def strings(node: object, key: str) -> Iterator[str]:
    """Yield every string that stands under ``key``, at any depth."""
    if isinstance(node, dict):
        for name, child in node.items():
            if name == key and isinstance(child, str):
                yield child
            yield from strings(child, key)
    elif isinstance(node, list):
        for child in node:
            yield from strings(child, key)


def scraped_names() -> set[str]:
    """Return the names of all time series that the catalogue leads to."""
    from pipeline.sinks.catalogue import CATALOGUE

    return {spec.full_name + end for spec in CATALOGUE for end in SUFFIXES.get(spec.kind, ("",))}


def test_the_committed_files_are_what_the_code_builds(repository: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(repository / "dashboards" / "build.py"), str(tmp_path)]
    subprocess.run(command, check=True)
    built = {file.name: file.read_text("utf-8") for file in tmp_path.glob("*.json")}
    committed = {file.name: file.read_text("utf-8") for file in (repository / "dashboards").glob("*.json")}
    assert built == committed, "make dashboards, and commit what it writes"


def test_every_expression_names_only_catalogued_metrics(repository: Path) -> None:
    for file, dashboard in dashboards(repository).items():
        expressions = [*strings(dashboard, "expr"), *strings(dashboard["templating"], "query")]
        expressions = [each for each in expressions if each != "prometheus"]  # the choice of the data source
        assert len(expressions) > 5
        for expression in expressions:
            named = set(re.findall(r"\b(?:foretell|process)_[a-z]\w+", expression))
            assert named, f"{file}: {expression}"
            assert named <= scraped_names(), f"{file}: {expression}"


def test_every_data_source_is_the_variable(repository: Path) -> None:
    for file, dashboard in dashboards(repository).items():
        assert dashboard.get("id") is None, file
        assert set(strings(dashboard["panels"], "uid")) == {"${datasource}"}, file
        variables = {variable["name"]: variable["type"] for variable in dashboard["templating"]["list"]}
        chosen = {"datasource": "datasource", "site": "query", "instance": "query"}
        assert chosen.items() <= variables.items(), file
        assert variables.keys() <= chosen.keys() | {"device", "stream"}, file


def test_panels_have_titles_and_descriptions_and_do_not_overlap(repository: Path) -> None:
    for file, dashboard in dashboards(repository).items():
        panels = dashboard["panels"]
        assert all(panel["title"] and panel["description"] for panel in panels), file
        cells = [
            (x, y)
            for place in (panel["gridPos"] for panel in panels)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        ]
        assert len(cells) == len(set(cells)), file
        assert max(x for x, _ in cells) < 24, file


@pytest.mark.parametrize("wrong", ["foretell_scores", "foretell_step_duration_seconds", "foretell_message_total"])
def test_a_name_that_is_not_scraped_is_noticed(wrong: str) -> None:
    assert wrong not in scraped_names()
    assert "foretell_score" in scraped_names()
    assert "foretell_step_duration_seconds_bucket" in scraped_names()
